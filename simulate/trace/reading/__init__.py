"""Dialects: how each instrumentation says what the canonical span says.

``view(span)`` reads one span by itself; ``views(trace)`` reads a whole trace and also uses neighbours,
where a
dialect tells something only there (Pipecat's tool calls, LiveKit's input deltas). Both compute from the raw
attributes, which they never touch, and nothing is cached: call ``views`` once and hand the result on.
"""

from __future__ import annotations

from simulate.trace.reading.calls import (
    content_captured,
    has_tool_evidence,
    llm_calls,
    tool_calls,
    unknown_spans,
)
from simulate.trace.reading.classify import read, tells_kind
from simulate.trace.reading.dialect import Dialect, dialects
from simulate.trace.span import Span, Trace, View

__all__ = [
    "Dialect",
    "content_captured",
    "dialects",
    "has_tool_evidence",
    "llm_calls",
    "tells_kind",
    "tool_calls",
    "unknown_spans",
    "version",
    "view",
    "views",
]


def view(span: Span) -> View:
    """The span in the canonical shape, as far as it says so itself."""
    return read(span)


def views(trace: Trace) -> dict[str, View]:
    """The canonical view of every span by span id, completed from the neighbours where a dialect needs
    them."""
    found = {span.span_id: read(span) for span in trace.spans}
    speaking = {one.dialect for one in found.values()}
    for dialect in dialects():
        if dialect.context is not None and dialect.name in speaking:
            dialect.context(trace, found)
    return found


def version(name: str) -> str | None:
    """The version of the instrumentation that the mapper of this name was written for; None for no such
    mapper."""
    return next((dialect.version for dialect in dialects() if dialect.name == name), None)
