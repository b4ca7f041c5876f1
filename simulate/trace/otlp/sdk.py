"""A span of the OpenTelemetry SDK as our ``Span``, as it would have arrived over OTLP, without the detour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from simulate.trace.span import Event, Link, Span

OtelKind = Literal["internal", "server", "client", "producer", "consumer", "unspecified"]
_KINDS: dict[SpanKind, OtelKind] = {
    SpanKind.INTERNAL: "internal",
    SpanKind.SERVER: "server",
    SpanKind.CLIENT: "client",
    SpanKind.PRODUCER: "producer",
    SpanKind.CONSUMER: "consumer",
}
_STATUSES: dict[StatusCode, Literal["unset", "ok", "error"]] = {
    StatusCode.UNSET: "unset",
    StatusCode.OK: "ok",
    StatusCode.ERROR: "error",
}
# SpanFlags of opentelemetry/proto/trace/v1/trace.proto: "is remote" is known, and it is so
_KNOWN_REMOTE, _REMOTE = 0x100, 0x200


def from_sdk(span: ReadableSpan) -> Span:
    """The span as it would have arrived over OTLP; ids in lower-case hex, sequences as lists."""
    context = cast("SpanContext", span.context)
    parent = span.parent
    status = span.status
    scope = span.instrumentation_scope
    return Span(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        name=span.name,
        parent_id=f"{parent.span_id:016x}" if parent is not None else None,
        start_ns=span.start_time or 0,
        end_ns=span.end_time,
        attributes=_plain(span.attributes),
        events=[Event(event.name, event.timestamp or 0, _plain(event.attributes)) for event in span.events],
        links=[
            Link(
                f"{link.context.trace_id:032x}",
                f"{link.context.span_id:016x}",
                _plain(cast("Mapping[str, Any] | None", link.attributes)),
            )
            for link in span.links
        ],
        status=_STATUSES[status.status_code],
        status_message=status.description,
        otel_kind=_KINDS[span.kind],
        scope=scope.name if scope is not None else "",
        scope_version=(scope.version or None) if scope is not None else None,
        resource=_shared(span.resource),
        scope_attributes=_shared(scope) if scope is not None else {},
        trace_state=context.trace_state.to_header() or None if context.trace_state else None,
        flags=_KNOWN_REMOTE | (_REMOTE if parent is not None and parent.is_remote else 0),
        dropped=span.dropped_attributes + span.dropped_events + span.dropped_links,
    )


Origin = Resource | InstrumentationScope
_known: dict[int, tuple[Origin, dict[str, Any]]] = {}


def _shared(origin: Origin) -> dict[str, Any]:
    """The attributes of a resource or scope, one dict for all of its spans: ten thousand copies of it would
    be most of a suite's memory."""
    found = _known.get(id(origin))
    if found is None or found[0] is not origin:
        if len(_known) > 64:
            _known.clear()
        found = _known[id(origin)] = origin, _plain(origin.attributes)
    return found[1]


def _plain(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    if not attributes:
        return {}
    return {
        key: value if isinstance(value, (str, int, float)) else _value(value)
        for key, value in attributes.items()
    }


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(cast("Mapping[str, Any]", value))
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_value(item) for item in cast("Sequence[Any]", value)]
    return value
