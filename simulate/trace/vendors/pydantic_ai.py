"""pydantic-ai and Logfire. An agent's run repeats the usage of all its model calls; only ``chat`` spans
are calls."""

from __future__ import annotations

import json

from simulate.model.shapes import is_object
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.messages import incoming, outgoing
from simulate.trace.reading.values import decoded, items
from simulate.trace.span import Kind, Span, View


def _refine(span: Span, found: View) -> None:
    _answers_among_events(span, found)
    asked = decoded(span.attributes.get("model_request_parameters"))
    if is_object(asked):
        held = asked
        if found.tool_definitions is None:
            found.tool_definitions = items(held.get("function_tools") or None)
        tools = [one for one in items(held.get("output_tools")) or () if is_object(one)]
        names = {str(tool.get("name")) for tool in tools}
        _structured_answers(found, names)


def _answers_among_events(span: Span, found: View) -> None:
    """Version 0.2 lists what went in and what came out as events, the answer as ``gen_ai.choice``."""
    events = [event for event in items(span.attributes.get("events")) or () if is_object(event)]
    choices = [event for event in events if event.get("event.name") == "gen_ai.choice"]
    if found.kind is Kind.LLM and choices and found.output is None:
        found.output = outgoing(choices)
        found.input = incoming([event for event in events if event not in choices])


def _structured_answers(found: View, names: set[str]) -> None:
    """A call of an output tool is the answer itself in a structure, not a tool's use."""
    for message in found.output or ():
        message.parts = [
            {"type": "text", "content": json.dumps(part.get("arguments"), ensure_ascii=False)}
            if part.get("type") == "tool_call" and part.get("name") in names
            else part
            for part in message.parts
        ]


DIALECT = Dialect(
    name="pydantic_ai",
    version="2",
    rank=40,
    scopes=("pydantic-ai", "pydantic_ai"),
    marks=("pydantic_ai.", "model_request_parameters"),
    kinds={"pydantic_ai.span_kind": {"agent_run": Kind.AGENT, "tool": Kind.TOOL, "model_request": Kind.LLM}},
    names=(
        (r"(agent|.+) run$", Kind.AGENT),
        (r"running (\d+ tools?|tools)$", Kind.CHAIN),
        (r"running tools?\b", Kind.TOOL),
        (r"running output function", Kind.CHAIN),
        (r"chat\b", Kind.LLM),
        (r".", Kind.CHAIN),
    ),
    fields={
        "agent_name": ("agent_name",),
        "input_tokens": ("gen_ai.aggregated_usage.input_tokens",),
        "output_tokens": ("gen_ai.aggregated_usage.output_tokens",),
        "cost": ("operation.cost",),
        "input": ("pydantic_ai.all_messages", "all_messages_events", "events"),
        "input_value": ("pydantic_ai.run.prompt",),
        "output_value": ("final_result", "pydantic_ai.run.result"),
        "tool_arguments": ("tool_arguments",),
        "tool_result": ("tool_response",),
    },
    refine=_refine,
)
