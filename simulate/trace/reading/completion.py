"""What a view still lacks once its attributes are read: units, totals, a tool's and a search's own facts."""

from __future__ import annotations

import re
from typing import Any

from simulate.model.shapes import is_object
from simulate.trace.reading import values, wrapping
from simulate.trace.reading.messages import says_nothing
from simulate.trace.reading.parts import arguments_of
from simulate.trace.reading.usage import include_parts
from simulate.trace.span import Kind, Span, View


def complete(span: Span, found: View) -> None:
    """What a tool or a retriever got and gave, where the source has only a general input and output."""
    include_parts(found)
    first = found.time_to_first_token
    if first is not None and _in_milliseconds(first, span):
        found.time_to_first_token = first / 1000
    if found.error is None and span.status == "unset" and span.events and _came_to_nothing(found):
        found.error = exception_event(span)  # some record it and set no status
    told = found.error is not None or span.events or "langgraph.interrupt" in span.attributes
    if told and _is_pause(span, found.error):
        found.paused, found.error = True, None
    if found.kind is Kind.TOOL and (target := span.name.removeprefix("handoff to ")) != span.name:
        # OpenAI's agents, in OpenInference and traceAI: from whom it went is its input
        found.kind, found.handoff_to, found.tool_name = Kind.HANDOFF, target, None
        if found.handoff_from is None and isinstance(found.input_value, str):
            found.handoff_from = found.input_value
    if found.kind is Kind.TOOL:
        found.tool_name = found.tool_name or _CALLS.sub("", span.name).removesuffix(".__call__")
        if found.tool_arguments is None and found.input_value is not None:
            found.tool_arguments = arguments_of(found.input_value)
        found.tool_arguments = wrapping.arguments(found.tool_arguments, found.tool_name)
        told = found.output_value if found.tool_result is None else found.tool_result
        if told is not None:
            wrapping.take_result(values.loose(told), found)
    elif found.kind in (Kind.RETRIEVER, Kind.RERANKER):
        if found.query is None:
            found.query = _query(found.input_value)
        if found.documents is None and not isinstance(found.output_value, str):
            found.documents = values.documents(found.output_value)


_CALLS = re.compile(r"(?:execute_tool|tools/call|call_tool|tool_call|running tool:)\s+(?=\S)")
"""What conventions put before a tool's name in the name of its span."""


def _in_milliseconds(seconds: float, span: Span) -> bool:
    """Whether a time within a span is told in milliseconds: as seconds, it would be longer than the span. A
    fraction of a second that is may belong to a stream, whose span ended when it began."""
    lasted = None if span.end_ns is None or not span.start_ns else (span.end_ns - span.start_ns) / 1e9
    return lasted is not None and seconds > lasted and (isinstance(seconds, int) or seconds >= 10)


_PAUSES = r"(?:GraphInterrupt|NodeInterrupt|ApprovalRequired|CallDeferred)\b"
_PAUSE = re.compile(rf"(?:\w+\.)*{_PAUSES}|\(Interrupt\(value=")
"""How LangGraph and pydantic-ai raise what stops a step until a person has answered."""


def _is_pause(span: Span, error: str | None) -> bool:
    """Whether a span ended because somebody was asked, which instrumentations tell as an error or as none."""
    raised = (event.attributes.get("exception.type") for event in span.events if event.name == "exception")
    told = (error, span.attributes.get("error.type"), *raised)
    return span.attributes.get("langgraph.interrupt") is True or any(
        isinstance(each, str) and _PAUSE.match(each) for each in told
    )


def _came_to_nothing(found: View) -> bool:
    if found.kind is Kind.LLM:
        return says_nothing(found.output) and found.output_tokens is None
    return found.kind is Kind.TOOL and found.tool_result is None and found.output_value is None


_QUERY = ("query", "input", "question", "text", "query_str")


def _query(value: Any) -> str | None:
    if is_object(value):
        held = value
        if held.get("args"):
            return _query(held["args"][0])
        for wrapper in ("kwargs", "query_bundle", "str_or_query_bundle"):
            if held.get(wrapper):
                return _query(held[wrapper])
        value = next((held[key] for key in _QUERY if key in held), None)
    return value if isinstance(value, str) else None


def exception_event(span: Span) -> str | None:
    for event in reversed(span.events):
        if event.name == "exception":
            message = event.attributes.get("exception.message")
            name = event.attributes.get("exception.type")
            return str(message or name) if message or name else None
    return None
