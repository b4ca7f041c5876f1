"""``simulate callers``: measure what tells good callers from those who left their part."""

from __future__ import annotations

import argparse
from pathlib import Path

from simulate.conversation.callers.labelled import TURNS, check

HELP = "hold the rules that read simulated callers against labelled turns"


def configure(parser: argparse.ArgumentParser) -> None:
    """Options as `docs/command-line.md` lists them."""
    parser.add_argument("action", choices=["check"], help="check: print precision and recall")
    parser.add_argument("--turns", metavar="FILE", type=Path, help="turns of your own, of the same shape")


def execute(args: argparse.Namespace) -> int:
    """Print what was found, missed and thrown out."""
    found = check(args.turns or TURNS)
    bad = found.bad.total()
    print(f"{found.good + bad} labelled turns: {found.good} good, {bad} bad")
    print(f"precision {found.precision:.1%}, recall {found.recall:.1%}")
    print(f"good turns thrown out: {len(found.thrown_out)} of {found.good}")
    for kind, number in sorted(found.bad.items()):
        print(f"  {kind}: {found.found[kind]} of {number} found")
    for each in found.missed:
        print(f"  missed: {each}")
    for each in found.thrown_out:
        print(f"  thrown out: {each}")
    return 0
