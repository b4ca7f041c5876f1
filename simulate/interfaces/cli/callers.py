"""``simulate callers``: measure what tells good callers from those who left their part."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from simulate.conversation.callers.labelled import TURNS, check
from simulate.errors import InputError
from simulate.model.loading.project import Project
from simulate.resources import Resources
from simulate.scoring.judge import Judge
from simulate.scoring.judge.labelled_callers import check_with

HELP = "hold the rules that read simulated callers against labelled turns"

_NO_READER = (
    "configure `judge` or `caller` under [tool.simulate.models], or set OPENAI_BASE_URL and OPENAI_API_KEY"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Options as `docs/command-line.md` lists them."""
    parser.add_argument("action", choices=["check"], help="check: print precision and recall")
    parser.add_argument("--turns", metavar="FILE", type=Path, help="turns of your own, of the same shape")
    parser.add_argument(
        "--reader",
        action="store_true",
        help="let the model that does so in a run (the judge, or else the caller's) read what the rules pass",
    )


def execute(args: argparse.Namespace) -> int:
    """Print what was found, missed and thrown out."""
    turns = args.turns or TURNS
    found = asyncio.run(check_with(_reader(), turns)) if args.reader else check(turns)
    bad = found.bad.total()
    print(f"{found.good + bad} labelled turns: {found.good} good, {bad} bad")
    print(f"precision {found.precision:.1%}, recall {found.recall:.1%}")
    print(f"good turns thrown out: {len(found.thrown_out)} of {found.good}")
    for kind, number in sorted(found.bad.items()):
        print(f"  {kind}: {found.found[kind]} of {number} found")
    if found.undecided:
        print(f"could not be told: {len(found.undecided)}; a failure of such a trial is not run")
        print(f"  {found.undecided[0]}")
    for each in found.missed:
        print(f"  missed: {each}")
    for each in found.thrown_out:
        print(f"  thrown out: {each}")
    return 0


def _reader() -> Judge:
    """The model that reads callers' lines in a run. Raises InputError where there is none."""
    reader = Resources(Project.find(Path.cwd()), []).caller_reader
    if reader is None:
        raise InputError("no model is configured to read callers' lines", hint=_NO_READER)
    return reader
