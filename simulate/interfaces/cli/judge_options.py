"""What bounds and words the judge, for the verbs that ask it."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_judge_options(parser: argparse.ArgumentParser) -> None:
    """``--prompts``, ``--judge-cache``, ``--judge-calls``."""
    add = parser.add_argument
    add("--prompts", metavar="DIR", type=Path, help="questions for the judge that replace ours, by file name")
    add(
        "--judge-cache",
        metavar="DIR",
        type=Path,
        help="keep judgements there, so that none is paid for twice",
    )
    add(
        "--judge-calls",
        metavar="N",
        type=int,
        help="the most calls of the judge's model that may be paid for",
    )
