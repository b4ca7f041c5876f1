"""Calls whose own spans were lost, and of which only a later history tells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulate.conversation.span_turns import SpanTurns
from simulate.model.transcript import Conversation, Utterance
from tests.trace.reading.conftest import START, Story

ORDER = {"role": "user", "parts": [{"type": "text", "content": "Refund both."}]}


def asked(number: int) -> dict[str, Any]:
    part = {"type": "tool_call", "id": "call_0", "name": "refund", "arguments": {"order": number}}
    return {"role": "assistant", "parts": [part]}


def answered(number: int) -> dict[str, Any]:
    part = {"type": "tool_call_response", "id": "call_0", "response": f"{number} done"}
    return {"role": "tool", "parts": [part]}


@pytest.mark.parametrize("seen", [[], [77], [78], [77, 78]])
def test_a_history_tells_each_lost_call_once_even_if_all_have_one_id(story: Story, seen: list[int]) -> None:
    for number in seen:
        story.tool("refund", "call_0", {"order": number})
    story.history = [ORDER, asked(77), answered(77), asked(78), answered(78)]
    story.chat(says="Done.", **{"gen_ai.input.messages": json.dumps(story.history)})
    talk = Conversation("a" * 32, started_ns=START)
    talk.add(Utterance("caller", "Refund both.", 1, 0.0, 0.1))
    talk.add(Utterance("agent", "Done.", 1, 5.0, 5.1))
    reading = story.read()
    turns = SpanTurns(reading, talk, outside=True)
    lost = turns.told_later(reading.tool_calls)
    expected = [number for number in (77, 78) if number not in seen]
    assert [(call.arguments, call.result) for call in lost] == [
        ({"order": number}, f"{number} done") for number in expected
    ]
