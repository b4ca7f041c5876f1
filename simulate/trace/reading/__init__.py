"""Reading a trace: how each instrumentation says what the canonical span says, and what the agent did.

``view(span)`` reads one span by itself; ``TraceReading(trace)`` reads a whole trace once, to be handed on.
Both compute from the raw attributes, which they never touch.
"""

from __future__ import annotations

from simulate.trace.reading.classify import read, tells_kind
from simulate.trace.reading.dialect import Dialect, dialects
from simulate.trace.reading.facts import Fact, Unknown, Visible
from simulate.trace.reading.tool_call import Answered, Asked, Ran, ToolCall
from simulate.trace.reading.tool_name import ToolName
from simulate.trace.reading.trace_reading import Handoff, Retrieval, TraceReading
from simulate.trace.reading.visibility import Visibility
from simulate.trace.span import Span, View

__all__ = [
    "Answered",
    "Asked",
    "Dialect",
    "Fact",
    "Handoff",
    "Ran",
    "Retrieval",
    "ToolCall",
    "ToolName",
    "TraceReading",
    "Unknown",
    "Visibility",
    "Visible",
    "dialects",
    "tells_kind",
    "version",
    "view",
]


def view(span: Span) -> View:
    """The span in the canonical shape, as far as it says so itself."""
    return read(span)


def version(name: str) -> str | None:
    """The version of the instrumentation that the mapper of this name was written for; None for no such
    mapper."""
    return next((dialect.version for dialect in dialects() if dialect.name == name), None)
