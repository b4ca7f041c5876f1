"""Spans of OTLP export requests as our ``Span``: one at a time, from many requests, when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, overload

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from simulate.trace.otlp.sdk import OtelKind
from simulate.trace.span import Event, Link, Span

Block = tuple[trace_pb2.ResourceSpans, trace_pb2.ScopeSpans, Sequence[trace_pb2.Span]]
"""Spans of one scope as they arrived, not yet looked into."""

_KINDS: tuple[OtelKind, ...] = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES: tuple[Literal["unset", "ok", "error"], ...] = ("unset", "ok", "error")


class Some(Sequence[trace_pb2.Span]):
    """Some spans of a scope, by their places: a span of protobuf becomes an object when it is asked for, and
    holding fifty thousand of those costs more than parsing them."""

    __slots__ = ("_places", "_spans")

    def __init__(self, spans: Sequence[trace_pb2.Span], places: list[int]) -> None:
        self._spans = spans
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> trace_pb2.Span: ...
    @overload
    def __getitem__(self, place: slice) -> Some: ...
    def __getitem__(self, place: int | slice) -> trace_pb2.Span | Some:
        if isinstance(place, int):
            return self._spans[self._places[place]]
        return Some(self._spans, self._places[place])

    def __iter__(self) -> Iterator[trace_pb2.Span]:
        return map(self._spans.__getitem__, self._places)


def from_proto(blocks: Iterable[Block]) -> Iterator[Span]:
    """Decode spans; those of one resource and scope share one dict of each."""
    last: trace_pb2.ResourceSpans | None = None
    resource: dict[str, Any] = {}
    for of_resource, of_scope, spans in blocks:
        if of_resource is not last:
            last, resource = of_resource, plain(of_resource.resource.attributes)
        scope = of_scope.scope
        name, version, attributes = scope.name, scope.version or None, plain(scope.attributes)
        for span in spans:
            decoded = _span(span)
            decoded.resource, decoded.scope_attributes = resource, attributes
            decoded.scope, decoded.scope_version = name, version
            yield decoded


def _span(span: trace_pb2.Span) -> Span:
    status = span.status
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        name=span.name,
        parent_id=span.parent_span_id.hex() or None,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano or None,
        attributes=plain(span.attributes),
        events=[Event(event.name, event.time_unix_nano, plain(event.attributes)) for event in span.events],
        links=[Link(link.trace_id.hex(), link.span_id.hex(), plain(link.attributes)) for link in span.links],
        status=_STATUSES[status.code] if 0 <= status.code < len(_STATUSES) else "unset",
        status_message=status.message or None,
        otel_kind=_KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else "unspecified",
        trace_state=span.trace_state or None,
        flags=span.flags or None,
        dropped=span.dropped_attributes_count + span.dropped_events_count + span.dropped_links_count,
    )


def plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """OTLP key-values as a dict."""
    return {pair.key: _any(pair.value) for pair in attributes}


def _any(value: AnyValue) -> Any:
    if text := value.string_value:  # nearly all are texts, and asking which one it is takes longer
        return text
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [_any(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return plain(value.kvlist_value.values)
    return getattr(value, which)
