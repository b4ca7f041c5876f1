"""What a trace would show, and what it could not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulate.trace.reading.facts import Visible
from simulate.trace.reading.finish import asked_for_no_tool
from simulate.trace.span import Span, View

ModelCalls = Sequence[tuple[Span, View]]


@dataclass(frozen=True, slots=True)
class Visibility:
    """What could be seen of an agent in its trace, each with why not."""

    tools: Visible
    """Whether a tool call would show had there been one."""
    content: Visible
    """Whether the model calls carry what was said."""


def visibility(models: ModelCalls, *, tool_spans: bool) -> Visibility:
    """What could be seen, by the model calls, and by whether there are TOOL spans."""
    return Visibility(_tools(models, tool_spans), _content(models))


def _content(models: ModelCalls) -> Visible:
    """Many instrumentations leave out by default what was said."""
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


def _tools(models: ModelCalls, tool_spans: bool) -> Visible:
    """Tool spans are evidence, and so are model calls whose answers are recorded, or which ended for a reason
    other than a tool call."""
    if tool_spans:
        return Visible()
    if not models:
        return Visible("the trace has neither LLM nor TOOL spans")
    dark = [
        span
        for span, one in models
        if one.output is None and one.error is None and not asked_for_no_tool(one.finish_reasons)
    ]
    if not dark:
        return Visible()
    return Visible(
        f"{len(dark)} of {len(models)} LLM spans carry no answer, and there are no TOOL spans: "
        "content capture is off in the agent's instrumentation"
    )
