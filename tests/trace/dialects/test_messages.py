"""Messages of every shape come out in the same parts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulate.trace.reading.messages import incoming, messages, outgoing
from simulate.trace.reading.parts import arguments_of
from simulate.trace.reading.values import nested

CALL = {"type": "tool_call", "id": "c1", "name": "refund", "arguments": {"order": 7}}
ANSWER = {"type": "tool_call_response", "id": "c1", "response": {"ok": True}}


def test_what_smolagents_says_of_a_call_in_words_is_a_call_with_its_answer() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "refund", "arguments": {"order": 7}}}
    said = [
        {"role": "user", "content": "Please."},
        {"role": "assistant", "content": f"Calling tools:\n[{call}]"},
        {"role": "user", "content": "Observation:\n{'ok': True}"},
    ]
    found = incoming(said) or []
    assert found[1].parts == [CALL]
    assert found[2].role == "tool" and found[2].parts[0]["response"] == "{'ok': True}"
    kept = incoming([said[1], {"role": "user", "content": "Well?"}]) or []
    assert [message.role for message in kept] == ["assistant", "user"] and not kept[0].tool_calls


CALLS: dict[str, Any] = {
    "conventions": [{"role": "assistant", "parts": [CALL]}],
    "openai": {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "refund", "arguments": '{"order": 7}'}}
        ],
    },
    "openai choices": {
        "choices": [
            {
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "tool_calls": [{"id": "c1", "function": {"name": "refund", "arguments": '{"order": 7}'}}],
                },
            }
        ]
    },
    "openai responses": [
        {"type": "function_call", "call_id": "c1", "name": "refund", "arguments": '{"order": 7}'}
    ],
    "anthropic": {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "c1", "name": "refund", "input": {"order": 7}}],
    },
    "gemini": {
        "content": {
            "role": "model",
            "parts": [{"function_call": {"id": "c1", "name": "refund", "args": {"order": 7}}}],
        }
    },
    "vercel": {
        "role": "assistant",
        "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "refund", "input": {"order": 7}}],
    },
    "langchain": {
        "type": "ai",
        "content": "",
        "tool_calls": [{"id": "c1", "name": "refund", "args": {"order": 7}}],
    },
    "langchain serialised": {
        "lc": 1,
        "id": ["langchain", "schema", "messages", "AIMessage"],
        "kwargs": {"content": "", "tool_calls": [{"id": "c1", "name": "refund", "args": {"order": 7}}]},
    },
    "pydantic-ai": [
        {
            "role": "assistant",
            "parts": [
                {
                    "part_kind": "tool-call",
                    "tool_call_id": "c1",
                    "tool_name": "refund",
                    "args": '{"order": 7}',
                }
            ],
        }
    ],
    "livekit": {
        "items": [{"type": "function_call", "call_id": "c1", "name": "refund", "arguments": '{"order": 7}'}]
    },
    "openinference": nested(
        [
            ("0.message.role", "assistant"),
            ("0.message.tool_calls.0.tool_call.id", "c1"),
            ("0.message.tool_calls.0.tool_call.function.name", "refund"),
            ("0.message.tool_calls.0.tool_call.function.arguments", '{"order": 7}'),
        ]
    ),
    "openllmetry": nested(
        [
            ("0.role", "assistant"),
            ("0.tool_calls.0.id", "c1"),
            ("0.tool_calls.0.name", "refund"),
            ("0.tool_calls.0.arguments", '{"order": 7}'),
        ]
    ),
}


@pytest.mark.parametrize("shape", CALLS)
@pytest.mark.parametrize("written", [False, True])
def test_tool_calls(shape: str, written: bool) -> None:
    found = outgoing(json.dumps(CALLS[shape]) if written else CALLS[shape])
    assert found is not None and [message.role for message in found] == ["assistant"]
    assert found[0].tool_calls == [CALL]


ANSWERS: dict[str, Any] = {
    "conventions": [{"role": "tool", "parts": [ANSWER]}],
    "conventions, result": [
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "result": {"ok": True}}]}
    ],
    "openai": {"role": "tool", "tool_call_id": "c1", "content": '{"ok": true}'},
    "responses": [{"type": "function_call_output", "call_id": "c1", "output": '{"ok": true}'}],
    "anthropic": {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "c1", "content": '{"ok": true}'}],
    },
    "vercel": {
        "role": "tool",
        "content": [
            {"type": "tool-result", "toolCallId": "c1", "output": {"type": "json", "value": {"ok": True}}}
        ],
    },
    "langchain": {"type": "tool", "content": '{"ok": true}', "tool_call_id": "c1"},
}


@pytest.mark.parametrize("shape", ANSWERS)
def test_tool_answers(shape: str) -> None:
    found = incoming(ANSWERS[shape])
    assert found is not None and [message.role for message in found] == ["tool"]
    part = found[0].parts[0]
    assert (part["type"], part["id"]) == ("tool_call_response", "c1")
    assert part.get("response", part.get("result")) == {"ok": True}


@pytest.mark.parametrize(
    "value",
    [
        "hello",
        [{"role": "user", "content": "hello"}],
        [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}],
        {"messages": [{"role": "user", "content": "hello"}], "model": "m"},
        {"prompt": "hello"},
        {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
        {"messages": [[{"type": "human", "content": "hello"}]]},
        nested([("0.message.contents.0.message_content.text", "hello"), ("0.message.role", "user")]),
    ],
)
def test_texts(value: Any) -> None:
    found = incoming(value)
    assert found is not None
    assert [(message.role, message.text) for message in found] == [("user", "hello")]


def test_a_system_prompt_beside_the_messages_goes_first() -> None:
    found = incoming({"system": "Be kind.", "prompt": "hello"})
    assert [(message.role, message.text) for message in found or ()] == [
        ("system", "Be kind."),
        ("user", "hello"),
    ]


@pytest.mark.parametrize("value", [None, "", {}, [], "[]"])
def test_nothing_is_none(value: Any) -> None:
    assert messages(value, "user") is None


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        ('{"a": 1}', {"a": 1}),
        ("{'a': 1}", {"a": 1}),
        ({"args": [], "kwargs": {"a": 1}}, {"a": 1}),
        (None, {}),
        ("plain", "plain"),
        ("{'broken", "{'broken"),
    ],
)
def test_arguments(value: Any, arguments: Any) -> None:
    assert arguments_of(value) == arguments


PARTS: list[Any] = [
    {"type": "text", "content": "Hi"}, {"type": "text", "text": None},
    {"type": "tool_call", "id": "1", "name": "f"},
    ANSWER, {"type": "agent_handoff"}, {"type": "unheard of", "x": 1}, {"type": 7}, {"text": "bare"}, "plain",
    {"message_content": {"type": "text", "content": "in it"}}, {"type": "reasoning", "content": "hm"}, None,
]  # fmt: skip


@pytest.mark.parametrize("role", ["user", "assistant", "model", "tool", "message", "", None, 3])
@pytest.mark.parametrize("reason", [{}, {"finish_reason": "stop"}, {"finish_reason": None}])
def test_the_conventions_own_messages_are_read_the_same_on_the_short_way(role: Any, reason: Any):
    """A message with another key is read the long way round; an empty one changes nothing of what it says."""
    for parts in [[], [ANSWER, ANSWER], PARTS, *([one] for one in PARTS)]:
        told = {"role": role, "parts": parts, **reason}
        assert messages(told, "user") == messages({**told, "finishReason": None}, "user"), told
    without = {"parts": PARTS}
    assert messages(without, "assistant") == messages({**without, "finishReason": None}, "assistant")


@pytest.mark.parametrize("kind", [{"a": 1}, ["text"], 7, None])
def test_a_part_s_type_is_a_text_whatever_was_written(kind: Any) -> None:
    for part in ({"type": kind, "x": 1}, {"type": kind, "kind": "image"}):
        for place in ("content", "parts"):
            (message,) = incoming([{"role": "user", place: [part]}]) or []
            assert [type(each["type"]) for each in message.parts] == [str]


@pytest.mark.parametrize(
    "key", ["toolUse", "toolResult", "tool_call", "tool_call_result", "functionCall", "message_content"]
)
@pytest.mark.parametrize("held", [["x"], "x", 7, [{"text": None}]])
def test_a_part_whose_inside_is_no_object_is_kept_as_it_is(key: str, held: Any) -> None:
    for part in ({key: held}, {"type": "tool_use", key: held}, {"type": "tool_result", "content": held}):
        assert incoming([{"role": "user", "content": [part]}])
