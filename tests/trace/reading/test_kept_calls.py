"""A call that only an agent's or a chain's kept conversation tells is no innocence, and no call either."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulate.trace.reading import TraceReading
from simulate.trace.span import Event
from tests.trace.reading.conftest import Story, statuses

ORDER = {"order_id": "4711"}
HUMAN = {"type": "human", "content": "Refund 4711"}
AI = {"type": "ai", "content": "", "tool_calls": [{"name": "refund", "args": ORDER, "id": "c1"}]}
RESULT = {"type": "tool", "content": "refunded", "tool_call_id": "c1", "name": "refund"}
LANGGRAPH = {"messages": [HUMAN, AI, RESULT, {"type": "ai", "content": "Done"}]}
OURS = [
    {"role": "user", "parts": [{"type": "text", "content": "Refund 4711"}]},
    {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "refund", "arguments": ORDER}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "refunded"}]},
]
REACT = f"Thought: I should.\nAction: refund\nAction Input: {json.dumps(ORDER)}"
KEPT: dict[str, dict[str, Any]] = {
    "LangGraph's state": {"openinference.span.kind": "CHAIN", "output.value": LANGGRAPH},
    "a node's update": {"openinference.span.kind": "CHAIN", "output.value": {"model": LANGGRAPH}},
    "OpenLLMetry": {"traceloop.span.kind": "workflow", "traceloop.entity.output": {"outputs": LANGGRAPH}},
    "LangSmith": {"langsmith.span.kind": "chain", "gen_ai.completion": LANGGRAPH},
    "an agent's own messages": {"gen_ai.operation.name": "invoke_agent", "gen_ai.output.messages": OURS},
    "pydantic-ai": {"gen_ai.operation.name": "invoke_agent", "pydantic_ai.all_messages": OURS},
    "CrewAI": {
        "openinference.span.kind": "CHAIN",
        "output.value": {"tasks_output": [{"messages": [{"role": "assistant", "content": REACT}]}]},
    },
}


def kept(story: Story, attributes: dict[str, Any]) -> Story:
    written = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in attributes.items()
    }
    story.root.attributes = written
    return story


@pytest.mark.parametrize("where", KEPT)
async def test_a_call_that_no_span_tells_makes_verdicts_unknown(story: Story, where: str) -> None:
    kept(story, KEPT[where]).chat(says="Done")
    reading = story.read()
    assert (reading.tool_calls, "refund" in reading.tools_visible.why_not) == ([], True)
    expected = [{"not_called": "refund"}, {"called": "refund"}, {"not_called": "lookup"}]
    assert await statuses(reading, *expected) == ["not_run"] * 3


@pytest.mark.parametrize("where", KEPT)
def test_a_call_that_a_span_tells_is_nothing_new(story: Story, where: str) -> None:
    kept(story, KEPT[where]).chat(("refund", "c1", ORDER))
    story.tool("refund", "c1", ORDER)
    story.chat(says="Done")
    assert story.read().tools_visible


def test_the_second_of_two_calls_of_one_tool_is_missed(story: Story) -> None:
    second = {**AI, "tool_calls": [{"name": "refund", "args": {"order_id": "4712"}, "id": "c2"}]}
    state = {"messages": [HUMAN, AI, RESULT, second]}
    kept(story, {"openinference.span.kind": "CHAIN", "output.value": state}).chat(("refund", "c1", ORDER))
    assert not story.read().tools_visible


@pytest.mark.parametrize(
    "value",
    [
        {"messages": [HUMAN, AI, RESULT, {"type": "human", "content": "Thanks"}]},
        {"tools": [{"type": "function", "function": {"name": "refund", "parameters": {"type": "object"}}}]},
        {"messages": [HUMAN, {"type": "ai", "content": "I may call refund or not."}]},
        {"messages": [HUMAN, {**AI, "tool_calls": [{"name": "transfer_back_to_desk", "args": {}}]}]},
        {"messages": [HUMAN], "schema": {"type": ["string", "null"]}},
        "refund",
    ],
)  # fmt: skip
def test_what_was_called_before_or_could_be_is_no_call_of_this_turn(story: Story, value: Any) -> None:
    kept(story, {"openinference.span.kind": "CHAIN", "output.value": value}).chat(says="Done")
    assert story.read().tools_visible


def test_an_answer_in_the_shape_of_a_call_is_none(story: Story) -> None:
    answer = {"quality": "good"}
    call = {"type": "tool_call", "id": "c", "name": "final_result", "arguments": answer}
    messages = [{"role": "assistant", "parts": [call]}]
    attributes = {"gen_ai.operation.name": "invoke_agent", "pydantic_ai.all_messages": messages}
    kept(story, {**attributes, "final_result": answer}).chat(says=json.dumps(answer))
    assert TraceReading(story.read().trace).tools_visible


async def test_a_call_that_only_a_history_tells_may_have_been_made_in_this_turn(story: Story) -> None:
    story.history += [{"role": "user", "parts": [{"type": "text", "content": "Refund 4711"}]}, *OURS[1:]]
    story.chat(says="Done")
    expected = [{"not_called": "refund"}, {"called": "refund"}, {"not_called": "lookup"}]
    assert await statuses(story.read(), *expected) == ["not_run", "not_run", "passed"]
    story.history.append({"role": "user", "parts": [{"type": "text", "content": "Thanks"}]})
    story.spans.clear()
    story.chat(says="You are welcome")
    assert await statuses(story.read(), {"not_called": "refund"}) == ["passed"]


@pytest.mark.parametrize("operation", ["invoke_agent", "chat"])
async def test_an_event_that_names_a_tool_is_no_innocence(story: Story, operation: str) -> None:
    span = story.root if operation == "invoke_agent" else story.chat(says="Done")
    span.events.append(Event("tool_call", 0, {"name": "refund", "arguments": json.dumps(ORDER)}))
    story.chat(says="Done")
    assert await statuses(story.read(), {"not_called": "refund"}, {"called": "refund"}) == ["not_run"] * 2
