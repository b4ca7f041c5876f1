"""OTLP files: JSON documents, JSON lines, protobuf as one message or a length-prefixed sequence of them."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from simulate.trace.files.base import Format, Notes
from simulate.trace.otlp import decode
from simulate.trace.span import Span

PREFIX = 4
"""The collector's file exporter writes each message after its length in four bytes, the highest first."""
OTHER_SIGNALS = {
    "resourceLogs": "logs",
    "resource_logs": "logs",
    "resourceMetrics": "metrics",
    "resource_metrics": "metrics",
    "resourceProfiles": "profiles",
    "resource_profiles": "profiles",
}
"""What a collector writes into the same file beside traces."""


def fits(document: Any) -> bool:
    """Whether this is an export request of any signal, or a list of such."""
    if isinstance(document, list):
        return bool(document) and fits(document[0])
    signals = ("resourceSpans", "resource_spans", *OTHER_SIGNALS)
    return isinstance(document, dict) and any(key in document for key in signals)


def spans(document: Any, notes: Notes) -> Iterator[Span]:
    """The spans of the document; its other signals are counted in a note."""
    for part in document if isinstance(document, list) else [document]:
        for key, signal in OTHER_SIGNALS.items():
            if isinstance(part, dict) and key in part:
                notes.say(f"the file also holds {signal}, which are not read")
    return decode.from_json(document, notes)


def is_protobuf(head: bytes) -> bool:
    """Whether these first bytes of a file can be OTLP protobuf."""
    return head.lstrip()[:1] not in (b"{", b"[", b"<", b"") and (head[:1] == b"\x0a" or _is_prefixed(head))


def _is_prefixed(head: bytes) -> bool:
    # a message of 160 MB and more would start with a byte 0x0a of its own; none is that long
    return len(head) > PREFIX and head[0] < 0x08 and head[PREFIX] == 0x0A and head[:PREFIX] != bytes(PREFIX)


def from_protobuf(stream: BinaryIO, notes: Notes) -> Iterator[Span]:
    """The spans of a file that starts like protobuf."""
    # protobuf's modules take 20 ms to import, and most files are JSON
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for body in _messages(stream, notes):
        try:
            request = ExportTraceServiceRequest.FromString(body)
        except DecodeError as error:
            raise notes.refuse(
                "starts like OTLP protobuf but cannot be decoded: cut short, or another message"
            ) from error
        yield from decode.from_protobuf(request, notes)


def _messages(stream: BinaryIO, notes: Notes) -> Iterator[bytes]:
    head = stream.read(PREFIX + 1)
    if head[:1] == b"\x0a" and not _is_prefixed(head):
        yield head + stream.read()
        return
    while head:
        size = int.from_bytes(head[:PREFIX], "big")
        body = head[PREFIX:] + stream.read(size - len(head) + PREFIX)
        if len(body) < size:
            problem = "the file ends in the middle of a message"
            if not notes.tolerant:
                raise notes.refuse(problem, hint="read what is whole with --tolerant")
            notes.say(problem)
            return
        yield body
        head = stream.read(PREFIX + 1)


FORMAT = Format("OTLP", 0, fits, spans, streams=((is_protobuf, from_protobuf),))
