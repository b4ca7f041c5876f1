"""The terminal: why outcomes failed, and the table of a suite."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING

from simulate.model.explain import MARK, WORD, Line, explain, lines
from simulate.model.outcome import Outcome, Reliability
from simulate.model.text import IN_ASCII, dollars, line
from simulate.model.verdict import Standing

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["chances", "explain", "print_report", "story", "summary_table", "tally"]

STYLES = {
    "": "",
    "dim": "dim",
    "strong": "bold",
    "passed": "green",
    "failed": "bold red",
    "error": "bold yellow",
    "not_run": "bold bright_black",
    "flaky": "yellow",
    "xfailed": "yellow",
    "xpassed": "yellow",
    "quarantined": "bright_black",
    "caller": "cyan",
    "agent": "magenta",
    "tool": "blue",
}
"""Colours of the terminal's own palette, so that they fit its background."""

WORST_FIRST: tuple[Standing, ...] = (
    "failed", "error", "not_run", "flaky", "xpassed", "xfailed", "quarantined", "passed",
)  # fmt: skip


def print_report(
    outcomes: Sequence[Outcome],
    *,
    reliability: Iterable[Reliability] = (),
    stream: IO[str] | None = None,
    color: bool | None = None,
) -> None:
    """The stories of all that did not pass, then the table, to ``stream`` (default: stdout).

    ``color`` is decided by the terminal and ``NO_COLOR`` unless given.
    """
    out: IO[str] = sys.stdout if stream is None else stream
    console = _console(out, color)
    with console.capture() as captured:
        for outcome in outcomes:
            if outcome.standing != "passed":
                console.print(story(outcome), soft_wrap=True)
                console.print()
        console.print(summary_table(outcomes))
        for row in chances(reliability):
            console.print(_row(row), soft_wrap=True)
        console.print(_row([*tally(outcomes)]), soft_wrap=True)
    out.write(fit(captured.get(), out))
    out.flush()


def print_lines(rows: Iterable[Line]) -> None:
    """Lines of pieces on stdout, in colour where it shows it."""
    console = _console(sys.stdout, None)
    with console.capture() as captured:
        for row in rows:
            console.print(_row(row), soft_wrap=True)
    sys.stdout.write(fit(captured.get(), sys.stdout))


def fit(text: str, stream: IO[str]) -> str:
    """What ``stream`` can encode: a log that is not UTF-8 must not cost the report."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, IN_ASCII).decode(encoding)


def story(outcome: Outcome) -> Text:
    """``explain`` in colour, without saying the reason twice."""
    from rich.text import Text

    return Text("\n").join(_row(pieces) for pieces in lines(outcome, reason=False))


def tally(outcomes: Iterable[Outcome]) -> Line:
    """``3 failed, 17 passed`` as pieces, worst first."""
    standings = [outcome.standing for outcome in outcomes]
    pieces: Line = []
    for standing in WORST_FIRST:
        if number := standings.count(standing):
            pieces += [("", ", ")] if pieces else []
            pieces.append((standing, f"{number:,} {WORD[standing]}"))
    return pieces or [("dim", "no outcomes")]


def summary_table(outcomes: Sequence[Outcome]) -> Table:
    """One row per scenario and case; its trials are counted, its measures averaged over them."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, header_style="dim")
    table.add_column("", width=1)
    table.add_column("scenario", overflow="fold", min_width=16, ratio=1)
    table.add_column("status", no_wrap=True)
    for name in ("passed", "turns", "seconds", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    groups: dict[tuple[str, str | None], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.scenario, outcome.case), []).append(outcome)
    for key, group in groups.items():
        table.add_row(*_cells(key, group))
    return table


def _cells(key: tuple[str, str | None], group: Sequence[Outcome]) -> list[Text]:
    scenario, case = key
    worst = min(group, key=lambda outcome: WORST_FIRST.index(outcome.standing)).standing
    counted = [outcome for outcome in group if outcome.standing == outcome.status]
    sides = sorted({outcome.side for outcome in counted if outcome.side and outcome.status != "passed"})
    name: Line = [("", line(scenario, 80)), *([("dim", f" {line(case, 60)}")] if case else [])]
    count = len(group)
    costs = [outcome.measures.get("cost_usd") for outcome in group]
    known = [cost for cost in costs if isinstance(cost, int | float)]
    return [
        _row([(worst, MARK[worst])]),
        _row(name),
        _row([(worst, WORD[worst]), ("dim", f" ({', '.join(sides)})" if sides else "")]),
        _row([("", f"{sum(outcome.clean is True for outcome in group)}/{count}")]),
        _row([("dim", f"{sum(outcome.conversation.turns for outcome in group) / count:.3g}")]),
        _row([("dim", f"{sum(outcome.conversation.duration for outcome in group) / count:.1f}")]),
        # an unknown price among them makes the mean unknown, not lower
        _row([("dim", dollars(sum(known) / count) if len(known) == count else "–")]),
    ]


def chances(reliability: Iterable[Reliability]) -> list[Line]:
    """One line per scenario and case: how often k trials of it all pass, each with its interval."""
    rows: dict[tuple[str, str | None], Line] = {}
    for entry in reliability:
        key = (entry.scenario, entry.case)
        name = f"{line(entry.scenario, 80)}{f' {line(entry.case, 60)}' if entry.case else ''}"
        row = rows.setdefault(key, [("", name), ("dim", f"  {entry.passed}/{entry.trials}")])
        interval = f" ({entry.low:.0%} to {entry.high:.0%})"
        row += [("dim", f"  pass^{entry.k} "), ("", f"{entry.value:.0%}"), ("dim", interval)]
    return list(rows.values())


def _row(pieces: Line) -> Text:
    from rich.text import Text

    row = Text()
    for style, text in pieces:
        # Text takes no markup: "[red]" of an agent stays what it is
        row.append(text, STYLES[style])
    return row


def _console(stream: IO[str], color: bool | None) -> Console:
    from rich.console import Console

    return Console(
        file=stream,
        force_terminal=True if color else None,
        no_color=True if color is False else None,
        markup=False,
        emoji=False,
        highlight=False,
    )
