"""A trace without what no two runs share: two replays of one cassette give the same bytes.

Left out: times and durations, ports, processes, threads and hosts. Ids become ``<id:1>``, ``<id:2>`` in the
order in which they appear. Siblings stand in the order of what they say, the shorter first (so that a model's
calls stand as they grew), since those that ran at once have no order of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import orjson

from simulate.model.shapes import is_list, is_object
from simulate.trace.span import Span, Trace

_VOLATILE = re.compile(
    r"(^|[._])(duration|latency|ttft|ttfb|time_to_first\w*|elapsed|delay|timestamp|start_time|end_time|pid|uptime"
    r"|thread\.(id|name)|thread_id|thread_name|tokens_per_second)($|[._])"
    r"|^(process|host|os|container|k8s)\.|^(server|client|network\.peer|net\.peer|net\.host)\.(port|address)$"
    r"|^telemetry\.|^service\.instance\.id$|^code\.(lineno|line\.number)$|^url\.full$|^http\.url$|latency|_seconds$|_ms$"
)
_ID = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b(?:chatcmpl|call|msg|run|resp|req|item|toolu|conv|thread|session|fc|rs|lk|gen)[-_][A-Za-z0-9_-]{6,}\b"
    r"|\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b"
)
_NOISE = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\bat 0x[0-9a-f]+"), "at <address>"),
    (re.compile(r"(127\.0\.0\.1|localhost):\d+"), r"\1:<port>"),
)


def canonical_trace(trace: Trace) -> bytes:
    """One span a line, parents before children; the same bytes for the same behaviour."""
    children: dict[str | None, list[Span]] = {}
    known = {span.span_id for span in trace.spans}
    for span in trace.spans:
        parent = span.parent_id if span.parent_id in known and span.parent_id != span.span_id else None
        children.setdefault(parent, []).append(span)
    plain = {span.span_id: _plain(span) for span in trace.spans}
    weight: dict[str, tuple[int, bytes]] = {}

    def weigh(span: Span, path: frozenset[str]) -> bytes:
        own = orjson.dumps(_mapped(plain[span.span_id], _any_id), option=orjson.OPT_SORT_KEYS)
        inner = sorted(
            weigh(child, path | {span.span_id})
            for child in children.get(span.span_id, ())
            if child.span_id not in path
        )
        whole = own + b"".join(inner)
        weight[span.span_id] = (len(whole), whole)
        return whole

    roots = children.get(None, [])
    for root in roots:
        weigh(root, frozenset())
    numbers: dict[str, str] = {}

    def numbered(found: str) -> str:
        return numbers.setdefault(found, f"<id:{len(numbers) + 1}>")

    lines: list[bytes] = []
    waiting = [(span, 0) for span in sorted(roots, key=lambda one: weight[one.span_id], reverse=True)]
    while waiting:
        span, depth = waiting.pop()
        lines.append(
            orjson.dumps(
                {"depth": depth, **_mapped(plain[span.span_id], numbered)}, option=orjson.OPT_SORT_KEYS
            )
        )
        inner = sorted(children.get(span.span_id, ()), key=lambda one: weight[one.span_id], reverse=True)
        waiting += [(child, depth + 1) for child in inner]
    return b"\n".join(lines) + b"\n"


def _plain(span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": span.otel_kind,
        "status": span.status,
        "message": span.status_message,
        "scope": span.scope,
        "service": span.service,
        "attributes": _kept(span.attributes),
        "events": [{"name": event.name, "attributes": _kept(event.attributes)} for event in span.events],
        "links": len(span.links),
    }


def _kept(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in attributes.items() if not _VOLATILE.search(name)}


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(name): _value(inner) for name, inner in cast("dict[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_value(inner) for inner in cast("list[Any]", value)]
    if isinstance(value, str):
        for pattern, text in _NOISE:
            value = pattern.sub(text, value)
        return _unordered(value)
    return value


def _unordered(text: str) -> str:
    """JSON inside a text in one order of its keys."""
    if text[:1] not in {"{", "["}:
        return text
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONDecodeError:
        return text


def _any_id(_: str) -> str:
    return "<id>"


def _mapped(value: Any, found: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return _ID.sub(lambda match: found(match[0]), value)
    if is_object(value):
        # in the order of the keys, so that ids are numbered alike everywhere
        return {name: _mapped(inner, found) for name, inner in sorted(value.items())}
    if is_list(value):
        return [_mapped(inner, found) for inner in value]
    return value
