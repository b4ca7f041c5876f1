"""Jaeger, as its API and the download button of its UI give it: µs, typed tags, parents in references.

Reading turns back what Jaeger's own OTLP translation did (the ``otel.*`` and ``span.kind`` tags); any other
tag stays an attribute. Writing loses what the format cannot hold: nanoseconds below a microsecond, and the
types inside lists and maps, which become JSON texts.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from simulate.model.text import line
from simulate.trace.files import base
from simulate.trace.files.base import NANO_CEILING, Format, Notes, Record
from simulate.trace.otlp.ids import SOURCE_IDS, clean, otlp_ids, restore_ids
from simulate.trace.span import Attributes, Event, Link, Span

SOURCE_TIMES = "simulate.source.times"


def fits(document: Any) -> bool:
    """``{data: [{spans}]}``, one trace of it, a list of traces, or single spans with ``operationName``."""
    if isinstance(document, list):
        return bool(document) and fits(document[0])
    if not isinstance(document, dict):
        return False
    if isinstance(document.get("data"), list):
        return any(isinstance(item, dict) and "traceID" in item for item in document["data"])
    if "traceID" in document:
        return "operationName" in document or isinstance(document.get("spans"), list)
    return isinstance(document.get("spans"), list) and "processes" in document


def spans(document: Any, notes: Notes) -> Iterator[Span]:
    """The spans of every trace in the document."""
    traces = document if isinstance(document, list) else document.get("data", [document])
    for trace in traces:
        if not isinstance(trace, dict):
            raise notes.refuse(f"a Jaeger trace must be an object, found {base.kind_of(trace)}")
        processes = trace.get("processes")
        if "operationName" in trace:
            records, processes = [trace], {}
        else:
            records = trace.get("spans") or []
        if not isinstance(processes, dict):
            notes.say("the processes (services) of the trace are missing")
            processes = {}
        resources = {
            key: _resource(process) for key, process in processes.items() if isinstance(process, dict)
        }

        def make(raw: Record, resources: dict[str, Attributes] = resources) -> Span:
            return _span(raw, resources, notes)

        yield from base.each(records, make, notes)


def _resource(process: Record) -> Attributes:
    resource: Attributes = {}
    if process.get("serviceName"):
        resource["service.name"] = str(process["serviceName"])
    return resource | _tags(process.get("tags"))


def _span(raw: Record, resources: dict[str, Attributes], notes: Notes) -> Span:
    name = str(raw.get("operationName") or "")
    where = f"span {line(name, 40)}"
    tags = _tags(raw.get("tags"))
    trace_id = _id(raw["traceID"], 32, notes, "a trace id", where)
    start = base.nanoseconds(raw.get("startTime"), notes, where, due="microseconds")
    parent, links = _references(raw, trace_id, notes, where)
    if isinstance(raw.get("process"), dict):
        resource = _resource(raw["process"])
    else:
        resource = resources.get(str(raw.get("processID")), {})
    code = base.status_code(tags.pop("otel.status_code", None))
    if code == "unset" and str(tags.get("error")).lower() == "true":
        code = "error"
    elif code == "error":
        tags.pop("error", None)
    span = Span(
        trace_id,
        _id(raw["spanID"], 16, notes, "a span id", where),
        name,
        parent,
        start,
        base.lasting(start, raw.get("duration"), 1000, notes, where),
        status=code,
        status_message=base.text_or_none(tags.pop("otel.status_description", None)),
        otel_kind=base.otel_kind(tags.pop("span.kind", "internal")),
        scope=str(tags.pop("otel.scope.name", None) or tags.pop("otel.library.name", None) or ""),
        scope_version=base.text_or_none(
            tags.pop("otel.scope.version", None) or tags.pop("otel.library.version", None)
        ),
        trace_state=base.text_or_none(tags.pop("w3c.tracestate", None)),
        attributes=tags,
        events=[_event(log, notes, where) for log in raw.get("logs") or ()],
        links=links,
        resource=resource,
    )
    for warning in raw.get("warnings") or ():
        notes.say(f"Jaeger warns: {line(str(warning), 120)}", where, trace_id)
    _restore(span)
    base.note_size(span, notes)
    return span


def _restore(span: Span) -> None:
    """What `to_jaeger` put into tags because the format has no place for it."""
    times = _decoded(span.attributes.get(SOURCE_TIMES))
    if len(times) == 2 and _is_time(times[0]) and (times[1] is None or _is_time(times[1])):
        del span.attributes[SOURCE_TIMES]
        span.start_ns, span.end_ns = times
    ids = _decoded(span.attributes.get(SOURCE_IDS))
    if ids:
        span.attributes[SOURCE_IDS] = ids
        restore_ids(span)


def _is_time(value: Any) -> bool:
    return type(value) is int and 0 <= value <= NANO_CEILING


def _decoded(text: Any) -> list[Any]:
    try:
        found = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, list) else []


def _id(value: Any, digits: int, notes: Notes, what: str, where: str) -> str:
    """Jaeger drops leading zeros, and lets a trace id have 64 bits."""
    if isinstance(value, str) and 0 < len(value) < digits and base.HEX.fullmatch(value):
        if len(value) != 16:
            notes.say("ids lack leading zeros; they were put back")
        value = value.zfill(digits)
    return base.hex_id(value, digits, notes, what, where)


def _references(raw: Record, trace_id: str, notes: Notes, where: str) -> tuple[str | None, list[Link]]:
    parent, links = None, list[Link]()
    for reference in raw.get("references") or ():
        other = _id(reference["traceID"], 32, notes, "a reference's trace id", where)
        span_id = _id(reference["spanID"], 16, notes, "a reference's span id", where)
        if reference.get("refType") == "CHILD_OF" and other == trace_id and parent is None:
            parent = span_id
        else:
            links.append(Link(other, span_id))
    if parent is None and raw.get("parentSpanID"):
        parent = _id(raw["parentSpanID"], 16, notes, "a parent span id", where)
    return (None if parent == "0" * 16 else parent), links


def _event(log: Record, notes: Notes, where: str) -> Event:
    fields = _tags(log.get("fields"))
    moment = base.nanoseconds(log.get("timestamp"), notes, where, due="microseconds")
    if _is_time(fields.get(SOURCE_TIMES)):
        moment = fields.pop(SOURCE_TIMES)
    return Event(str(fields.pop("event", "") or fields.get("message", "")), moment, fields)


def _tags(tags: Any) -> Attributes:
    return {str(tag["key"]): _tag(tag.get("value"), tag.get("type")) for tag in tags or ()}


def _tag(value: Any, kind: Any) -> Any:
    if isinstance(value, str):
        if kind in ("int64", "long"):
            return int(value)
        if kind in ("float64", "double"):
            return float(value)
        if kind == "bool":
            return value.lower() == "true"
        if kind == "binary":
            return base64.b64decode(value, validate=True)
    if kind in ("float64", "double") and isinstance(value, int):
        return float(value)
    return value


# -- writing ---------------------------------------------------------------------------------------------


def to_jaeger(spans: Iterable[Span]) -> Record:
    """``{data: [trace]}`` as Jaeger's UI takes it for upload.

    Jaeger counts microseconds and knows no span without an end: what that would lose stands in the tag
    ``simulate.source.times``, and `spans` reads it back. Lists and objects become JSON texts, and links lose
    their attributes.
    """
    traces: dict[str, Record] = {}
    for span in spans:
        trace_id, span_id, parent_id, kept = otlp_ids(span)
        trace = traces.setdefault(trace_id, {"traceID": trace_id, "spans": [], "processes": {}})
        tags = _to_tags(kept)
        tags += _own_tags(span)
        references = [
            {"refType": "FOLLOWS_FROM", "traceID": link.trace_id, "spanID": link.span_id}
            for link in span.links
        ]
        if parent_id is not None:
            references.insert(0, {"refType": "CHILD_OF", "traceID": trace_id, "spanID": parent_id})
        record: Record = {
            "traceID": trace_id,
            "spanID": span_id,
            "operationName": clean(span.name),
            "references": references,
            "startTime": span.start_ns // 1000,
            "tags": tags,
            "logs": [
                {
                    "timestamp": event.time_ns // 1000,
                    "fields": _to_tags({"event": event.name} | event.attributes | _exact(event)),
                }
                for event in span.events
            ],
            "processID": _process(trace["processes"], span.resource),
            "warnings": None,
        }
        record["duration"] = ((span.end_ns or span.start_ns) - span.start_ns) // 1000
        if span.end_ns is None:
            record["warnings"] = ["the span has no end"]
        trace["spans"].append(record)
    return {"data": list(traces.values()), "total": 0, "limit": 0, "offset": 0, "errors": None}


def _exact(event: Event) -> Attributes:
    return {SOURCE_TIMES: event.time_ns} if event.time_ns % 1000 else {}


def _own_tags(span: Span) -> list[Record]:
    own: Attributes = {"span.kind": span.otel_kind}
    if span.end_ns is None or span.start_ns % 1000 or span.end_ns % 1000:
        own[SOURCE_TIMES] = [span.start_ns, span.end_ns]
    if span.scope:
        own["otel.scope.name"] = span.scope
    if span.scope_version:
        own["otel.scope.version"] = span.scope_version
    if span.status != "unset":
        own["otel.status_code"] = span.status.upper()
    if span.status_message:
        own["otel.status_description"] = span.status_message
    if span.status == "error" and "error" not in span.attributes:
        own["error"] = True
    if span.trace_state:
        own["w3c.tracestate"] = span.trace_state
    return _to_tags(own)


def _process(processes: Record, resource: Attributes) -> str:
    made = {
        "serviceName": clean(str(resource.get("service.name", "unknown_service"))),
        "tags": _to_tags({key: value for key, value in resource.items() if key != "service.name"}),
    }
    key = next((key for key, process in processes.items() if process == made), None)
    if key is None:
        key = f"p{len(processes) + 1}"
        processes[key] = made
    return key


def _to_tags(attributes: Attributes) -> list[Record]:
    return [
        {"key": clean(key), "type": _type(value), "value": _to_tag(value)}
        for key, value in attributes.items()
    ]


def _type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int64"
        case float():
            return "float64"
        case bytes():
            return "binary"
        case _:
            return "string"


def _to_tag(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case bool() | int() | float():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case None:
            return ""
        case _:
            return clean(json.dumps(value, default=str, ensure_ascii=False))


FORMAT = Format("Jaeger", 20, fits, spans)
