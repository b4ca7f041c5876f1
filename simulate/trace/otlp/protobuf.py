"""OTLP as protobuf: one ``TracesData`` or export request, or a length-prefixed sequence of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Protocol, cast

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from simulate.trace.files import base, writing
from simulate.trace.files.base import Notes
from simulate.trace.otlp.otlp_json import SOURCE_IDS, restore_ids
from simulate.trace.span import Attributes, Event, Link, Span

NAME = "OTLP protobuf"
PREFIX = 4
"""The collector's file exporter writes each message after its length in four bytes, the highest first."""


class Resources(Protocol):
    """What ``ExportTraceServiceRequest`` and ``TracesData`` have in common."""

    @property
    def resource_spans(self) -> Iterable[trace_pb2.ResourceSpans]: ...


def messages(stream: BinaryIO, notes: Notes) -> Iterator[ExportTraceServiceRequest]:
    """The messages of a file that starts like protobuf, one after the other."""
    head = stream.read(PREFIX + 1)
    if head[:1] == b"\x0a" and not _is_prefixed(head):
        yield _parse(head + stream.read(), notes)
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
        yield _parse(body, notes)
        head = stream.read(PREFIX + 1)


def starts_like(head: bytes) -> bool:
    """Whether these first bytes of a file can be OTLP protobuf."""
    return head[:1] == b"\x0a" or _is_prefixed(head)


def _is_prefixed(head: bytes) -> bool:
    # a message of 160 MB and more would start with a byte 0x0a of its own; none is that long
    return len(head) > PREFIX and head[0] < 0x08 and head[PREFIX] == 0x0A and head[:PREFIX] != bytes(PREFIX)


def _parse(body: bytes, notes: Notes) -> ExportTraceServiceRequest:
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise notes.refuse(
            "starts like OTLP protobuf but cannot be decoded: cut short, or another message"
        ) from error


def spans_from_request(request: Resources, notes: Notes) -> Iterator[Span]:
    """The spans of a request, ids as hex."""
    for block in request.resource_spans:
        resource = attributes(block.resource.attributes)
        for group in block.scope_spans:
            more = attributes(group.scope.attributes)
            version = group.scope.version or None
            name = group.scope.name

            def make(
                raw: trace_pb2.Span,
                resource: Attributes = resource,
                name: str = name,
                version: str | None = version,
                more: Attributes = more,
            ) -> Span:
                return _span(raw, resource, name, version, more, notes)

            yield from base.each(list(group.spans), make, notes)


def _span(
    raw: trace_pb2.Span, resource: Attributes, scope: str, version: str | None, more: Attributes, notes: Notes
) -> Span:
    where = f"span {base.printable(raw.name, 40)}"
    parent = raw.parent_span_id
    start, end = raw.start_time_unix_nano, raw.end_time_unix_nano
    span = Span(
        base.hex_from_bytes(raw.trace_id, 32, notes, "a trace id", where),
        base.hex_from_bytes(raw.span_id, 16, notes, "a span id", where),
        raw.name,
        base.hex_from_bytes(parent, 16, notes, "a parent span id", where) if parent.strip(b"\0") else None,
        *base.times(start, end, notes, where),
        attributes(raw.attributes),
        [
            Event(
                event.name, base.nanoseconds(event.time_unix_nano, notes, where), attributes(event.attributes)
            )
            for event in raw.events
        ],
        [_link(link, notes, where) for link in raw.links],
        base.status_code(raw.status.code),
        raw.status.message or None,
        base.otel_kind(raw.kind),
        scope,
        version,
        resource,
        more,
        raw.trace_state or None,
        raw.flags or None,
        raw.dropped_attributes_count + raw.dropped_events_count + raw.dropped_links_count,
    )
    if SOURCE_IDS in span.attributes:
        restore_ids(span)
    base.note_size(span, notes)
    return span


def _link(raw: trace_pb2.Span.Link, notes: Notes, where: str) -> Link:
    kept = attributes(raw.attributes)
    if SOURCE_IDS in kept:
        trace_id, span_id = kept.pop(SOURCE_IDS)
        return Link(trace_id, span_id, kept)
    return Link(
        base.hex_from_bytes(raw.trace_id, 32, notes, "a link's trace id", where),
        base.hex_from_bytes(raw.span_id, 16, notes, "a link's span id", where),
        kept,
    )


def attributes(pairs: Iterable[KeyValue]) -> Attributes:
    """Protobuf attributes as a dict."""
    return {pair.key: any_value(pair.value) for pair in pairs}


def any_value(value: AnyValue) -> Any:
    """An AnyValue as a Python value; None for an empty one."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [any_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes(value.kvlist_value.values)
        case name:
            return getattr(value, name)


# -- writing ---------------------------------------------------------------------------------------------


def to_request(spans: Iterable[Span]) -> ExportTraceServiceRequest:
    """An export request that holds these spans."""
    request = ExportTraceServiceRequest()
    for resource, scopes in writing.grouped(spans):
        block = request.resource_spans.add()
        block.resource.attributes.extend(_pairs(resource))
        for members in scopes:
            group = block.scope_spans.add()
            group.scope.name = writing.clean(members[0].scope)
            group.scope.version = writing.clean(members[0].scope_version or "")
            group.scope.attributes.extend(_pairs(members[0].scope_attributes))
            for span in members:
                _fill(group.spans.add(), span)
    return request


def _fill(raw: trace_pb2.Span, span: Span) -> None:
    trace_id, span_id, parent_id, kept = writing.otlp_ids(span)
    raw.trace_id, raw.span_id = bytes.fromhex(trace_id), bytes.fromhex(span_id)
    raw.parent_span_id = bytes.fromhex(parent_id or "")
    raw.name, raw.trace_state = writing.clean(span.name), writing.clean(span.trace_state or "")
    raw.kind = trace_pb2.Span.SpanKind.ValueType(writing.KINDS[span.otel_kind])
    raw.flags, raw.dropped_attributes_count = span.flags or 0, span.dropped
    raw.start_time_unix_nano, raw.end_time_unix_nano = span.start_ns, span.end_ns or 0
    raw.status.code = trace_pb2.Status.StatusCode.ValueType(writing.STATUS[span.status])
    raw.status.message = writing.clean(span.status_message or "")
    raw.attributes.extend(_pairs(kept))
    for event in span.events:
        raw.events.add(
            name=writing.clean(event.name), time_unix_nano=event.time_ns, attributes=_pairs(event.attributes)
        )
    for link in span.links:
        trace_id, span_id, more = writing.link_ids(link)
        raw.links.add(
            trace_id=bytes.fromhex(trace_id), span_id=bytes.fromhex(span_id), attributes=_pairs(more)
        )


def _pairs(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=writing.clean(key), value=_any_value(value)) for key, value in attributes.items()]


def _any_value(value: Any) -> AnyValue:
    made = AnyValue()
    match value:
        case str():
            made.string_value = writing.clean(value)
        case bool():
            made.bool_value = value
        case int():
            if -(2**63) <= value < 2**63:
                made.int_value = value
            else:  # nothing else of OTLP holds more than 64 bits
                made.string_value = str(value)
        case float():
            made.double_value = value
        case bytes():
            made.bytes_value = value
        case list() | tuple():
            made.array_value.SetInParent()
            made.array_value.values.extend([_any_value(item) for item in cast("list[Any]", value)])
        case dict():
            made.kvlist_value.SetInParent()
            made.kvlist_value.values.extend(
                _pairs({str(key): item for key, item in cast(Attributes, value).items()})
            )
        case None:
            pass
        case _:
            made.string_value = writing.clean(str(value))
    return made
