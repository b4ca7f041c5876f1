"""``simulate trace cost``: what the traces of many files cost, by whom or what it was spent for."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator

from simulate.errors import InputError
from simulate.interfaces.cli import say, trace_sources
from simulate.interfaces.render.trace_tree import clip, shown
from simulate.model.text import dollars
from simulate.trace.cost import Row, rollup, succeeded

BY = (
    "model", "provider", "user", "session", "feature", "prompt_version", "tenant", "cohort", "experiment",
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    trace_sources.configure(parser)
    parser.add_argument("--by", choices=BY, default="model", help="one line for each (default: model)")
    parser.add_argument(
        "--threshold", action="append", default=[], metavar="NAME=VALUE",
        help="a trace whose evaluator NAME scored less did not succeed; goes before its own threshold",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def execute(args: argparse.Namespace) -> int:
    """Exit code 0: a cost is a figure, not a verdict; `trace quality` has thresholds."""
    least = dict(_threshold(one) for one in args.threshold)
    rows = rollup(trace_sources.traces(args), args.by, lambda trace: succeeded(trace, least=least))
    if args.json:
        for row in rows:
            say(json.dumps(_record(row, args.by)))
        return 0
    sys.stdout.writelines(_table(rows, args.by))
    return 0


def _threshold(given: str) -> tuple[str, float]:
    name, _, value = given.rpartition("=")
    try:
        return name, float(value)
    except ValueError:
        raise InputError(f"not a threshold: {given!r}", hint="write NAME=NUMBER") from None


def _record(row: Row, by: str) -> dict[str, object]:
    return {
        by: row.key,
        "traces": row.traces,
        "successful": row.successful,
        "calls": row.calls,
        "input_tokens": None if row.untold else row.input_tokens,
        "output_tokens": None if row.untold else row.output_tokens,
        "dollars": None if row.unpriced else row.dollars,
        "dollars_known": row.dollars,
        "unpriced_calls": row.unpriced,
        "calls_perhaps_told_twice": row.doubtful,
        "calls_said_to_be_free": row.disbelieved,
        "reason": row.reason,
        "dollars_per_success": row.dollars_per_success,
    }


def _table(rows: list[Row], by: str) -> Iterator[str]:
    """At most 80 columns, where the figures leave room for that."""
    from rich.cells import cell_len

    if not rows:
        yield "no model call in these traces\n"
        return
    head = [by.replace("_", " "), "ok of", "calls", "tokens in→out", "cost", "a success"]
    table = [head, *([shown(row.key), *_cells(row), dollars(row.dollars_per_success)] for row in rows)]
    if len(rows) > 1:
        # a trace may stand in several lines, so that neither they nor their successes add up
        calls, *figures = _cells(_total(rows))[1:]
        table.append(["together", "", calls, *figures, ""])
    widths = [max(len(cells[at]) for cells in table) for at in range(len(head))]
    widths[0] = max(12, min(widths[0], 80 - sum(width + 2 for width in widths[1:])))
    for cells in table:
        name = clip(cells[0], widths[0])
        rest = "".join(f"  {cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True))
        yield f"{name}{' ' * (widths[0] - cell_len(name))}{rest}".rstrip() + "\n"
    for row in rows:
        if row.unpriced:
            unpriced = f"{row.unpriced} of {row.calls} calls have no known price"
            yield f"! {shown(row.key)}: {unpriced}: {row.reason}\n"
        if row.disbelieved:
            free = f"{row.disbelieved} of {row.calls} calls say 0 dollars"
            yield f"! {shown(row.key)}: {free}; their tokens and the price list are taken instead\n"
        if row.doubtful:
            doubtful = f"{row.doubtful} of {row.calls} calls may be told by another trace, too"
            yield f"! {shown(row.key)}: {doubtful}\n"


def _cells(row: Row) -> list[str]:
    tokens = f"{row.input_tokens:,}→{row.output_tokens:,}"
    if row.untold:
        tokens = "unknown" if row.untold == row.calls else f"≥ {tokens}"
    cost = dollars(row.dollars if row.dollars or not row.unpriced else None)
    least = "≥ " if row.unpriced and row.dollars else ""
    return [f"{row.successful}/{row.traces}", str(row.calls), tokens, f"{least}{cost}"]


def _total(rows: list[Row]) -> Row:
    whole = Row("")
    for row in rows:
        for name in ("calls", "dollars", "unpriced", "input_tokens", "output_tokens", "untold", "doubtful"):
            setattr(whole, name, getattr(whole, name) + getattr(row, name))
    return whole
