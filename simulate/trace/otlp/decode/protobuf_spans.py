"""Spans of OTLP as protobuf messages."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from simulate.trace.files import base
from simulate.trace.files.base import HUGE, KINDS, NANO_CEILING, NANO_FLOOR, STATUSES, Notes
from simulate.trace.otlp.decode.shared import Origin, note_size, odd_time, place, time
from simulate.trace.otlp.ids import SOURCE_IDS, restore_ids
from simulate.trace.span import Attributes, Event, Link, Span

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1 import trace_pb2

    Block = tuple[trace_pb2.ResourceSpans, trace_pb2.ScopeSpans, Sequence[trace_pb2.Span]]
    """Spans of one scope as they arrived, not yet looked into."""

_NO_PARENT = bytes(8)


class ExportRequest(Protocol):
    """What ``ExportTraceServiceRequest`` and ``TracesData`` have in common."""

    @property
    def resource_spans(self) -> Iterable[trace_pb2.ResourceSpans]: ...


def from_protobuf(request: ExportRequest, notes: Notes | None = None) -> Iterator[Span]:
    """The spans of an export request; raises as `from_json` does."""
    blocks = ((one, scope, scope.spans) for one in request.resource_spans for scope in one.scope_spans)
    return from_blocks(blocks, notes)


def from_blocks(blocks: Iterable[Block], notes: Notes | None = None) -> Iterator[Span]:
    """The spans of these blocks; those of one resource and scope share one dict of each."""
    notes = notes or Notes()
    last: trace_pb2.ResourceSpans | None = None
    resource: Attributes = {}
    for of_resource, of_scope, spans in blocks:
        if of_resource is not last:
            last, resource = of_resource, attributes(of_resource.resource.attributes, notes)
        scope = of_scope.scope
        origin = Origin(resource, scope.name, scope.version or None, attributes(scope.attributes, notes))

        def make(raw: trace_pb2.Span, origin: Origin = origin) -> Span:
            return _span(raw, origin, notes)

        yield from base.each(spans, make, notes)


def _span(raw: trace_pb2.Span, origin: Origin, notes: Notes) -> Span:
    """One span. Each access of a message's field makes an object, so nothing is asked for twice."""
    name, status = raw.name, raw.status
    trace_id, span_id, parent_id = raw.trace_id, raw.span_id, raw.parent_span_id
    start, end = raw.start_time_unix_nano, raw.end_time_unix_nano
    pairs, events, links = raw.attributes, raw.events, raw.links
    code, kind = status.code, raw.kind
    span = Span(
        trace_id.hex() if len(trace_id) == 16 else _odd_id(trace_id, 32, notes, "a trace id", name),
        span_id.hex() if len(span_id) == 8 else _odd_id(span_id, 16, notes, "a span id", name),
        name,
        _parent(parent_id, notes, name) if parent_id else None,
        start if NANO_FLOOR <= start <= NANO_CEILING else odd_time(start, notes, name),
        end if NANO_FLOOR <= end <= NANO_CEILING else odd_time(end, notes, name) or None,
        attributes(pairs, notes, name) if pairs else {},
        [_event(event, notes, name) for event in events] if events else [],
        [_link(link, notes, name) for link in links] if links else [],
        STATUSES[code] if 0 <= code < 3 else "unset",
        status.message or None,
        KINDS[kind] if 0 <= kind < 6 else "unspecified",
        origin.scope,
        origin.version,
        origin.resource,
        origin.attributes,
        raw.trace_state or None,
        raw.flags or None,
        raw.dropped_attributes_count + raw.dropped_events_count + raw.dropped_links_count,
    )
    if SOURCE_IDS in span.attributes:
        restore_ids(span)
    return span


def _parent(raw: bytes, notes: Notes, name: str) -> str | None:
    if raw == _NO_PARENT:
        return None
    return raw.hex() if len(raw) == 8 else _odd_id(raw, 16, notes, "a parent span id", name)


def _odd_id(raw: bytes, digits: int, notes: Notes, what: str, name: str) -> str:
    return base.hex_from_bytes(raw, digits, notes, what, place(name))


def _event(raw: trace_pb2.Span.Event, notes: Notes, name: str) -> Event:
    return Event(raw.name, time(raw.time_unix_nano, notes, name), attributes(raw.attributes, notes, name))


def _link(raw: trace_pb2.Span.Link, notes: Notes, name: str) -> Link:
    link = Link(
        _odd_id(raw.trace_id, 32, notes, "a link's trace id", name),
        _odd_id(raw.span_id, 16, notes, "a link's span id", name),
        attributes(raw.attributes, notes, name),
    )
    restore_ids(link)
    return link


def attributes(pairs: Iterable[KeyValue], notes: Notes | None = None, name: str = "") -> Attributes:
    """Protobuf key-values as a dict; notes tell ``name``, the span's."""
    kept: Attributes = {}
    for pair in pairs:
        value = pair.value
        # nearly all are texts, and asking which one it is takes longer
        if text := value.string_value:
            if len(text) > HUGE and notes is not None:
                note_size(pair.key, text, notes, name)
            kept[pair.key] = text
        else:
            kept[pair.key] = _value(value)
    return kept


def _value(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [_value(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return getattr(value, which)
