"""``simulate runs``: the runs that are kept: list, show, compare two, follow a measure, remove old ones."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from simulate.errors import InputError
from simulate.interfaces.cli import runs_trend, say
from simulate.interfaces.cli.output_options import add_json_option
from simulate.interfaces.render.output import write_json
from simulate.interfaces.render.run_comparison import (
    causes_of,
    compare_runs,
    comparison_data,
    told,
    write_comparison_html,
)
from simulate.interfaces.render.run_reports import load_run
from simulate.interfaces.render.terminal import print_lines, print_report
from simulate.model.explain import WORD
from simulate.model.outcome import RunRecord
from simulate.run_folder import RUNS, RunFolder, find_run
from simulate.trace.find import moment

PAGE = "comparison.html"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-verbs."""
    verbs = parser.add_subparsers(dest="sub_verb", metavar="SUB-VERB", required=True)

    def add(name: str, text: str, execute: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.set_defaults(execute_runs=execute)
        return sub

    listed = add("list", "what ran, the latest last", _list)
    add_json_option(listed, "the list")
    shown = add("show", "the report of a run, its failures grouped by cause", _show)
    shown.add_argument("run", nargs="?", default="latest", metavar="RUN", help="a folder, an id, or latest")
    compared = add("compare", "what broke and what was mended from one run to another", _compare)
    compared.add_argument("before", metavar="BEFORE", help="a run's folder or id, or latest")
    compared.add_argument(
        "after", nargs="?", default="latest", metavar="AFTER", help="default: the latest run"
    )
    compared.add_argument(
        "--html", metavar="FILE", help=f"where the page goes (default: {PAGE} in AFTER's folder)"
    )
    add_json_option(compared, "the comparison")
    trend = add("trend", "a measure over the runs, such as how fast calls were answered", _trend)
    runs_trend.configure(trend)
    pruned = add("prune", "remove old runs", _prune)
    pruned.add_argument("--keep", type=int, metavar="N", help="the latest N runs stay")
    pruned.add_argument("--older-than", metavar="AGE", help="younger ones stay: 30d, 12h, or a date")
    pruned.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def execute(args: argparse.Namespace) -> int:
    """Run the sub-verb."""
    return int(args.execute_runs(args))


def _runs() -> list[tuple[Path, RunRecord]]:
    """All runs of this project, the latest last."""
    found = [(path.parent, RunFolder(path.parent).read_run()) for path in RUNS.glob("*/run.json")]
    return sorted(found, key=lambda each: (each[1].started, each[0].name))


def _find(name: str) -> Path:
    return find_run(None if name == "latest" else name)


def _list(args: argparse.Namespace) -> int:
    runs = _runs()
    if args.json is not None:
        write_json([{"folder": str(path), "run": record} for path, record in runs], args.json)
        if args.json == "-":
            return 0
    for path, record in runs:
        state = "" if record.ended else "  unfinished"
        began, command = record.started[:16].replace("T", " "), shlex.join(record.command)
        say(f"{path.name}  {began}  {_tally(record)}{state}  {command}")
    if not runs:
        say(f"there is no run under {RUNS}", file=sys.stderr)
    return 0


def _tally(record: RunRecord) -> str:
    told = [f"{record.counts[name]} {word}" for name, word in WORD.items() if record.counts.get(name)]
    return ", ".join(told) or "no outcomes"


def _show(args: argparse.Namespace) -> int:
    path = _find(args.run)
    record, outcomes = load_run(path)
    print_report(outcomes, reliability=record.reliability if record else ())
    for why, number in causes_of(outcomes):
        print_lines([[("dim", f"{number:>4} × "), ("", why)]])
    return 0


def _compare(args: argparse.Namespace) -> int:
    before, after = _find(args.before), _find(args.after)
    if before.resolve() == after.resolve():
        raise InputError(f"{before} would be compared with itself", hint="name two runs: simulate runs list")
    comparison = compare_runs(load_run(before), load_run(after))
    page = write_comparison_html(args.html or after / PAGE, comparison)
    write_json(comparison_data(comparison), args.json)
    if args.json != "-":
        print_lines(told(comparison))
        say(f"page: {page}")
        say("whether it is more than chance: simulate gate, with --baseline", file=sys.stderr)
    return comparison.exit_code


def _trend(args: argparse.Namespace) -> int:
    return runs_trend.execute(args, _runs())


def _prune(args: argparse.Namespace) -> int:
    if args.keep is None and args.older_than is None:
        raise InputError(
            "nothing says which runs to remove", hint="give --keep N or --older-than 30d, or both"
        )
    if args.keep is not None and args.keep < 0:
        raise InputError("--keep is at least 0")
    runs = _runs()
    old = runs[: max(0, len(runs) - (args.keep or 0))]
    if args.older_than is not None:
        until = moment(args.older_than, "--older-than")
        old = [each for each in old if moment(each[1].started, str(each[0])) < until]
    for path, _ in old:
        if args.dry_run or RunFolder(path).remove():
            say(f"{'would remove' if args.dry_run else 'removed'} {path}")
        else:
            say(f"{path} is being written, and stays", file=sys.stderr)
    say(f"{len(runs) - len(old)} of {len(runs)} runs stay", file=sys.stderr)
    return 0
