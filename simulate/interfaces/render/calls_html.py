"""The calls of a run on one page: how long replies took, scenario by scenario; the worst calls first, each to
be listened to in place. It is read without a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from simulate.interfaces.render.page import page
from simulate.interfaces.render.recording_panel import MEDIA, address_of
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.percentile import percentile
from simulate.model.text import line
from simulate.model.verdict import Standing
from simulate.model.whole_file import write_pieces
from simulate.trace.redaction.mask import SecretMask

PLAYERS = 200
"""Calls that get a player each; a page with thousands of them takes long to open. The others have a link."""
BEFORE = 1.0
"""Seconds before the worst moment at which its player begins."""
WIDE, TALL = 320, 22
"""Of a scenario's strip of replies, in pixels."""
_RANK: dict[Standing, int] = {"failed": 0, "error": 1, "not_run": 2, "flaky": 3}
_WORDS = {
    "no_reply": "no reply",
    "agent_cut_in": "talked over the caller",
    "hung_up": "hung up on the caller",
    "premature": "took a pause for the end",
    "barge_in": "went on after an interruption",
    "backchannel": "stopped for a “mhm”",
    "vocal_tic": "reacted to a cough",
    "aside": "reacted to what was said to somebody else",
    "hold_music": "reacted to hold music",
    "false_stop": "broke off without the caller",
    "reply": "slowest reply",
    "dead_air": "longest silence",
}


@dataclass(frozen=True, slots=True)
class ShownCall:
    """One call as the page shows it."""

    key: str
    outcome: Outcome
    replies: list[float]
    silence: float
    """The longest silence while the agent was due, in seconds."""
    bad: list[dict[str, Any]]
    """Events in which the agent did badly."""
    worst: dict[str, Any] | None
    """The event to listen to first."""

    @classmethod
    def of(cls, key: str, outcome: Outcome) -> ShownCall | None:
        """None for a conversation whose sound was not measured."""
        panel: Any = outcome.measures.get("turn_taking")
        if not panel:
            return None
        events: list[dict[str, Any]] = panel["events"]
        bad = [event for event in events if event["good"] is False]
        replies = [event for event in events if event["kind"] == "reply"]
        silences = [event for event in events if event["kind"] == "dead_air"]
        longest = max(replies + silences, key=lambda event: event["seconds"] or 0.0, default=None)
        return cls(
            key,
            outcome,
            [event["seconds"] for event in replies],
            max((event["seconds"] for event in silences), default=0.0),
            bad,
            next(iter(bad), longest),
        )

    @property
    def badness(self) -> tuple[int, int, float]:
        """The lower, the further up: by verdict, then by what went wrong, then by the longest wait."""
        slowest = max([*self.replies, self.silence])
        return _RANK.get(self.outcome.standing, 9), -len(self.bad), -slowest


def calls_of(keyed: Sequence[tuple[str, Outcome]]) -> list[ShownCall]:
    """Those with a measured recording, the worst first."""
    found = [call for key, outcome in keyed if (call := ShownCall.of(key, outcome)) is not None]
    return sorted(found, key=lambda call: call.badness)


def write_calls_html(path: Path, run: RunRecord | None, calls: Sequence[ShownCall], report: Path) -> Path:
    """Write the page; it is whole or not there. ``report`` is the run's, which each call links to."""
    title = f"{len(calls):,} calls – {run.id if run else 'simulate'}"
    text = "\n".join(_body(title, calls, path, report))
    styles = ("base.css", "report.css", "calls.css")
    pieces = page(title, [], scripts=(), styles=styles, media=MEDIA, before=text, without_script="")
    return write_pieces(path, pieces)


def _body(title: str, calls: Sequence[ShownCall], path: Path, report: Path) -> Iterator[str]:
    yield f'<main class="overview calls"><h2>{_text(title)}</h2>'
    yield f'<p><a href="{quote(report.name)}">All outcomes of the run</a></p>'
    yield "<h3>Replies by scenario, the slowest first</h3>"
    yield from _distribution(calls)
    yield "<h3>Calls, the worst first</h3>"
    yield '<table class="outcomes"><thead><tr><th>Status<th>Call<th class=num>Slowest reply'
    yield "<th class=num>Longest silence<th>What happened<th>Listen</tr></thead><tbody>"
    for number, call in enumerate(calls):
        yield _row(call, path, report, player=number < PLAYERS)
    yield "</tbody></table></main>"


def _distribution(calls: Sequence[ShownCall]) -> Iterator[str]:
    scenarios: dict[str, list[ShownCall]] = {}
    for call in calls:
        case = call.outcome.case
        scenarios.setdefault(f"{call.outcome.scenario}{f' [{case}]' if case else ''}", []).append(call)
    longest = max((seconds for call in calls for seconds in call.replies), default=0.0) or 1.0
    rows: list[tuple[float, str]] = []
    for name, mine in scenarios.items():
        replies = sorted(seconds for call in mine for seconds in call.replies)
        middle, late = percentile(replies, 50), percentile(replies, 95)
        figures = (middle, late, replies[-1] if replies else None, max(call.silence for call in mine))
        cells = "".join(f"<td class=num>{_seconds(value)}" for value in figures)
        counts = f"<td class=num>{len(mine):,}<td class=num>{len(replies):,}"
        strip = _strip(replies, middle, late, longest)
        rows.append((-(late or 0.0), f"<tr><th scope=row>{_text(name)}{counts}{cells}<td>{strip}</tr>"))
    yield "<table class=replies><thead><tr><th>Scenario<th class=num>Calls<th class=num>Replies"
    yield "<th class=num>p50<th class=num>p95<th class=num>Slowest<th class=num>Longest silence"
    yield f"<th>0 to {_seconds(longest)}</tr></thead><tbody>"
    yield from (row for _, row in sorted(rows, key=lambda one: one[0]))
    yield "</tbody></table>"


def _strip(replies: Sequence[float], middle: float | None, late: float | None, longest: float) -> str:
    """Each reply a tick on the axis of time, with the median and the 95th percentile marked."""

    def tick(seconds: float, name: str, title: str = "") -> str:
        x = 1 + seconds / longest * (WIDE - 2)
        top, bottom = (4, TALL - 4) if name == "one" else (0, TALL)
        told = f"<title>{title} {_seconds(seconds)}</title>" if title else ""
        return f'<line class="{name}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}">{told}</line>'

    ticks = [tick(seconds, "one") for seconds in replies]
    ticks += [
        tick(value, name, name) for name, value in (("p50", middle), ("p95", late)) if value is not None
    ]
    label = f"replies from {_seconds(min(replies))} to {_seconds(max(replies))}" if replies else "no replies"
    return (
        f'<svg class=strip-of-replies role=img aria-label="{label}" viewBox="0 0 {WIDE} {TALL}" '
        f'width="{WIDE}" height="{TALL}">{"".join(ticks)}</svg>'
    )


def _row(call: ShownCall, path: Path, report: Path, *, player: bool) -> str:
    outcome = call.outcome
    status = outcome.standing
    link = f"{quote(report.name)}#outcome={quote(call.key, safe='')}"
    slowest = max(call.replies) if call.replies else None
    reason = SecretMask().text(outcome.reason) if outcome.reason and not outcome.passed else ""
    happened = "".join(f"<li>{_event(event)}" for event in call.bad[:5])
    more = f"<li>and {len(call.bad) - 5} more" if len(call.bad) > 5 else ""
    return (
        f'<tr class="is-{status}"><td class=c-status><span class=pill>{status.replace("_", " ")}</span>'
        f'<td class=c-scenario><a href="{link}">{_text(call.key)}</a>'
        f"{f'<div class=reason>{_text(line(reason, 260))}</div>' if reason else ''}"
        f"<td class=num>{_seconds(slowest)}<td class=num>{_seconds(call.silence)}"
        f"<td>{f'<ul>{happened}{more}</ul>' if happened else ''}<td>{_listen(call, path, player=player)}</tr>"
    )


def _listen(call: ShownCall, path: Path, *, player: bool) -> str:
    """The recording, from a second before the worst moment on."""
    source = address_of(call.outcome, path)
    if source is None:
        return '<span class="dim">no recording</span>'
    at = max(0.0, call.worst["at"] - BEFORE) if call.worst else 0.0
    source = escape(f"{source}#t={at:.1f}")
    told = f"<div class=dim>from {_event(call.worst)}</div>" if call.worst else ""
    if not player:
        return f'<a href="{source}">recording</a>{told}'
    return f'<audio controls preload=none src="{source}"></audio>{told}'


def _event(event: dict[str, Any]) -> str:
    seconds = "" if event["seconds"] is None else f", {_seconds(event['seconds'])}"
    return f"{_WORDS[event['kind']]} at {_seconds(event['at'])}{seconds}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def _text(value: str) -> str:
    return escape(line(value, None))
