"""Zipkin v2: a list of spans, µs, tags that are texts."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulate.model.text import line
from simulate.trace.files import base
from simulate.trace.files.base import Format, Notes, Record
from simulate.trace.span import Attributes, Event, Span

_MARKS = (
    "localEndpoint",
    "remoteEndpoint",
    "annotations",
    "shared",
    "debug",
    "duration",
    "timestamp",
    "tags",
)


def fits(document: Any) -> bool:
    """A span, a list of spans, or a list of traces that are lists of spans."""
    if isinstance(document, list):
        return bool(document) and fits(document[0])
    return (
        isinstance(document, dict)
        and "traceId" in document
        and "id" in document
        and not any(key in document for key in ("spanId", "type", "attributes", "startTime"))
        and any(key in document for key in _MARKS)
    )


def spans(document: Any, notes: Notes) -> Iterator[Span]:
    """The spans of the document."""
    for item in document if isinstance(document, list) else [document]:
        yield from base.each(item if isinstance(item, list) else [item], lambda raw: _span(raw, notes), notes)


def _span(raw: Record, notes: Notes) -> Span:
    name = str(raw.get("name") or "")
    where = f"span {line(name, 40)}"
    start = base.nanoseconds(raw.get("timestamp"), notes, where, due="microseconds")
    tags: Attributes = dict(raw.get("tags") or {})
    failed = "error" in tags and str(tags["error"]).lower() != "false"
    endpoint = raw.get("localEndpoint") or {}
    if raw.get("shared"):
        tags["zipkin.shared"] = True
    return Span(
        _id(raw["traceId"], 32, notes, "a trace id", where),
        _id(raw["id"], 16, notes, "a span id", where),
        name,
        _id(raw["parentId"], 16, notes, "a parent id", where) if raw.get("parentId") else None,
        start,
        base.lasting(start, raw.get("duration"), 1000, notes, where),
        tags,
        [
            Event(
                str(mark.get("value") or ""),
                base.nanoseconds(mark.get("timestamp"), notes, where, due="microseconds"),
            )
            for mark in raw.get("annotations") or ()
        ],
        status="error" if failed else base.status_code(tags.get("otel.status_code")),
        status_message=str(tags["error"]) if failed and str(tags["error"]).lower() != "true" else None,
        otel_kind=base.otel_kind(raw.get("kind") or "internal"),
        scope=str(tags.get("otel.scope.name") or tags.get("otel.library.name") or ""),
        resource={"service.name": str(endpoint["serviceName"])} if endpoint.get("serviceName") else {},
    )


def _id(value: Any, digits: int, notes: Notes, what: str, where: str) -> str:
    """Zipkin's ids have 64 or 128 bits."""
    if isinstance(value, str) and 0 < len(value) < digits and base.HEX.fullmatch(value):
        value = value.zfill(digits)
    return base.hex_id(value, digits, notes, what, where)


FORMAT = Format("Zipkin", 50, fits, spans)
