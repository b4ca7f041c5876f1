"""``Span`` → OTLP, as JSON and as protobuf; what `decode` reads back is the same span."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from simulate.trace.otlp.ids import clean, link_ids, otlp_ids
from simulate.trace.span import Attributes, Event, Link, Span

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {"unspecified": 0, "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
STATUSES = {"unset": 0, "ok": 1, "error": 2}


def grouped(spans: Iterable[Span]) -> list[tuple[Attributes, list[list[Span]]]]:
    """Resources with their scopes with their spans, in the order in which each first came; equal resources
    are one."""
    known: dict[int, str] = {}
    resources: dict[str, tuple[Attributes, dict[Any, list[Span]]]] = {}
    keep: list[Attributes] = []  # an id() is only a key while its object lives
    for span in spans:
        key = known.get(id(span.resource))
        if key is None:
            key = known[id(span.resource)] = repr(json_pairs(span.resource))
            keep.append(span.resource)
        _, scopes = resources.setdefault(key, (span.resource, {}))
        more = repr(json_pairs(span.scope_attributes)) if span.scope_attributes else ""
        scopes.setdefault((span.scope, span.scope_version, more), []).append(span)
    return [(resource, list(scopes.values())) for resource, scopes in resources.values()]


# -- JSON ------------------------------------------------------------------------------------------------


def to_json(spans: Iterable[Span]) -> dict[str, Any]:
    """``{"resourceSpans": […]}`` with ids as hex and 64-bit integers as texts, as OTLP JSON wants them."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": json_pairs(resource)},
                "scopeSpans": [
                    {"scope": _json_scope(members[0]), "spans": [_json_span(span) for span in members]}
                    for members in scopes
                ],
            }
            for resource, scopes in grouped(spans)
        ]
    }


def _json_scope(span: Span) -> dict[str, Any]:
    scope: dict[str, Any] = {"name": clean(span.scope)}
    if span.scope_version is not None:
        scope["version"] = clean(span.scope_version)
    if span.scope_attributes:
        scope["attributes"] = json_pairs(span.scope_attributes)
    return scope


def _json_span(span: Span) -> dict[str, Any]:
    trace_id, span_id, parent_id, attributes = otlp_ids(span)
    out: dict[str, Any] = {"traceId": trace_id, "spanId": span_id}
    if parent_id is not None:
        out["parentSpanId"] = parent_id
    if span.trace_state:
        out["traceState"] = clean(span.trace_state)
    if span.flags is not None:
        out["flags"] = span.flags
    out |= {"name": clean(span.name), "kind": KINDS[span.otel_kind], "startTimeUnixNano": str(span.start_ns)}
    if span.end_ns is not None:
        out["endTimeUnixNano"] = str(span.end_ns)
    out["attributes"] = json_pairs(attributes)
    if span.events:
        out["events"] = [_json_event(event) for event in span.events]
    if span.links:
        out["links"] = [_json_link(link) for link in span.links]
    if span.dropped:
        out["droppedAttributesCount"] = span.dropped
    status: dict[str, Any] = {"code": STATUSES[span.status]} if span.status != "unset" else {}
    if span.status_message:
        status["message"] = clean(span.status_message)
    out["status"] = status
    return out


def _json_event(event: Event) -> dict[str, Any]:
    name, pairs = clean(event.name), json_pairs(event.attributes)
    return {"timeUnixNano": str(event.time_ns), "name": name, "attributes": pairs}


def _json_link(link: Link) -> dict[str, Any]:
    trace_id, span_id, attributes = link_ids(link)
    return {"traceId": trace_id, "spanId": span_id, "attributes": json_pairs(attributes)}


def json_pairs(attributes: Attributes) -> list[dict[str, Any]]:
    """A dict as OTLP's list of keys and values."""
    return [{"key": clean(key), "value": json_value(value)} for key, value in attributes.items()]


def json_value(value: Any) -> dict[str, Any]:
    """A Python value as OTLP's AnyValue. An integer beyond 64 bits, which OTLP cannot hold, becomes text."""
    match value:
        case str():
            return {"stringValue": clean(value)}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)} if -(2**63) <= value < 2**63 else {"stringValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else _NOT_FINITE[str(value)]}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case list() | tuple():
            return {"arrayValue": {"values": [json_value(item) for item in cast("list[Any]", value)]}}
        case dict():
            return {"kvlistValue": {"values": json_pairs(_with_text_keys(cast(Attributes, value)))}}
        case None:
            return {}
        case _:
            return {"stringValue": clean(str(value))}


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _with_text_keys(value: Attributes) -> Attributes:
    return {str(key): item for key, item in value.items()}


# -- protobuf --------------------------------------------------------------------------------------------


def to_protobuf(spans: Iterable[Span]) -> ExportTraceServiceRequest:
    """An export request that holds these spans; serialised, it reads as ``TracesData`` too."""
    # protobuf's modules take 20 ms to import, and most who write traces write JSON
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    for resource, scopes in grouped(spans):
        block = request.resource_spans.add()
        _fill_pairs(block.resource.attributes, resource)
        for members in scopes:
            group = block.scope_spans.add()
            group.scope.name = clean(members[0].scope)
            group.scope.version = clean(members[0].scope_version or "")
            _fill_pairs(group.scope.attributes, members[0].scope_attributes)
            for span in members:
                _fill(group.spans.add(), span)
    return request


def _fill(raw: Any, span: Span) -> None:
    trace_id, span_id, parent_id, attributes = otlp_ids(span)
    raw.trace_id, raw.span_id = bytes.fromhex(trace_id), bytes.fromhex(span_id)
    raw.parent_span_id = bytes.fromhex(parent_id or "")
    raw.name, raw.trace_state = clean(span.name), clean(span.trace_state or "")
    raw.kind, raw.flags, raw.dropped_attributes_count = KINDS[span.otel_kind], span.flags or 0, span.dropped
    raw.start_time_unix_nano, raw.end_time_unix_nano = span.start_ns, span.end_ns or 0
    raw.status.code, raw.status.message = STATUSES[span.status], clean(span.status_message or "")
    _fill_pairs(raw.attributes, attributes)
    for event in span.events:
        made = raw.events.add(name=clean(event.name), time_unix_nano=event.time_ns)
        _fill_pairs(made.attributes, event.attributes)
    for link in span.links:
        trace_id, span_id, attributes = link_ids(link)
        made = raw.links.add(trace_id=bytes.fromhex(trace_id), span_id=bytes.fromhex(span_id))
        _fill_pairs(made.attributes, attributes)


def _fill_pairs(pairs: Any, attributes: Attributes) -> None:
    for key, value in attributes.items():
        _fill_value(pairs.add(key=clean(key)).value, value)


def _fill_value(made: Any, value: Any) -> None:
    match value:
        case str():
            made.string_value = clean(value)
        case bool():
            made.bool_value = value
        case int() if -(2**63) <= value < 2**63:
            made.int_value = value
        case float():
            made.double_value = value
        case bytes():
            made.bytes_value = value
        case list() | tuple():
            made.array_value.SetInParent()
            for item in cast("list[Any]", value):
                _fill_value(made.array_value.values.add(), item)
        case dict():
            made.kvlist_value.SetInParent()
            _fill_pairs(made.kvlist_value.values, _with_text_keys(cast(Attributes, value)))
        case None:
            pass
        case _:
            made.string_value = clean(str(value))
