"""``simulate trace redact``: secrets and personal data out, before a trace is stored or shown around."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from simulate.errors import InputError
from simulate.interfaces.cli import say, trace_sources
from simulate.interfaces.cli.trace_sources import CountedSpans
from simulate.model.whole_file import write_pieces
from simulate.trace.conversations import ALL
from simulate.trace.files.reader import iter_spans
from simulate.trace.files.writing import otlp_lines
from simulate.trace.redaction.people import finder
from simulate.trace.redaction.redact import Redactor
from simulate.trace.span import Span


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    trace_sources.configure(parser, by_trace=True)
    parser.add_argument("-o", "--out", metavar="OUT", help="OTLP JSON lines; default: stdout")
    parser.add_argument(
        "--pattern", action="append", default=[], metavar="KIND=REGEX", help="redact this too"
    )
    parser.add_argument(
        "--path", action="append", default=[], metavar="PATH",
        help="redact the values at this path: attributes.user.id, **.customer.name",
    )  # fmt: skip
    parser.add_argument("--names", action="store_true", help="names of people too (extra pii)")
    parser.add_argument(
        "--key", metavar="env:NAME",
        help="variable with a key, for the same placeholders in every run (default: random)",
    )  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Write the redacted spans and say how many of each kind there were, never which."""
    redactor = _redactor(args)

    def redacted() -> Iterator[Span]:
        spans = iter_spans(*args.files, tolerant=args.tolerant)
        if trace_sources.chosen(args) != ALL:
            spans = (span for trace in trace_sources.traces(args) for span in trace.spans)
        yield from map(redactor.span, CountedSpans(spans, ", ".join(args.files)))

    if args.out:
        write_pieces(args.out, otlp_lines(redacted()))
    else:
        for line in otlp_lines(redacted()):
            sys.stdout.buffer.write(line)
    found = ", ".join(f"{count} × {kind}" for kind, count in sorted(redactor.counts.items()))
    say(f"redacted: {found or 'nothing was found'}", file=sys.stderr)
    return 0


def _redactor(args: argparse.Namespace) -> Redactor:
    patterns: dict[str, str] = {}
    for given in args.pattern:
        kind, equals, pattern = given.partition("=")
        if not equals:
            raise InputError(
                f"--pattern {given!r} has no =", hint="write KIND=REGEX, such as customer=C-[0-9]{4}"
            )
        patterns[kind] = pattern
    key = None
    if args.key is not None:
        name = args.key.removeprefix("env:")
        if name == args.key:
            raise InputError("a key is not written on the command line", hint="--key env:NAME")
        key = os.environ.get(name)
        if not key:
            raise InputError(f"the variable {name} is not set")
    finders = []
    if args.names:
        finders = [finder()]
    return Redactor(key, patterns, args.path, finders)
