"""Spans of OTLP export requests as our ``Span``: one at a time, from many requests, when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from simulate.trace.span import Event, Link, Span

from .convert import OtelKind

Raw = tuple[trace_pb2.ResourceSpans, trace_pb2.ScopeSpans, trace_pb2.Span]
"""A span as it arrived, not yet looked into."""

_KINDS: tuple[OtelKind, ...] = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES: tuple[Literal["unset", "ok", "error"], ...] = ("unset", "ok", "error")


def from_proto(arrived: Iterable[Raw]) -> Iterator[Span]:
    """Decode spans; neighbours of the same resource and scope share one dict of each."""
    resource_spans = scope_spans = None
    resource: dict[str, Any] = {}
    scope_attributes: dict[str, Any] = {}
    for of_resource, of_scope, span in arrived:
        if of_resource is not resource_spans:
            resource_spans, resource = of_resource, plain(of_resource.resource.attributes)
        if of_scope is not scope_spans:
            scope_spans, scope_attributes = of_scope, plain(of_scope.scope.attributes)
        status = span.status
        yield Span(
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            name=span.name,
            parent_id=span.parent_span_id.hex() or None,
            start_ns=span.start_time_unix_nano,
            end_ns=span.end_time_unix_nano or None,
            attributes=plain(span.attributes),
            events=[
                Event(event.name, event.time_unix_nano, plain(event.attributes)) for event in span.events
            ],
            links=[
                Link(link.trace_id.hex(), link.span_id.hex(), plain(link.attributes)) for link in span.links
            ],
            status=_STATUSES[status.code] if 0 <= status.code < len(_STATUSES) else "unset",
            status_message=status.message or None,
            otel_kind=_KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else "unspecified",
            scope=of_scope.scope.name,
            scope_version=of_scope.scope.version or None,
            resource=resource,
            scope_attributes=scope_attributes,
            trace_state=span.trace_state or None,
            flags=span.flags or None,
            dropped=span.dropped_attributes_count + span.dropped_events_count + span.dropped_links_count,
        )


def plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """OTLP key-values as a dict."""
    return {pair.key: _any(pair.value) for pair in attributes}


def _any(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [_any(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return plain(value.kvlist_value.values)
    return getattr(value, which)
