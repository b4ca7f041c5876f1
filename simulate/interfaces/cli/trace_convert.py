"""``simulate trace convert``: any dialect and file format to OTLP or Jaeger."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from simulate.errors import InputError
from simulate.interfaces.cli import say, trace_sources
from simulate.interfaces.cli.trace_sources import CountedSpans
from simulate.model.whole_file import write_pieces
from simulate.trace.conversations import ALL
from simulate.trace.files import documents, writing
from simulate.trace.files.base import Notes
from simulate.trace.files.reader import iter_spans
from simulate.trace.otlp import encode
from simulate.trace.span import Span
from simulate.trace.vendors.jaeger import to_jaeger

FORMATS = ("otlp-json", "otlp-jsonl", "otlp-protobuf", "jaeger")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    trace_sources.configure(parser, by_trace=True)
    parser.add_argument("--to", choices=FORMATS, default="otlp-jsonl", help="default: otlp-jsonl")
    parser.add_argument("-o", "--out", metavar="OUT", help="default: stdout")


def execute(args: argparse.Namespace) -> int:
    """Write the spans as they came; JSON lines of any size are converted without holding the file."""
    notes = Notes(documents.name_of(args.files[0]), args.tolerant)
    spans: Iterable[Span]
    if trace_sources.chosen(args) == ALL:
        spans = iter_spans(*args.files, notes=notes)
    else:
        spans = (span for trace in trace_sources.traces(args) for span in trace.spans)
    counted = CountedSpans(spans, notes.source)
    chunks = _chunks(counted, args.to)
    if args.out:
        write_pieces(args.out, chunks)
    elif args.to == "otlp-protobuf" and sys.stdout.isatty():
        raise InputError("protobuf is not for a terminal", hint="name a file with -o")
    else:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
    for sentence in notes.of(""):
        say(f"! {sentence}", file=sys.stderr)
    say(f"{counted.seen} spans", file=sys.stderr)
    return 0


def _chunks(spans: Iterable[Span], to: str) -> Iterable[bytes]:
    import orjson

    if to == "otlp-jsonl":
        yield from writing.otlp_lines(spans)
    elif to == "otlp-protobuf":
        yield encode.to_protobuf(spans).SerializeToString()
    else:
        made = to_jaeger(spans) if to == "jaeger" else encode.to_json(spans)
        yield orjson.dumps(made, option=orjson.OPT_INDENT_2) + b"\n"
