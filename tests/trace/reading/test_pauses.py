"""A tool that waits for an answer is run anew afterwards: one call, and none while nobody answered."""

from __future__ import annotations

from typing import Any

import pytest

from simulate.trace.cost import succeeded
from simulate.trace.reading import Unknown
from simulate.trace.span import Event
from tests.trace.reading.conftest import Story, statuses

INTERRUPT = "(Interrupt(value={'ask': 'ok?'}, id='75f2'),)"
PAUSES: dict[str, dict[str, Any]] = {
    "OpenInference": {
        "events": [Event("exception", 0, {"exception.type": "langgraph.errors.GraphInterrupt"})],
        "status": "ok",
    },
    "traceAI": {"attributes": {"langgraph.interrupt": True}, "status": "ok"},
    "OpenLLMetry": {"status": "error", "status_message": INTERRUPT},
    "an error's type": {"status": "error", "attributes": {"error.type": "GraphInterrupt"}},
    "LangChain JS": {"status": "error", "status_message": "GraphInterrupt: [{\"value\": \"ok?\"}]"},
    "pydantic-ai": {
        "events": [Event("exception", 0, {"exception.type": "pydantic_ai.exceptions.ApprovalRequired"})],
        "status": "error",
    },
}  # fmt: skip
ORDER = {"order_id": "4711"}


def asked_and_paused(story: Story, pause: str, **more: Any) -> None:
    story.chat(("refund", "c1", ORDER))
    span = story.tool("refund", arguments=ORDER, **more)
    told = dict(PAUSES[pause])
    span.attributes.update(told.pop("attributes", {}))
    for name, value in told.items():
        setattr(span, name, value)


@pytest.mark.parametrize("pause", PAUSES)
async def test_a_tool_that_was_resumed_is_one_call(story: Story, pause: str) -> None:
    asked_and_paused(story, pause)
    story.tool("refund", arguments=ORDER, **{"gen_ai.tool.call.result": "refunded"})
    story.answered("c1", "refunded")
    story.chat(says="It is refunded.")
    assert story.calls() == [("refund", ORDER, "refunded")]
    reading = story.read()
    assert succeeded(reading)
    assert len((reading.tool_calls[0].ran or pytest.fail("it ran")).span_ids) == 2
    assert await statuses(reading, {"called": "refund", "times": 1}, {"not_called": "refund"}) == [
        "passed",
        "failed",
    ]


@pytest.mark.parametrize("pause", PAUSES)
async def test_a_tool_that_was_not_resumed_may_have_done_nothing(story: Story, pause: str) -> None:
    asked_and_paused(story, pause)
    (call,) = story.read().tool_calls
    assert isinstance(call.happened, Unknown)
    assert call.paused_in == call.shifted(1.0).paused_in == story.spans[-1].span_id
    both = [{"called": "refund"}, {"not_called": "refund"}]
    assert await statuses(story.read(), *both) == ["not_run", "not_run"]


def test_each_of_two_that_wait_is_resumed_by_its_own_run(story: Story) -> None:
    other = {"order_id": "4712"}
    story.chat(("refund", "c1", ORDER), ("refund", "c2", other))
    for arguments in (ORDER, other):
        story.tool("refund", arguments=arguments).attributes["langgraph.interrupt"] = True
    story.tool("refund", arguments=other, **{"gen_ai.tool.call.result": "2"})
    assert [(call.happened is True, call.arguments) for call in story.read().tool_calls] == [
        (False, ORDER),
        (True, other),
    ]
    story.tool("refund", arguments=ORDER, **{"gen_ai.tool.call.result": "1"})
    assert sorted(story.calls(), key=str) == [("refund", ORDER, "1"), ("refund", other, "2")]


def test_an_answer_in_the_history_tells_that_it_went_on(story: Story) -> None:
    asked_and_paused(story, "pydantic-ai")
    story.answered("c1", "refunded by hand")
    story.chat(says="It is refunded.")
    assert [call.happened for call in story.read().tool_calls] == [True]
