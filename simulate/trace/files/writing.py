"""Writing traces: OTLP as JSON, JSON lines and protobuf. A file is whole or it is not there."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import orjson

from simulate.trace.otlp.otlp_json import SOURCE_IDS
from simulate.trace.span import Attributes, Event, Link, Span

KINDS = {"unspecified": 0, "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
STATUS = {"unset": 0, "ok": 1, "error": 2}
BATCH = 512
"""Spans a line of a JSON lines file, as the SDK's batch processor exports them."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")


def write_whole(path: Path | str, chunks: Iterable[bytes]) -> None:
    """Write beside the target and move it there when it is complete and on the disk."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_otlp_json(path: Path | str, spans: Iterable[Span]) -> None:
    """One document, indented for people."""
    write_whole(path, [orjson.dumps(to_otlp_json(spans), option=orjson.OPT_INDENT_2), b"\n"])


def write_otlp_jsonl(path: Path | str, spans: Iterable[Span]) -> None:
    """One export request a line; takes any number of spans without holding them all."""
    write_whole(path, otlp_lines(spans))


def otlp_lines(spans: Iterable[Span]) -> Iterator[bytes]:
    """The lines of `write_otlp_jsonl`."""
    for batch in _batched(spans, BATCH):
        yield orjson.dumps(to_otlp_json(batch)) + b"\n"


def write_otlp_protobuf(path: Path | str, spans: Iterable[Span]) -> None:
    """One ``TracesData`` message."""
    from simulate.trace.otlp.protobuf import to_request

    write_whole(path, [to_request(spans).SerializeToString()])


def to_otlp_json(spans: Iterable[Span]) -> dict[str, Any]:
    """Spans grouped by resource and scope, in the order in which each group first came."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs(resource)},
                "scopeSpans": [
                    {"scope": _scope(members[0]), "spans": [_span(span) for span in members]}
                    for members in scopes
                ],
            }
            for resource, scopes in grouped(spans)
        ]
    }


def grouped(spans: Iterable[Span]) -> list[tuple[Attributes, list[list[Span]]]]:
    """Resources with their scopes with their spans; equal resources are one."""
    known: dict[int, str] = {}
    resources: dict[str, tuple[Attributes, dict[Any, list[Span]]]] = {}
    keep: list[Attributes] = []  # an id() is only a key while its object lives
    for span in spans:
        key = known.get(id(span.resource))
        if key is None:
            key = known[id(span.resource)] = repr(pairs(span.resource))
            keep.append(span.resource)
        _, scopes = resources.setdefault(key, (span.resource, {}))
        more = repr(pairs(span.scope_attributes)) if span.scope_attributes else ""
        scopes.setdefault((span.scope, span.scope_version, more), []).append(span)
    return [(resource, list(scopes.values())) for resource, scopes in resources.values()]


def _scope(span: Span) -> dict[str, Any]:
    scope: dict[str, Any] = {"name": clean(span.scope)}
    if span.scope_version is not None:
        scope["version"] = clean(span.scope_version)
    if span.scope_attributes:
        scope["attributes"] = pairs(span.scope_attributes)
    return scope


def _span(span: Span) -> dict[str, Any]:
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
    out["attributes"] = pairs(attributes)
    if span.events:
        out["events"] = [_event(event) for event in span.events]
    if span.links:
        out["links"] = [_link(link) for link in span.links]
    if span.dropped:
        out["droppedAttributesCount"] = span.dropped
    status: dict[str, Any] = {"code": STATUS[span.status]} if span.status != "unset" else {}
    if span.status_message:
        status["message"] = clean(span.status_message)
    out["status"] = status
    return out


def _event(event: Event) -> dict[str, Any]:
    return {
        "timeUnixNano": str(event.time_ns),
        "name": clean(event.name),
        "attributes": pairs(event.attributes),
    }


def _link(link: Link) -> dict[str, Any]:
    trace_id, span_id, attributes = link_ids(link)
    return {"traceId": trace_id, "spanId": span_id, "attributes": pairs(attributes)}


def link_ids(link: Link) -> tuple[str, str, Attributes]:
    """A link's ids as OTLP can hold them, and its attributes, with the source's ids where they differ."""
    if _TRACE_ID.fullmatch(link.trace_id) and _SPAN_ID.fullmatch(link.span_id):
        return link.trace_id, link.span_id, link.attributes
    kept = link.attributes | {SOURCE_IDS: [link.trace_id, link.span_id]}
    return derived(link.trace_id, 32), derived(link.span_id, 16), kept


def otlp_ids(span: Span) -> tuple[str, str, str | None, Attributes]:
    """Ids that OTLP can hold, and the attributes, with the source's ids where they differ."""
    fits = _TRACE_ID.fullmatch(span.trace_id) and _SPAN_ID.fullmatch(span.span_id)
    if fits and (span.parent_id is None or _SPAN_ID.fullmatch(span.parent_id)):
        return span.trace_id, span.span_id, span.parent_id, span.attributes
    parent = derived(span.parent_id, 16) if span.parent_id is not None else None
    kept = span.attributes | {SOURCE_IDS: [span.trace_id, span.span_id, span.parent_id or ""]}
    return derived(span.trace_id, 32), derived(span.span_id, 16), parent, kept


def derived(source_id: str, digits: int) -> str:
    """The id itself where it fits, a UUID without its dashes as a trace id, and otherwise a hash: the same
    source id always gets the same one."""
    pattern = _TRACE_ID if digits == 32 else _SPAN_ID
    bare = source_id.replace("-", "").lower()
    if pattern.fullmatch(bare):
        return bare
    return hashlib.blake2b(source_id.encode("utf-8", "surrogatepass"), digest_size=digits // 2).hexdigest()


def pairs(attributes: Attributes) -> list[dict[str, Any]]:
    """A dict as OTLP's list of keys and values."""
    return [{"key": clean(key), "value": any_value(value)} for key, value in attributes.items()]


def any_value(value: Any) -> dict[str, Any]:
    """A Python value as OTLP's AnyValue. An integer beyond 64 bits becomes text."""
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
            return {"arrayValue": {"values": [any_value(item) for item in cast("list[Any]", value)]}}
        case dict():
            return {
                "kvlistValue": {
                    "values": pairs({str(key): item for key, item in cast(Attributes, value).items()})
                }
            }
        case None:
            return {}
        case _:
            return {"stringValue": str(value)}


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def clean(text: str) -> str:
    """Half of a surrogate pair (a text cut in the middle of an emoji) has no UTF-8; it becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _batched(spans: Iterable[Span], size: int) -> Iterator[list[Span]]:
    rest = iter(spans)
    while batch := list(islice(rest, size)):
        yield batch
