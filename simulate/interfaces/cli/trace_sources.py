"""The trace files that a command reads: named, and read, in the same way by every verb."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from simulate.errors import TraceFileError
from simulate.trace.files.reader import iter_traces
from simulate.trace.span import Trace


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare ``PATH …`` and ``--tolerant``."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="PATH",
        help="trace files of any format, gz or zip, or folders of them; - for stdin",
    )
    parser.add_argument("--tolerant", action="store_true", help="read what is whole of broken files")


def traces(args: argparse.Namespace) -> Iterator[Trace]:
    """The traces that the arguments name; files that had to be left out are told on stderr."""
    # the readers of every format are imported by whoever reads, not by `simulate --help`
    skipped: list[TraceFileError] = []
    yield from iter_traces(*args.files, tolerant=args.tolerant, skipped=skipped)
    for error in skipped:
        print(f"! left out: {error.where}: {error.message}", file=sys.stderr)
