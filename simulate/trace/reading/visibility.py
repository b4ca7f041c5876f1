"""What a trace would show, and what it could not."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from simulate.model.shapes import is_list, is_object
from simulate.trace.reading.facts import Visible
from simulate.trace.reading.finish import asked_for_no_tool, finish_of
from simulate.trace.reading.hidden import hidden
from simulate.trace.reading.messages import says_nothing
from simulate.trace.span import Span, View

ModelCalls = Sequence[tuple[Span, View]]


@dataclass(frozen=True, slots=True)
class Visibility:
    """What could be seen of an agent in its trace, each with why not."""

    tools: Visible
    """Whether a tool call would show had there been one."""
    content: Visible
    """Whether the model calls carry what was said."""


def content_visible(models: ModelCalls) -> Visible:
    """Whether the model calls carry what was said; many instrumentations leave it out by default."""
    if not models:
        return Visible("the trace has no LLM spans")
    empty = [span for span, one in models if one.input is None and one.output is None and one.error is None]
    if not empty:
        return Visible()
    if len(empty) == len(models):
        return Visible(
            "the LLM spans carry no messages: content capture is off in the agent's instrumentation"
        )
    return Visible(
        f"{len(empty)} of {len(models)} LLM spans carry no messages, the first is {empty[0].span_id}"
    )


def names_visible(told: Iterable[tuple[Span, View]]) -> Visible:
    """Whether the tools that model calls ask for, and those that ran, have their names: a redactor may have
    hidden them."""
    for span, one in told:
        asked = (call.get("name") for message in one.output or () for call in message.tool_calls)
        if hidden(one.tool_name) or any(map(hidden, asked)):
            return Visible(f"the span {span.span_id} tells of a tool whose name is hidden")
    return Visible()


def tools_visible(models: ModelCalls, tools: Sequence[Span]) -> Visible:
    """Whether a tool call would show, by the model calls and the TOOL spans.

    Tool spans are evidence, but for an MCP connection's, which tell of its server's tools alone; and so are
    model calls whose answers are recorded, or which ended for a reason other than a tool call. A call that
    ended for a tool that nothing shows is evidence of the contrary."""
    if not models and not tools:
        return Visible("the trace has neither LLM nor TOOL spans")
    dark = [
        place
        for place, (_, one) in enumerate(models)
        if says_nothing(one.output) and one.error is None and not asked_for_no_tool(one)
    ]
    if dark and all(map(_of_a_connection, tools)):
        others = "no TOOL spans but those of MCP" if tools else "no TOOL spans"
        return Visible(
            f"{len(dark)} of {len(models)} LLM spans carry no answer, and there are {others}: "
            "content capture is off in the agent's instrumentation"
        )
    began = sorted(span.start_ns for span in tools)
    lossy = next((span for span, _ in models if span.dropped), None)
    if lossy is not None:
        return Visible(
            f"the exporter dropped {lossy.dropped} attributes, events or links of the LLM span "
            f"{lossy.span_id}: a tool call may be among them (OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT)"
        )
    for place, (span, one) in enumerate(models):
        if any(message.tool_calls or message.text.startswith("{") for message in one.output or ()):
            continue  # an object in words is an answer that a framework has given by a tool of its own
        if any(_unread_call(part) for message in one.output or () for part in message.parts):
            return Visible(f"the LLM span {span.span_id} tells of a tool in a form that is not known")
        reason = next((each for each in one.finish_reasons if finish_of(each) == "tool_calls"), None)
        until = models[place + 1][0].start_ns if place + 1 < len(models) else None
        first = bisect_left(began, span.start_ns)
        if reason is not None and (first == len(began) or (until is not None and began[first] >= until)):
            return Visible(
                f"the LLM span {span.span_id} ended for a tool call ({reason}), and neither it nor a TOOL "
                "span tells which"
            )
    return Visible()


def _of_a_connection(tool: Span) -> bool:
    return "mcp" in tool.scope.lower() or any(key.startswith("mcp.") for key in tool.attributes)


_CALLING = re.compile(r"(tools?|functions?|actions?)(calls?|uses?|names?|invocations?|requests?)?")


def _unread_call(part: Any) -> bool:
    """Whether an object that nobody knows, in a model's answer, names a tool or a function in its members."""
    if is_list(part):
        return any(map(_unread_call, part))
    if not is_object(part) or (kind := part.get("type")) in _READ:
        return False
    if isinstance(kind, str) and _KIND_OF_CALL.search(kind):
        return True
    return any(
        (value not in (None, "", [], {}) and _CALLING.fullmatch(_NO_LETTER.sub("", str(key).lower())))
        or _unread_call(value)
        for key, value in part.items()
    )


_NO_LETTER = re.compile(r"[^a-z]")
_KIND_OF_CALL = re.compile(r"call|tool_?use|function|invocation", re.IGNORECASE)
_READ = frozenset({"text", "reasoning", "tool_call", "tool_call_response", "mcp_list_tools"})
