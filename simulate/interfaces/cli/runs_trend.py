"""``simulate runs trend``: a measure over the runs that are kept, such as how fast calls were answered."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulate.errors import InputError
from simulate.interfaces.cli import say
from simulate.interfaces.cli.output_options import add_json_option
from simulate.interfaces.render.output import write_json
from simulate.interfaces.render.run_reports import load_run
from simulate.model.nearest import did_you_mean
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.percentile import percentile

OF_CALLS = (
    "reply_p50_seconds",
    "reply_p95_seconds",
    "dead_air_max_seconds",
    "stop_max_seconds",
    "agent_interruptions",
    "talk_ratio",
    "asr_entity_accuracy",
)
"""What is shown where no measure is named."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--measure", action="append", default=[], metavar="NAME",
        help="one of an outcome's measures (default: those of calls)",
    )  # fmt: skip
    parser.add_argument(
        "--scenario", metavar="NAME", help="of this scenario alone: runs of others do not compare"
    )
    parser.add_argument("--last", type=int, default=20, metavar="N", help="runs (default 20)")
    add_json_option(parser, "the trend")


def execute(args: argparse.Namespace, runs: Sequence[tuple[Path, RunRecord]]) -> int:
    """Print a line a run, the latest last: of each measure the median over its outcomes."""
    loaded = [(path, record, load_run(path)[1]) for path, record in runs[-max(1, args.last) :]]
    if args.scenario:
        loaded = [
            (path, record, [one for one in outcomes if one.scenario == args.scenario])
            for path, record, outcomes in loaded
        ]
    loaded = [each for each in loaded if each[2]]
    known = {name for *_, outcomes in loaded for one in outcomes for name in one.measures}
    names = args.measure or [name for name in OF_CALLS if name in known]
    unknown = next((name for name in names if name not in known), None)
    if loaded and (unknown is not None or not names):
        wrong = f"no outcome has the measure {unknown!r}" if unknown else "none of these runs holds a call"
        near = did_you_mean(unknown, known) if unknown else ""
        raise InputError(f"{wrong}{near}", hint="name one with --measure")
    rows = [_row(path, record, outcomes, names) for path, record, outcomes in loaded]
    write_json(rows, args.json)
    if args.json == "-":
        return 0
    for line in _table(rows, names):
        say(line)
    if not rows:
        say("there is no run of that", file=sys.stderr)
    return 0


def _row(path: Path, record: RunRecord, outcomes: Sequence[Outcome], names: Sequence[str]) -> dict[str, Any]:
    values = {
        name: [
            float(one.measures[name]) for one in outcomes if isinstance(one.measures.get(name), int | float)
        ]
        for name in names
    }
    medians = {name: percentile(found, 50) for name, found in values.items()}
    passed = sum(one.passed for one in outcomes)
    return {
        "run": path.name, "started": record.started, "passed": passed, "outcomes": len(outcomes), **medians
    }  # fmt: skip


def _table(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> list[str]:
    """Columns as wide as they have to be; behind a value, how far it is from the run before."""
    shown: list[list[str]] = [["run", "started", "passed", *names]] if rows else []
    before: dict[str, float] = {}
    for row in rows:
        cells = [row["run"], row["started"][:16].replace("T", " "), f"{row['passed']}/{row['outcomes']}"]
        for name in names:
            value = row[name]
            if value is None:
                cells.append("–")
                continue
            change = value - before[name] if name in before else 0.0
            cells.append(f"{value:.4g}" + (f" ({change:+.2g})" if abs(change) >= 0.0005 else ""))
            before[name] = value
        shown.append(cells)
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]
