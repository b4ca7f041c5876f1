"""OTLP → ``Span``: from JSON, from protobuf messages, and from the SDK's own spans. The only reader of OTLP.

Whichever way a span comes, it is the same ``Span``: the rules for ids, missing parents, times, statuses,
kinds and values are here once, and the three ways differ in spelling only.

JSON is read as real exporters write it: camelCase and snake_case, enums as numbers or names, 64-bit integers
as numbers or texts, ``instrumentationLibrarySpans`` of the years before 2022. Ids are hex as the OTLP
specification says; base64 is recognised (`base.hex_id`). The generic protobuf JSON readers corrupt ids
silently, which is why none is used here. Made for speed: see ``benchmarks/reading.py`` and ``capture.py``.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from simulate.model.text import line
from simulate.trace.files import base
from simulate.trace.files.base import HUGE, KINDS, NANO_CEILING, NANO_FLOOR, STATUSES, Notes, Record
from simulate.trace.otlp.ids import SOURCE_IDS, restore_ids
from simulate.trace.span import Attributes, Event, Link, Span

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1 import trace_pb2
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    Block = tuple[trace_pb2.ResourceSpans, trace_pb2.ScopeSpans, Sequence[trace_pb2.Span]]
    """Spans of one scope as they arrived, not yet looked into."""

_INT_FLOOR, _INT_CEILING = -(2**63), 2**63
_NO_PARENT = bytes(8)
_HEX = base.HEX.fullmatch


class _Origin(NamedTuple):
    """What all spans of one scope share."""

    resource: Attributes
    scope: str
    version: str | None
    attributes: Attributes


def _where(name: str) -> str:
    return f"span {line(name, 40)}"


def _time(value: int, notes: Notes, name: str) -> int:
    return value if NANO_FLOOR <= value <= NANO_CEILING else _odd_time(value, notes, name)


def _odd_time(value: Any, notes: Notes, name: str) -> int:
    return base.nanoseconds(value, notes, _where(name))


def _whole_number(value: int) -> int | str:
    """No integer of OTLP has more than 64 bits; one that has is kept as text, as it is written."""
    return value if _INT_FLOOR <= value < _INT_CEILING else str(value)


def _note_size(key: str, text: str, notes: Notes, name: str) -> None:
    where = _where(name) if name else ""
    notes.say(f"attribute {line(key, 60)} holds {len(text) / 1e6:.1f} MB", where)


# -- JSON ------------------------------------------------------------------------------------------------

_RESOURCE_SPANS = ("resourceSpans", "resource_spans", "batches")
_SCOPE_SPANS = (
    "scopeSpans",
    "scope_spans",
    "instrumentationLibrarySpans",
    "instrumentation_library_spans",
    "ilSpans",
)
_DROPPED = (
    "droppedAttributesCount",
    "droppedEventsCount",
    "droppedLinksCount",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
)


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
        origin = _Origin(resource, str(scope.get("name") or ""), version, json_attributes(attributes, notes))

        def make(raw: Record, origin: _Origin = origin) -> Span:
            return _json_span(raw, origin, notes)

        yield from base.each(group.get("spans") or [], make, notes)


def _json_span(raw: Record, origin: _Origin, notes: Notes) -> Span:
    get = raw.get
    name = get("name")
    if type(name) is not str:
        name = "" if name is None else str(name)
    trace_id = get("traceId") or get("trace_id")
    span_id = get("spanId") or get("span_id")
    # ids and times in the form that nearly all files have are taken without a call
    if not (type(trace_id) is str and len(trace_id) == 32 and _HEX(trace_id)):
        trace_id = base.hex_id(trace_id, 32, notes, "a trace id", _where(name))
    if not (type(span_id) is str and len(span_id) == 16 and _HEX(span_id)):
        span_id = base.hex_id(span_id, 16, notes, "a span id", _where(name))
    status, attributes, dropped = get("status"), get("attributes"), 0
    for key in _DROPPED:
        if key in raw:
            dropped += int(raw[key] or 0)
    span = Span(
        trace_id.lower(),
        span_id.lower(),
        name,
        _json_parent(get("parentSpanId") or get("parent_span_id"), notes, name),
        _json_time(get("startTimeUnixNano", get("start_time_unix_nano")), notes, name),
        _json_time(get("endTimeUnixNano", get("end_time_unix_nano")), notes, name) or None,
        json_attributes(attributes, notes, name) if attributes else {},
        [_json_event(event, notes, name) for event in get("events") or ()],
        [_json_link(link, notes, name) for link in get("links") or ()],
        base.status_code(status.get("code", 0)) if status else "unset",
        base.text_or_none(status.get("message")) if status else None,
        base.otel_kind(get("kind", 0)),
        origin.scope,
        origin.version,
        origin.resource,
        origin.attributes,
        base.text_or_none(get("traceState") or get("trace_state")),
        int(flags) & 0xFFFFFFFF if (flags := get("flags")) else None,
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
    moment = _odd_time(value, notes, name)
    if moment and isinstance(value, str) and "-" in value:
        notes.say("times are texts where nanoseconds are due; read as ISO 8601")
    return moment


def _json_parent(value: Any, notes: Notes, name: str) -> str | None:
    if not value:
        return None
    if not (type(value) is str and len(value) == 16 and _HEX(value)):
        value = base.hex_id(value, 16, notes, "a parent span id", _where(name))
    return None if value == base.NO_SPAN else value.lower()


def _json_event(raw: Record, notes: Notes, name: str) -> Event:
    when = raw.get("timeUnixNano") or raw.get("time_unix_nano")
    attributes = json_attributes(raw.get("attributes"), notes, name)
    return Event(str(raw.get("name") or ""), _json_time(when, notes, name), attributes)


def _json_link(raw: Record, notes: Notes, name: str) -> Link:
    where = _where(name)
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
                    _note_size(key, text, notes, name)
                kept[key] = text
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
    return _whole_number(int(value))


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


# -- protobuf --------------------------------------------------------------------------------------------


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
        origin = _Origin(resource, scope.name, scope.version or None, attributes(scope.attributes, notes))

        def make(raw: trace_pb2.Span, origin: _Origin = origin) -> Span:
            return _span(raw, origin, notes)

        yield from base.each(spans, make, notes)


def _span(raw: trace_pb2.Span, origin: _Origin, notes: Notes) -> Span:
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
        start if NANO_FLOOR <= start <= NANO_CEILING else _odd_time(start, notes, name),
        end if NANO_FLOOR <= end <= NANO_CEILING else _odd_time(end, notes, name) or None,
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
    return base.hex_from_bytes(raw, digits, notes, what, _where(name))


def _event(raw: trace_pb2.Span.Event, notes: Notes, name: str) -> Event:
    return Event(raw.name, _time(raw.time_unix_nano, notes, name), attributes(raw.attributes, notes, name))


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
                _note_size(pair.key, text, notes, name)
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


# -- spans of the SDK ------------------------------------------------------------------------------------

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
        return _whole_number(value)
    if isinstance(value, Mapping):
        return _sdk_attributes(value)
    if isinstance(value, Iterable):
        return [_sdk_value(item) for item in value]
    return value
