"""Writing traces: OTLP as JSON, JSON lines and protobuf. A file is whole or it is not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import orjson

from simulate.model.whole_file import write_pieces, write_whole
from simulate.trace.otlp.encode import to_json, to_protobuf
from simulate.trace.span import Span

BATCH = 512
"""Spans a line of a JSON lines file, as the SDK's batch processor exports them."""


def write_otlp_json(path: Path | str, spans: Iterable[Span]) -> None:
    """One document, indented for people."""
    write_whole(path, orjson.dumps(to_json(spans), option=orjson.OPT_INDENT_2), b"\n")


def write_otlp_jsonl(path: Path | str, spans: Iterable[Span]) -> None:
    """One export request a line; takes any number of spans without holding them all."""
    write_pieces(path, otlp_lines(spans))


def otlp_lines(spans: Iterable[Span]) -> Iterator[bytes]:
    """The lines of `write_otlp_jsonl`."""
    for batch in _batched(spans, BATCH):
        yield orjson.dumps(to_json(batch)) + b"\n"


def write_otlp_protobuf(path: Path | str, spans: Iterable[Span]) -> None:
    """One ``TracesData`` message."""
    write_whole(path, to_protobuf(spans).SerializeToString())


def _batched(spans: Iterable[Span], size: int) -> Iterator[list[Span]]:
    rest = iter(spans)
    while batch := list(islice(rest, size)):
        yield batch
