"""A scenario that begins in the middle of a conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry import trace

from simulate import Scenario, run_sync
from simulate.errors import InputError
from simulate.model.outcome import Outcome

HISTORY = [
    {"caller": "My parcel never came."},
    {"called": "lookup_order", "with": {"order_id": "4417"}, "returned": {"status": "lost"}},
    {"agent": "It is lost. Shall I refund it?"},
]
given: list[list[dict[str, Any]]] = []


def _parts(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        response = {"id": message["tool_call_id"], "response": message["content"]}
        return {"role": "tool", "parts": [{"type": "tool_call_response", **response}]}
    calls = [
        {
            "type": "tool_call",
            "id": call["id"],
            "name": call["function"]["name"],
            "arguments": json.loads(call["function"]["arguments"]),
        }
        for call in message.get("tool_calls") or ()
    ]
    text = [{"type": "text", "content": message["content"]}] if message["content"] else []
    return {"role": message["role"], "parts": [*text, *calls]}


def remembers(messages: list[dict[str, Any]]) -> str:
    """An agent whose trace holds all that it was given, as production's do."""
    given.append(messages)
    with trace.get_tracer("mine").start_as_current_span("chat m") as span:
        answer = "Refunded, as I offered." if "lost" in str(messages[:-1]) else "Which order?"
        span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "m",
                "gen_ai.input.messages": json.dumps([_parts(message) for message in messages]),
                "gen_ai.output.messages": json.dumps([_parts({"role": "assistant", "content": answer})]),
            }
        )
    return answer


def had(*expect: dict[str, Any], agent: Any = remembers, history: Any = HISTORY) -> Outcome:
    scenario = {"name": "Goes on", "history": history, "script": [{"says": "Yes"}, {"says": "Thanks"}]}
    return run_sync(Scenario.model_validate({**scenario, "expect": list(expect)}), agent)


def test_the_agent_is_given_what_was_before() -> None:
    given.clear()
    outcome = had({"said": {"contains": "as I offered"}})
    assert outcome.passed, outcome.explain()
    first = given[0]
    assert [message["role"] for message in first] == ["user", "assistant", "tool", "assistant", "user"]
    assert first[1]["tool_calls"][0]["id"] == first[2]["tool_call_id"]
    assert len(given[1]) == 7 and len(outcome.conversation.utterances) == 4, "each line once"


def test_what_was_done_before_is_not_done_now() -> None:
    assert had({"called": "lookup_order"}).status != "passed"
    assert not [use for use in had().tool_uses if use.name == "lookup_order"]


def test_an_agent_that_remembers_by_itself_is_refused() -> None:
    with pytest.raises(InputError, match="one message at a time"):
        had(agent=lambda message: "hello")


@pytest.mark.parametrize(
    "entry", [{}, {"caller": "a", "agent": "b"}, {"caller": "a", "with": {"x": 1}}, {"spoke": "x"}]
)
def test_an_entry_is_one_thing(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"one of caller|belong to called|Extra inputs"):
        had(history=[entry])
