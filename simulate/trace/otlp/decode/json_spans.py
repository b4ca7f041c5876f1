"""Spans of OTLP as JSON, as real exporters write it."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

from simulate.model.text import line
from simulate.trace.files import base
from simulate.trace.files.base import HUGE, NANO_CEILING, NANO_FLOOR, Notes, Record
from simulate.trace.otlp.decode.shared import Origin, note_size, odd_time, place, whole_number
from simulate.trace.otlp.ids import SOURCE_IDS, restore_ids
from simulate.trace.span import Attributes, Event, Link, Span

_TRACE_ID = re.compile(r"[0-9a-f]{32}").fullmatch
_SPAN_ID = re.compile(r"[0-9a-f]{16}").fullmatch
_RESOURCE_SPANS = ("resourceSpans", "resource_spans", "batches")
_SCOPE_SPANS = (
    "scopeSpans",
    "scope_spans",
    "instrumentationLibrarySpans",
    "instrumentation_library_spans",
    "ilSpans",
)
_SURELY_64_BITS = 19
"""Integers of fewer characters have no more than 64 bits."""
_DROPPED = frozenset({
    "droppedAttributesCount",
    "droppedEventsCount",
    "droppedLinksCount",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
})  # fmt: skip


def from_json(document: Any, notes: Notes | None = None) -> Iterator[Span]:
    """The spans of ``{"resourceSpans": […]}``, of one ResourceSpans, or of a list of either.

    Raises TraceFileError for what is no OTLP; with tolerant ``notes``, a span that cannot be read is left out
    and noted."""
    notes = notes or Notes()
    for part in document if isinstance(document, list) else [document]:
        if not isinstance(part, dict):
            raise notes.refuse(f"expected an object with resourceSpans, found {base.kind_of(part)}")
        blocks = _first(part, _RESOURCE_SPANS)
        if blocks is None and _first(part, _SCOPE_SPANS) is not None:
            blocks = [part]
        for block in _list(blocks, "resourceSpans", notes):
            yield from _resource_spans(block, notes)


def _resource_spans(block: Record, notes: Notes) -> Iterator[Span]:
    resource = json_attributes(_object(block.get("resource"), "resource", notes).get("attributes"), notes)
    for group in _list(_first(block, _SCOPE_SPANS), "scopeSpans", notes):
        scope = group.get("scope") or group.get("instrumentationLibrary") or {}
        scope = _object(scope or group.get("instrumentation_library"), "scope", notes)
        version, attributes = base.text_or_none(scope.get("version")), scope.get("attributes")
        origin = Origin(resource, str(scope.get("name") or ""), version, json_attributes(attributes, notes))

        def make(raw: Record, origin: Origin = origin) -> Span:
            return _json_span(raw, origin, notes)

        yield from base.each(group.get("spans") or [], make, notes)


def _json_span(raw: Record, origin: Origin, notes: Notes) -> Span:
    get = raw.get
    name = get("name")
    if type(name) is not str:
        name = "" if name is None else str(name)
    trace_id = get("traceId") or get("trace_id")
    span_id = get("spanId") or get("span_id")
    # ids and times in the form that nearly all files have are taken without a call
    if not (type(trace_id) is str and _TRACE_ID(trace_id)):
        trace_id = base.hex_id(trace_id, 32, notes, "a trace id", place(name))
    if not (type(span_id) is str and _SPAN_ID(span_id)):
        span_id = base.hex_id(span_id, 16, notes, "a span id", place(name))
    status, attributes, dropped = get("status"), get("attributes"), 0
    events, links, flags = get("events"), get("links"), get("flags")
    if not _DROPPED.isdisjoint(raw):
        dropped = sum(int(raw.get(key) or 0) for key in _DROPPED)
    span = Span(
        trace_id,
        span_id,
        name,
        _json_parent(get("parentSpanId") or get("parent_span_id"), notes, name),
        _json_time(get("startTimeUnixNano", get("start_time_unix_nano")), notes, name),
        _json_time(get("endTimeUnixNano", get("end_time_unix_nano")), notes, name) or None,
        json_attributes(attributes, notes, name) if attributes else {},
        [_json_event(event, notes, name) for event in events] if events else [],
        [_json_link(link, notes, name) for link in links] if links else [],
        base.status_code(status.get("code", 0)) if status else "unset",
        base.text_or_none(status.get("message")) if status else None,
        base.otel_kind(get("kind", 0)),
        origin.scope,
        origin.version,
        origin.resource,
        origin.attributes,
        base.text_or_none(get("traceState") or get("trace_state")),
        int(flags) & 0xFFFFFFFF if flags else None,
        dropped,
    )
    if SOURCE_IDS in span.attributes:
        restore_ids(span)
    return span


def _json_time(value: Any, notes: Notes, name: str) -> int:
    try:
        moment = int(value) if type(value) is str or type(value) is int else 0
    except ValueError:
        moment = 0
    if NANO_FLOOR <= moment <= NANO_CEILING:
        return moment
    moment = odd_time(value, notes, name)
    if moment and isinstance(value, str) and "-" in value:
        notes.say("times are texts where nanoseconds are due; read as ISO 8601")
    return moment


def _json_parent(value: Any, notes: Notes, name: str) -> str | None:
    if not value:
        return None
    if not (type(value) is str and _SPAN_ID(value)):
        value = base.hex_id(value, 16, notes, "a parent span id", place(name))
    return None if value == base.NO_SPAN else value


def _json_event(raw: Record, notes: Notes, name: str) -> Event:
    when = raw.get("timeUnixNano") or raw.get("time_unix_nano")
    attributes = json_attributes(raw.get("attributes"), notes, name)
    return Event(str(raw.get("name") or ""), _json_time(when, notes, name), attributes)


def _json_link(raw: Record, notes: Notes, name: str) -> Link:
    where = place(name)
    link = Link(
        base.hex_id(raw.get("traceId") or raw.get("trace_id"), 32, notes, "a link's trace id", where),
        base.hex_id(raw.get("spanId") or raw.get("span_id"), 16, notes, "a link's span id", where),
        json_attributes(raw.get("attributes"), notes, name),
    )
    restore_ids(link)
    return link


def json_attributes(pairs: Any, notes: Notes | None = None, name: str = "") -> Attributes:
    """``[{key, value: {stringValue: …}}]`` as a dict; notes tell ``name``, the span's."""
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
                    note_size(key, text, notes, name)
                kept[key] = text
                continue
            number = value.get("intValue")
            if type(number) is str and len(number) < _SURELY_64_BITS:
                kept[key] = int(number)
                continue
        kept[key] = _json_value(value)
    return kept


def _json_value(value: Any) -> Any:
    """OTLP's AnyValue as a Python value; None for an empty one."""
    if not value:
        return None
    if type(value) is not dict:
        raise TypeError(f"an attribute's value must be an AnyValue object, not {base.kind_of(value)}")
    for key, inner in value.items():
        decode = _DECODERS.get(key)
        if decode is not None:
            return None if inner is None else decode(inner)
    raise ValueError(f"an attribute's value has none of the known types, but {line(str(list(value)), 60)}")


def _boolean(value: Any) -> bool:
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _integer(value: Any) -> int | str:
    return whole_number(int(value))


def _array(value: Any) -> list[Any]:
    return [_json_value(item) for item in value.get("values") or ()]


def _kvlist(value: Any) -> Attributes:
    return json_attributes(value.get("values"))


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value, validate=True)


_BY_TYPE: dict[str, Any] = {
    "string": str,
    "int": _integer,
    "bool": _boolean,
    "double": float,
    "array": _array,
    "kvlist": _kvlist,
    "bytes": _bytes,
}
_DECODERS = {f"{name}{end}": decode for name, decode in _BY_TYPE.items() for end in ("Value", "_value")}


def _first(record: Record, keys: tuple[str, ...]) -> Any:
    return next((record[key] for key in keys if record.get(key) is not None), None)


def _list(value: Any, what: str, notes: Notes) -> list[Record]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise notes.refuse(f"{what} must be a list of objects, found {base.kind_of(value)}")
    return value


def _object(value: Any, what: str, notes: Notes) -> Record:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise notes.refuse(f"{what} must be an object, found {base.kind_of(value)}")
    return value
