"""Spans of this process, as the SDK made them."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from simulate.trace.files.base import KINDS, STATUSES
from simulate.trace.otlp.decode.shared import whole_number
from simulate.trace.otlp.ids import SOURCE_IDS, restore_ids
from simulate.trace.span import Attributes, Event, Link, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

# SpanFlags of opentelemetry/proto/trace/v1/trace.proto: "is remote" is known, and it is so
_KNOWN_REMOTE, _REMOTE = 0x100, 0x200


def from_sdk(span: ReadableSpan) -> Span:
    """A span of this process as it would have arrived over OTLP, without the detour."""
    context, parent, status, scope = span.context, span.parent, span.status, span.instrumentation_scope
    assert context is not None  # a span that was started has one
    remote = parent is not None and parent.is_remote
    made = Span(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        span.name,
        f"{parent.span_id:016x}" if parent is not None and parent.span_id else None,
        span.start_time or 0,
        span.end_time or None,
        _sdk_attributes(span.attributes),
        [Event(event.name, event.timestamp or 0, _sdk_attributes(event.attributes)) for event in span.events],
        [
            Link(
                f"{link.context.trace_id:032x}",
                f"{link.context.span_id:016x}",
                _sdk_attributes(link.attributes),
            )
            for link in span.links
        ],
        STATUSES[status.status_code.value],
        status.description or None,
        KINDS[span.kind.value + 1],
        scope.name if scope is not None else "",
        scope.version or None if scope is not None else None,
        _shared(span.resource),
        _shared(scope) if scope is not None else {},
        context.trace_state.to_header() or None if context.trace_state else None,
        _KNOWN_REMOTE | (_REMOTE if remote else 0),
        span.dropped_attributes + span.dropped_events + span.dropped_links,
    )
    if SOURCE_IDS in made.attributes:
        restore_ids(made)
    return made


_shared_attributes: dict[int, tuple[Resource | InstrumentationScope, Attributes]] = {}


def _shared(origin: Resource | InstrumentationScope) -> Attributes:
    """The attributes of a resource or scope, one dict for all of its spans: ten thousand copies of it would
    be most of a suite's memory."""
    known = _shared_attributes.get(id(origin))
    if known is None or known[0] is not origin:
        if len(_shared_attributes) > 64:
            _shared_attributes.clear()
        known = _shared_attributes[id(origin)] = origin, _sdk_attributes(origin.attributes)
    return known[1]


def _sdk_attributes(attributes: Mapping[str, Any] | None) -> Attributes:
    if not attributes:
        return {}
    return {
        key: value if isinstance(value, (str, float)) else _sdk_value(value)
        for key, value in attributes.items()
    }


def _sdk_value(value: Any) -> Any:
    if isinstance(value, (bool, str, bytes)):
        return value
    if isinstance(value, int):
        return whole_number(value)
    if isinstance(value, Mapping):
        return _sdk_attributes(value)
    if isinstance(value, Iterable):
        return [_sdk_value(item) for item in value]
    return value
