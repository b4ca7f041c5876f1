"""The report of a run, and the page of a trace: one file each, to be opened from the disk."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any

from simulate.interfaces.render.page import page
from simulate.interfaces.render.recording_panel import MEDIA, sound
from simulate.interfaces.render.shortening import Clip
from simulate.interfaces.render.trace_about import trace_about
from simulate.interfaces.render.waterfall import ViewsOf, waterfall
from simulate.model.cause import cause
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.outcome_json import plain
from simulate.model.whole_file import write_pieces
from simulate.run_folder import SCENARIO
from simulate.trace.reading import TraceReading
from simulate.trace.redaction.mask import SecretMask
from simulate.trace.span import Trace

Traces = Mapping[str, Trace] | Callable[[Outcome], Trace | None]
"""Traces by ``trace_id`` (or, without one, by the conversation's id), or what loads the trace of an outcome:
with a loader only one is in memory at a time. None: the traces that the outcomes carry."""

_SCRIPTS = ("base.js", "values.js", "span.js", "waterfall.js")
_STYLES = ("base.css", "waterfall.css")
_MEASURES = ("cost_usd", "input_tokens", "output_tokens", "reply_p50_seconds", "reply_p95_seconds")

_CALLS = 'This report draws itself with a script. <a href="{}">The page of its calls</a> needs none.'

SPAN_BUDGET = 80_000
RUN_BUDGET = 60_000_000
"""Characters of span content in one report, roughly: many outcomes share it, so that the page still opens."""


def write_html(
    path: str | Path,
    run: RunRecord | None,
    outcomes: Sequence[Outcome],
    traces: Traces | None = None,
    *,
    views: ViewsOf | None = None,
    calls: str | None = None,
) -> Path:
    """Write the report of a run; it is whole or not there. ``calls`` is the page of its calls, beside it."""
    title = f"{_tally(outcomes)} – {run.id if run else 'simulate'}"
    pieces = page(
        title,
        chain([("calls", calls)], _run_data(run, outcomes, traces, views, Path(path))),
        scripts=(
            *_SCRIPTS,
            *("conversation.js", "verdicts.js", "sound.js", "outcome.js", "overview.js", "report.js"),
        ),
        styles=(*_STYLES, "report.css", "outcome.css", "sound.css"),
        media=MEDIA if any(outcome.recording for outcome in outcomes) else "'none'",
        **({} if calls is None else {"without_script": _CALLS.format(escape(calls))}),
    )
    return write_pieces(path, pieces)


def write_trace_html(path: str | Path, traces: Sequence[Trace], *, views: ViewsOf | None = None) -> Path:
    """Write the page of one or more traces, without a run; it is whole or not there."""
    return write_pieces(path, trace_page(traces, views=views))


def trace_page(
    traces: Sequence[Trace | TraceReading],
    *,
    views: ViewsOf | None = None,
    is_masked: bool = False,
    before: str = "",
    without_script: str | None = None,
    styles: Sequence[str] = (),
) -> Iterator[bytes]:
    """The page of one or more traces in pieces. ``before`` and ``without_script`` are HTML, as `page` takes
    them; ``styles`` are for that. ``is_masked`` tells that the traces hold no secret."""
    readings = [TraceReading.of(each) for each in traces]
    if not is_masked:
        mask = SecretMask()
        readings = [TraceReading.of(mask.trace(each.trace)) for each in readings]
    first = readings[0].trace.trace_id
    title = f"trace {first}" if len(readings) == 1 else f"{len(readings)} traces"
    data = ((f"trace-{n}", _trace_data(reading, views)) for n, reading in enumerate(readings))
    return page(
        title, data,
        scripts=(*_SCRIPTS, "timing.js", "waterfall_tools.js", "about.js", "trace.js"),
        styles=(*_STYLES, "about.css", *styles),
        before=before, **({} if without_script is None else {"without_script": without_script}),
    )  # fmt: skip


def _trace_data(reading: TraceReading, views: ViewsOf | None) -> dict[str, Any]:
    trace = reading.trace
    seen = reading.views if views is None else views(trace)
    return waterfall(trace, seen, whole=trace.source) | {"about": trace_about(reading)}


def keys(outcomes: Sequence[Outcome]) -> list[str]:
    """A key for each outcome that no other of the run has: two files may use one scenario's name."""
    seen: Counter[str] = Counter()
    unique: list[str] = []
    for outcome in outcomes:
        seen[outcome.key] += 1
        unique.append(outcome.key if seen[outcome.key] == 1 else f"{outcome.key}~{seen[outcome.key]}")
    return unique


def _run_data(
    run: RunRecord | None,
    outcomes: Sequence[Outcome],
    traces: Traces | None,
    views: ViewsOf | None,
    report: Path,
) -> Iterator[tuple[str, Any]]:
    yield "run", None if run is None else Clip(each=2_000)(run)
    rows = zip(keys(outcomes), outcomes, strict=True)
    yield "index", [_index_row(key, outcome) for key, outcome in rows]
    budget = max(4_000, min(SPAN_BUDGET, RUN_BUDGET // max(1, len(outcomes)) // 20))
    for number, outcome in enumerate(outcomes):
        yield f"outcome-{number}", _outcome_data(outcome, run, traces, views, budget, report)


def _index_row(key: str, outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {
        "key": key,
        "scenario": outcome.scenario,
        "case": outcome.case,
        "trial": outcome.trial,
        "status": outcome.standing,
        "cause": cause(outcome),
        "side": outcome.side,
        "reason": outcome.reason or next(iter(outcome.retried), None),
        "tags": outcome.tags,
        "turns": outcome.conversation.turns,
        "seconds": outcome.conversation.duration,
        "medium": outcome.conversation.medium,
        **{name: outcome.measures.get(name) for name in _MEASURES},
    }
    clip = Clip(each=500)
    return {name: clip(value) for name, value in row.items() if value not in (None, [], "")}


def _outcome_data(
    outcome: Outcome,
    run: RunRecord | None,
    traces: Traces | None,
    views: ViewsOf | None,
    budget: int,
    report: Path,
) -> dict[str, Any]:
    folder = outcome.folder
    clip = Clip(budget=1_000_000, whole="outcome.json" if folder is None else f"{folder}/outcome.json")
    mask = SecretMask()  # an outcome holds no secrets, but its file may be older, or edited
    data: dict[str, Any] = clip(mask.value(plain(outcome)))
    data["sound"] = sound(outcome, report)
    data["standing"] = outcome.standing
    data["again"] = mask.text(again) if (again := rerun_command(outcome, run)) else None
    data["scenario_text"] = clip(mask.text(_scenario_text(outcome)))
    # it is drawn, not listed among the facts
    data["measures"].pop("turn_taking", None)
    trace = _trace_of(outcome, traces)
    if trace is None:
        data["trace"] = None
        return data
    trace = mask.trace(trace)
    whole = f"{folder}/trace.otlp.jsonl" if folder else trace.source
    data["trace"] = waterfall(trace, views and views(trace), whole=whole, budget=budget)
    return data


def rerun_command(outcome: Outcome, run: RunRecord | None) -> str | None:
    """The command that has this conversation again; None for a scenario that was made in Python."""
    if not outcome.source or not outcome.folder:
        return None
    file = re.sub(r":\d+$", "", outcome.source)
    scenario = Path(outcome.folder).name.rpartition("-")[0]
    words = ["simulate", "run", file, "-k", scenario]
    if run is not None and run.agent:
        words += ["--agent", run.agent]
    if outcome.seed:
        words += ["--seed", str(outcome.seed)]
    return shlex.join(words)


def _scenario_text(outcome: Outcome) -> str:
    """The scenario as it was written when it ran; empty where that was not kept."""
    try:
        return (Path(outcome.folder or "") / SCENARIO).read_text("utf-8") if outcome.folder else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _trace_of(outcome: Outcome, traces: Traces | None) -> Trace | None:
    if traces is None:
        return outcome.trace
    if callable(traces):
        return traces(outcome)
    return traces.get(outcome.trace_id or outcome.conversation.id)


def _tally(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(outcome.status for outcome in outcomes)
    words = {"failed": "failed", "error": "error", "not_run": "not run", "passed": "passed"}
    return (
        ", ".join(f"{counts[status]} {word}" for status, word in words.items() if counts[status])
        or "no outcomes"
    )
