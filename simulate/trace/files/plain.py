"""Spans as plain JSON objects: a list of them, one a line, or what console exporters print.

Key names are those that are met: Python's ``ReadableSpan.to_json``, OpenTelemetry JS's ``ReadableSpan``,
exporters of one's own. Ids stay as they are (``0x`` is taken away), so that no convention is forced on them.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulate.model.text import line
from simulate.trace.files import base
from simulate.trace.files.base import Format, Notes, Record
from simulate.trace.otlp import decode
from simulate.trace.span import Attributes, Event, Link, Span

_TRACE = ("trace_id", "traceId", "traceID", "TraceID")
_SPAN = ("span_id", "spanId", "spanID", "SpanID")
_PARENT = ("parent_span_id", "parentSpanId", "parent_id", "parentId", "ParentSpanID", "parent")
_CONTEXT = ("context", "spanContext", "span_context", "SpanContext")
_START = (
    "startTimeUnixNano",
    "start_time_unix_nano",
    "start_time_ns",
    "start_ns",
    "startTime",
    "start_time",
    "start",
)
_END = ("endTimeUnixNano", "end_time_unix_nano", "end_time_ns", "end_ns", "endTime", "end_time", "end")
_SCOPE = ("scope", "instrumentationScope", "instrumentation_scope", "instrumentationLibrary")


def fits(document: Any) -> bool:
    """A record, or a list of records, that has a trace id and a span id somewhere we look."""
    if isinstance(document, list):
        return bool(document) and fits(document[0])
    if not isinstance(document, dict):
        return False
    if isinstance(document.get("spans"), list):
        return fits(document["spans"])
    context = _first(document, _CONTEXT)
    ids = context if isinstance(context, dict) else document
    return _first(ids, _SPAN) is not None and _first(ids, _TRACE) is not None


def spans(document: Any, notes: Notes) -> Iterator[Span]:
    """The spans of the document."""
    if isinstance(document, dict):
        document = document["spans"] if isinstance(document.get("spans"), list) else [document]
    return base.each(document, lambda raw: span(raw, notes), notes)


def span(raw: Record, notes: Notes) -> Span:
    """One span from one object."""
    name = str(raw.get("name") or "")
    where = f"span {line(name, 40)}"
    context = _first(raw, _CONTEXT)
    ids: Record = context if isinstance(context, dict) else raw
    start, end = base.times(_first(raw, _START), _first(raw, _END), notes, where)
    if end is None and start and isinstance(raw.get("duration_ms"), int | float):
        end = base.lasting(start, raw["duration_ms"], 10**6, notes, where)
    status, message = _status(raw)
    scope = _first(raw, _SCOPE)
    resource = raw.get("resource") or {}
    made = Span(
        _id(_first(ids, _TRACE), 32, notes, "a trace id", where),
        _id(_first(ids, _SPAN), 16, notes, "a span id", where),
        name,
        _parent(raw, notes, where),
        start,
        end,
        _attributes(raw.get("attributes"), notes, where),
        [_event(event, notes, where) for event in raw.get("events") or ()],
        [_link(link, notes, where) for link in raw.get("links") or ()],
        status,
        message,
        base.otel_kind(raw.get("kind", "internal")),
        str(scope.get("name") or "") if isinstance(scope, dict) else str(scope or ""),
        base.text_or_none(scope.get("version")) if isinstance(scope, dict) else None,
        _attributes(resource.get("attributes", resource) or {}, notes, where),
    )
    base.note_size(made, notes)
    return made


def _first(record: Record, keys: tuple[str, ...]) -> Any:
    return next((record[key] for key in keys if record.get(key) is not None), None)


def _id(value: Any, digits: int, notes: Notes, what: str, where: str) -> str:
    """A text as it is; an integer, as Python's ``SpanContext`` has it, as the hex that exporters send."""
    if isinstance(value, str) and value:
        return value.removeprefix("0x") or value
    if type(value) is int and 0 <= value < 16**digits:
        return f"{value:0{digits}x}"
    raise notes.refuse(f"{what} must be a text or a whole number, not {base.kind_of(value)}", where)


def _parent(raw: Record, notes: Notes, where: str) -> str | None:
    value = _first(raw, _PARENT)
    if value is None:
        value = _first(raw, ("parentSpanContext", "parent_context"))
    if isinstance(value, dict):
        value = _first(value, _SPAN)
    if value is None or value == "":
        return None
    text = _id(value, 16, notes, "a parent span id", where)
    return text if text.strip("0") else None


def _status(raw: Record) -> tuple[Any, str | None]:
    status = raw.get("status")
    if isinstance(status, dict):
        code = _first(status, ("status_code", "statusCode", "code"))
        return base.status_code(code), base.text_or_none(_first(status, ("description", "message")))
    code = base.status_code(status if status is not None else raw.get("status_code", raw.get("statusCode")))
    return code, base.text_or_none(raw.get("status_message", raw.get("statusMessage")))


def _attributes(value: Any, notes: Notes, where: str) -> Attributes:
    if isinstance(value, list):
        return decode.json_attributes(value, notes)
    return dict(base.plain_attributes(value, notes, where))


def _event(raw: Record, notes: Notes, where: str) -> Event:
    when = _first(raw, ("timeUnixNano", "time_ns", "timestamp", "time"))
    return Event(
        str(raw.get("name") or ""),
        base.nanoseconds(when, notes, where),
        _attributes(raw.get("attributes"), notes, where),
    )


def _link(raw: Record, notes: Notes, where: str) -> Link:
    context = _first(raw, _CONTEXT)
    ids: Record = context if isinstance(context, dict) else raw
    return Link(
        _id(_first(ids, _TRACE), 32, notes, "a link's trace id", where),
        _id(_first(ids, _SPAN), 16, notes, "a link's span id", where),
        _attributes(raw.get("attributes"), notes, where),
    )


FORMAT = Format("plain spans", 90, fits, spans)
