"""OTLP: the shape in which OpenTelemetry itself writes traces, as JSON, JSON lines and protobuf.

The reader takes what real exporters write: camelCase and snake_case, enums as numbers or names, 64-bit
integers as numbers or texts, ``instrumentationLibrarySpans`` of the years before 2022. Ids are hex as the
OTLP specification says; base64 is recognised (`base.hex_id`). The generic protobuf JSON readers corrupt ids
silently, which is why none is used here. Reading is made for speed: see ``benchmarks/reading.py``.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulate.trace.files import base as _base
from simulate.trace.files.base import HUGE, NANO_CEILING, NANO_FLOOR, Notes, Record
from simulate.trace.span import Attributes, Event, Link, Span

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

NAME = "OTLP JSON"

SOURCE_IDS = "simulate.source.ids"
"""Ids of sources that do not use OpenTelemetry's (Langfuse, LangSmith): the writer derives OTLP ids and keeps
the source's in this attribute; the reader puts them back."""

_RESOURCE_SPANS = ("resourceSpans", "resource_spans", "batches")
_SCOPE_SPANS = (
    "scopeSpans",
    "scope_spans",
    "instrumentationLibrarySpans",
    "instrumentation_library_spans",
    "ilSpans",
)


def fits(document: Any) -> bool:
    """Whether this is an OTLP document: an object with ``resourceSpans``, or a list of such objects."""
    if isinstance(document, list):
        return bool(document) and fits(document[0])
    return isinstance(document, dict) and any(key in document for key in ("resourceSpans", "resource_spans"))


def spans_from_json(document: Any, notes: Notes | None = None) -> Iterator[Span]:
    """The spans of ``{"resourceSpans": […]}``, of one ResourceSpans, or of a list of either."""
    notes = notes or Notes()
    for part in document if isinstance(document, list) else [document]:
        if not isinstance(part, dict):
            raise notes.refuse(f"expected an object with resourceSpans, found {_base.kind_of(part)}")
        blocks = _first(part, _RESOURCE_SPANS)
        if blocks is None and _first(part, _SCOPE_SPANS) is not None:
            blocks = [part]
        for block in _list(blocks, "resourceSpans", notes):
            yield from _resource_spans(block, notes)


def _resource_spans(block: Record, notes: Notes) -> Iterator[Span]:
    resource = attributes(_object(block.get("resource"), "resource", notes).get("attributes"), notes)
    for group in _list(_first(block, _SCOPE_SPANS), "scopeSpans", notes):
        scope = group.get("scope") or group.get("instrumentationLibrary") or {}
        scope = _object(scope or group.get("instrumentation_library"), "scope", notes)
        name, version = str(scope.get("name") or ""), _base.text_or_none(scope.get("version"))
        more = attributes(scope.get("attributes"), notes)

        def make(
            raw: Record, name: str = name, version: str | None = version, more: Attributes = more
        ) -> Span:
            return _span(raw, resource, name, version, more, notes)

        yield from _base.each(group.get("spans") or [], make, notes)


def _span(
    raw: Record,
    resource: Attributes,
    scope: str,
    version: str | None,
    scope_attributes: Attributes,
    notes: Notes,
) -> Span:
    name = raw.get("name")
    if type(name) is not str:
        name = "" if name is None else str(name)
    get = raw.get
    trace_id = get("traceId") or get("trace_id")
    span_id = get("spanId") or get("span_id")
    # ids and times in the form that nearly all files have are taken without a call
    if not (type(trace_id) is str and len(trace_id) == 32 and _is_hex(trace_id)):
        trace_id = _base.hex_id(trace_id, 32, notes, "a trace id", f"span {_base.printable(name, 40)}")
    if not (type(span_id) is str and len(span_id) == 16 and _is_hex(span_id)):
        span_id = _base.hex_id(span_id, 16, notes, "a span id", f"span {_base.printable(name, 40)}")
    start = get("startTimeUnixNano", get("start_time_unix_nano"))
    end = get("endTimeUnixNano", get("end_time_unix_nano"))
    kept = get("attributes")
    status = get("status")
    dropped = 0
    for key in _DROPPED:
        if key in raw:
            dropped += int(raw[key] or 0)
    span = Span(
        trace_id.lower(),
        span_id.lower(),
        name,
        _parent(get("parentSpanId") or get("parent_span_id"), notes, name),
        _time(start, notes, name) or 0,
        _time(end, notes, name),
        attributes(kept, notes, name) if kept else {},
        [_event(event, notes, name) for event in get("events") or ()],
        [_link(link, notes, name) for link in get("links") or ()],
        _base.status_code(status.get("code", 0)) if status else "unset",
        _base.text_or_none(status.get("message")) if status else None,
        _base.otel_kind(get("kind", 0)),
        scope,
        version,
        resource,
        scope_attributes,
        _base.text_or_none(get("traceState") or get("trace_state")),
        _flags(get("flags")),
        dropped,
    )
    if SOURCE_IDS in span.attributes:
        restore_ids(span)
    return span


_DROPPED = (
    "droppedAttributesCount",
    "droppedEventsCount",
    "droppedLinksCount",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
)
_is_hex = _base.HEX.fullmatch


def _time(value: Any, notes: Notes, name: str) -> int | None:
    try:
        moment = int(value) if type(value) is str or type(value) is int else 0
    except ValueError:
        moment = 0
    if NANO_FLOOR <= moment <= NANO_CEILING:
        return moment
    read = _base.nanoseconds(value, notes, f"span {_base.printable(name, 40)}") or None
    if read is not None and isinstance(value, str) and "-" in value:
        notes.say("times are texts where nanoseconds are due; read as ISO 8601")
    return read


def _flags(value: Any) -> int | None:
    return int(value) & 0xFFFFFFFF if value else None


def _parent(value: Any, notes: Notes, name: str) -> str | None:
    if not value:
        return None
    if not (type(value) is str and len(value) == 16 and _is_hex(value)):
        value = _base.hex_id(value, 16, notes, "a parent span id", f"span {_base.printable(name, 40)}")
    return None if value == _base.NO_SPAN else value.lower()


def _event(raw: Record, notes: Notes, name: str) -> Event:
    when = raw.get("timeUnixNano") or raw.get("time_unix_nano")
    return Event(
        str(raw.get("name") or ""),
        _time(when, notes, name) or 0,
        attributes(raw.get("attributes"), notes, name),
    )


def _link(raw: Record, notes: Notes, name: str) -> Link:
    where = f"span {_base.printable(name, 40)}"
    kept = attributes(raw.get("attributes"), notes, name)
    if SOURCE_IDS in kept:
        trace_id, span_id = kept.pop(SOURCE_IDS)
        return Link(trace_id, span_id, kept)
    return Link(
        _base.hex_id(raw.get("traceId") or raw.get("trace_id"), 32, notes, "a link's trace id", where),
        _base.hex_id(raw.get("spanId") or raw.get("span_id"), 16, notes, "a link's span id", where),
        kept,
    )


def restore_ids(span: Span) -> None:
    """Put back the ids that the source had, where the writer had to derive OTLP ids for them."""
    ids = span.attributes[SOURCE_IDS]
    if isinstance(ids, list) and len(ids) == 3 and all(isinstance(part, str) for part in ids):
        del span.attributes[SOURCE_IDS]
        span.trace_id, span.span_id, span.parent_id = ids[0], ids[1], ids[2] or None


# -- values ----------------------------------------------------------------------------------------------


def attributes(pairs: Any, notes: Notes | None = None, span: str | None = None) -> Attributes:
    """``[{key, value: {stringValue: …}}]`` as a dict; ``span`` is the name that a note should tell."""
    kept: Attributes = {}
    for pair in pairs or ():
        value = pair.get("value")
        key = pair["key"]
        if type(key) is not str:
            key = str(key)
        if type(value) is dict:
            text = value.get("stringValue")
            if text is not None:
                if type(text) is not str:
                    text = str(text)
                if len(text) > HUGE and notes is not None:
                    where = "" if span is None else f"span {_base.printable(span, 40)}"
                    notes.say(f"attribute {_base.printable(key, 60)} holds {len(text) / 1e6:.1f} MB", where)
                kept[key] = text
                continue
        kept[key] = any_value(value)
    return kept


def any_value(value: Any) -> Any:
    """OTLP's AnyValue as a Python value; None for an empty one."""
    if not value:
        return None
    if type(value) is not dict:
        raise TypeError(f"an attribute's value must be an AnyValue object, not {_base.kind_of(value)}")
    for key, inner in value.items():
        decode = _DECODERS.get(key)
        if decode is not None:
            return None if inner is None else decode(inner)
    raise ValueError(
        f"an attribute's value has none of the known types, but {_base.printable(str(list(value)), 60)}"
    )


def _boolean(value: Any) -> bool:
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _array(value: Any) -> list[Any]:
    return [any_value(item) for item in value.get("values") or ()]


def _kvlist(value: Any) -> Attributes:
    return attributes(value.get("values"))


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value, validate=True)


_DECODERS: dict[str, Any] = {
    "stringValue": str,
    "string_value": str,
    "intValue": int,
    "int_value": int,
    "boolValue": _boolean,
    "bool_value": _boolean,
    "doubleValue": float,
    "double_value": float,
    "arrayValue": _array,
    "array_value": _array,
    "kvlistValue": _kvlist,
    "kvlist_value": _kvlist,
    "bytesValue": _bytes,
    "bytes_value": _bytes,
}


def _first(record: Record, keys: tuple[str, ...]) -> Any:
    return next((record[key] for key in keys if record.get(key) is not None), None)


def _list(value: Any, what: str, notes: Notes) -> list[Record]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise notes.refuse(f"{what} must be a list of objects, found {_base.kind_of(value)}")
    return value


def _object(value: Any, what: str, notes: Notes) -> Record:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise notes.refuse(f"{what} must be an object, found {_base.kind_of(value)}")
    return value


# -- the other doors: protobuf, writing (imported when they are used) -------------------------------------


def spans_from_request(request: ExportTraceServiceRequest, notes: Notes | None = None) -> Iterator[Span]:
    """The spans of an export request as a receiver gets it (``TracesData`` has the same shape)."""
    from simulate.trace.otlp import protobuf

    return protobuf.spans_from_request(request, notes or Notes())


def to_request(spans: Iterable[Span]) -> ExportTraceServiceRequest:
    """An export request that holds these spans."""
    from simulate.trace.otlp import protobuf

    return protobuf.to_request(spans)


def to_otlp_json(spans: Iterable[Span]) -> Record:
    """``{"resourceSpans": […]}`` with ids as hex and 64-bit integers as texts, as OTLP JSON wants them."""
    from simulate.trace.files import writing

    return writing.to_otlp_json(spans)


def write_otlp_json(path: Path | str, spans: Iterable[Span]) -> None:
    """One OTLP JSON document."""
    from simulate.trace.files import writing

    writing.write_otlp_json(path, spans)


def write_otlp_jsonl(path: Path | str, spans: Iterable[Span]) -> None:
    """One export request a line, as the collector's file exporter writes."""
    from simulate.trace.files import writing

    writing.write_otlp_jsonl(path, spans)


def write_otlp_protobuf(path: Path | str, spans: Iterable[Span]) -> None:
    """One ``TracesData`` message."""
    from simulate.trace.files import writing

    writing.write_otlp_protobuf(path, spans)
