"""The trace files that a command reads: named, chosen from, and read in the same way by every verb."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from simulate.errors import InputError, TraceFileError
from simulate.interfaces.cli import say
from simulate.trace.conversations import ALL, Choice, iter_conversations, parts, read_conversations
from simulate.trace.files.reader import iter_traces
from simulate.trace.span import Span, Trace

PATHS = "trace files of any format, gz or zip, or folders of them; - for stdin"


def configure(parser: argparse.ArgumentParser, *, by_trace: bool = False) -> None:
    """Declare ``PATH …`` and the options of reading; ``by_trace`` declares ``--trace``, too."""
    parser.add_argument("files", nargs="+", metavar="PATH", help=PATHS)
    add_reading_options(parser, by_trace=by_trace)


def add_reading_options(parser: argparse.ArgumentParser, *, by_trace: bool = True) -> None:
    """Declare ``--conversation``, ``--trace`` and ``--tolerant`` for a verb that names its files itself."""
    parser.add_argument(
        "--conversation", metavar="ID",
        help="only this conversation, whichever of its traces, sessions or conversation ids (or the "
        "beginning of one) you name",
    )  # fmt: skip
    if by_trace:
        parser.add_argument("--trace", metavar="ID", help="only this trace, not all of its conversation")
    parser.add_argument("--tolerant", action="store_true", help="read the intact part of broken files")


def chosen(args: argparse.Namespace) -> Choice:
    """What ``--conversation`` and ``--trace`` choose."""
    choice = Choice(args.conversation, getattr(args, "trace", None))
    if choice.conversation is not None and choice.trace is not None:
        raise InputError("--conversation and --trace choose differently", hint="give one of them")
    return choice


def traces(args: argparse.Namespace) -> Iterator[Trace]:
    """Each trace that the arguments name, by itself; files that had to be left out are told on stderr."""
    skipped: list[TraceFileError] = []
    choice = chosen(args)
    if choice == ALL:
        yield from iter_traces(*args.files, tolerant=args.tolerant, skipped=skipped)
    else:
        yield from parts(*args.files, choice=choice, tolerant=args.tolerant, skipped=skipped)
    tell(skipped)


def conversations(args: argparse.Namespace, *files: str | Path) -> list[Trace]:
    """Each conversation in the files (those of the arguments unless given) as one trace, all at once; files
    that had to be left out are told on stderr."""
    skipped: list[TraceFileError] = []
    paths = files or tuple(args.files)
    found = read_conversations(*paths, choice=chosen(args), tolerant=args.tolerant, skipped=skipped)
    tell(skipped)
    return found


def each(args: argparse.Namespace, files: Sequence[str]) -> Iterator[Trace]:
    """As `conversations`, one at a time."""
    skipped: list[TraceFileError] = []
    choice = chosen(args)
    yield from iter_conversations(*files, choice=choice, tolerant=args.tolerant, skipped=skipped)
    tell(skipped)


def tell(skipped: list[TraceFileError]) -> None:
    """Say on stderr which files were left out, and why."""
    for error in skipped:
        say(f"! left out: {error.where}: {error.message}", file=sys.stderr)


class CountedSpans:
    """Spans on their way to where they are written; InputError in place of the end where none came, so that
    no empty file is written."""

    def __init__(self, spans: Iterable[Span], where: str | None) -> None:
        self._spans, self._where = iter(spans), where
        self.seen = 0

    def __iter__(self) -> Iterator[Span]:
        return self

    def __next__(self) -> Span:
        try:
            span = next(self._spans)
        except StopIteration:
            if not self.seen:
                raise InputError("the file holds no spans", where=self._where) from None
            raise
        self.seen += 1
        return span
