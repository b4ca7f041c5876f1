"""``simulate trace cost``: what the traces of many files cost, by whom or what it was spent for."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulate.trace.cost import Row
    from simulate.trace.span import Trace

HELP = "what traces cost, by user, feature, prompt version, model, tenant or cohort"

BY = (
    "model", "provider", "user", "session", "feature", "prompt_version", "tenant", "cohort", "experiment",
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="trace files of any format; - for stdin")
    parser.add_argument("--by", choices=BY, default="model", help="one line for each (default: model)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def execute(args: argparse.Namespace) -> int:
    """Exit code 0: a cost is a figure, not a verdict; `trace quality` has thresholds."""
    from simulate.trace.cost import rollup
    from simulate.trace.formats import iter_traces

    def traces() -> Iterator[Trace]:
        for file in args.files:
            yield from iter_traces(file)

    rows = rollup(traces(), by=args.by)
    if args.json:
        for row in rows:
            print(json.dumps(_record(row, args.by)))
        return 0
    sys.stdout.writelines(_table(rows, args.by))
    return 0


def _record(row: Row, by: str) -> dict[str, object]:
    return {
        by: row.key,
        "traces": row.traces,
        "successful": row.successful,
        "calls": row.calls,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "dollars": None if row.unpriced else row.dollars,
        "dollars_known": row.dollars,
        "unpriced_calls": row.unpriced,
        "dollars_per_success": row.dollars_per_success,
    }


def _table(rows: list[Row], by: str) -> Iterator[str]:
    from simulate.trace.text import clip, safe

    if not rows:
        yield "no model call in these traces\n"
        return
    width = min(32, max(len(by), *(len(row.key) for row in rows)))
    head = f"{by.replace('_', ' '):<{width}}  {'traces':>6}  {'calls':>6}  {'tokens in→out':>16}"
    yield f"{head}  {'cost':>10}  {'a success':>10}\n"
    for row in rows:
        tokens = f"{row.input_tokens:,}→{row.output_tokens:,}"
        cost = _dollars(None if row.unpriced else row.dollars)
        yield (
            f"{clip(safe(row.key), width):<{width}}  {row.traces:>6}  {row.calls:>6}  {tokens:>16}"
            f"  {cost:>10}  {_dollars(row.dollars_per_success):>10}\n"
        )
    for row in rows:
        if row.unpriced:
            known = f"; the others cost {_dollars(row.dollars)}" if row.unpriced < row.calls else ""
            unpriced = f"{row.unpriced} of {row.calls} calls have no known price"
            yield f"! {safe(row.key)}: {unpriced}: {row.reason}{known}\n"


def _dollars(amount: float | None) -> str:
    from simulate.trace.text import money

    return "unknown" if amount is None else money(amount)
