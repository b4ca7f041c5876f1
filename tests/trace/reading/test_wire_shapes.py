"""What models asked for and were told, in each provider's own messages: out of order, ids again, errors."""

# ruff: noqa: E501 - data
from __future__ import annotations

import json
from typing import Any

import pytest

from simulate.trace.reading import TraceReading
from simulate.trace.span import Span, Trace

NOON = 1_780_000_000_000_000_000
MS = 10**6
Messages = list[dict[str, Any]]


def chat(at: int, asked: Messages, answered: Messages) -> Span:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": json.dumps(asked),
        "gen_ai.output.messages": json.dumps(answered),
    }
    return Span("1" * 32, f"{at:016x}", "chat", None, NOON + at * MS, NOON + (at + 5) * MS, attributes)


def tool(at: int, number: int, call_id: str | None = None) -> Span:
    """A run of which nobody tells the time."""
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find",
        "gen_ai.tool.call.arguments": json.dumps({"n": number}),
        "gen_ai.tool.call.result": f"at {number}",
        **({"gen_ai.tool.call.id": call_id} if call_id else {}),
    }
    return Span("1" * 32, f"{at:016x}", "find", None, 0, None, attributes)


def told(*spans: Span) -> list[tuple[Any, Any, str | None]]:
    calls = TraceReading(Trace("1" * 32, list(spans))).tool_calls
    return [(call.arguments, call.result, call.error) for call in calls]


def gemini(number: int) -> dict[str, Any]:
    return {"functionCall": {"name": "find", "args": {"n": number}}}


def gemini_result(text: str) -> dict[str, Any]:
    return {"functionResponse": {"name": "find", "response": {"result": text}}}


def bedrock(call_id: str, number: int) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": call_id, "name": "find", "input": {"n": number}}}


def bedrock_result(call_id: str, text: str, status: str = "success") -> dict[str, Any]:
    return {"toolResult": {"toolUseId": call_id, "content": [{"text": text}], "status": status}}


def openai(call_id: Any, number: int) -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": "find", "arguments": f'{{"n": {number}}}'},
    }


def claude(call_id: str, number: int) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "find", "input": {"n": number}}


def vercel(call_id: str, number: int) -> dict[str, Any]:
    return {"type": "tool-call", "toolCallId": call_id, "toolName": "find", "input": {"n": number}}


USER = {"role": "user", "content": "Where are they?"}
OUT_OF_ORDER: dict[str, tuple[Messages, Messages]] = {
    "bedrock": (
        [{"role": "assistant", "content": [{"text": "Let me see"}, bedrock("a", 1), bedrock("b", 2)]}],
        [{"role": "user", "content": [bedrock_result("b", "at 2"), bedrock_result("a", "gone", "error")]}],
    ),
    "openai, ids as integers": (
        [{"role": "assistant", "tool_calls": [openai(1, 1), openai(2, 2)]}],
        [
            {"role": "tool", "tool_call_id": 2, "content": "at 2"},
            {"role": "tool", "tool_call_id": "1", "content": "gone", "status": "error"},
        ],
    ),
    "anthropic, thoughts and words between": (
        [{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, claude("a", 1),
                                           {"type": "text", "text": "and"}, claude("b", 2)]}],
        [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "at 2"}]},
            {"type": "tool_result", "tool_use_id": "a", "is_error": True, "content": "gone"},
            {"type": "text", "text": "Go on"}]}],
    ),
    "vercel": (
        [{"role": "assistant", "content": [vercel("a", 1), vercel("b", 2)]}],
        [{"role": "tool", "content": [
            {"type": "tool-result", "toolCallId": "b", "toolName": "find", "output": {"type": "text", "value": "at 2"}},
            {"type": "tool-result", "toolCallId": "a", "toolName": "find",
             "output": {"type": "error-text", "value": "gone"}}]}],
    ),
    "openai's responses": (
        [{"type": "function_call", "call_id": f"c{n}", "id": f"fc_{n}", "name": "find", "arguments": f'{{"n": {n}}}'}
         for n in (1, 2)],
        [{"type": "function_call_output", "call_id": "c2", "output": "at 2", "status": "completed"},
         {"type": "function_call_output", "call_id": "c1", "output": "gone", "is_error": True}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("wire", OUT_OF_ORDER)
def test_results_out_of_order_find_their_calls_and_say_that_they_failed(wire: str) -> None:
    asked, results = OUT_OF_ORDER[wire]
    done = [{"role": "assistant", "content": "There they are."}]
    found = told(chat(0, [USER], asked), chat(10, [USER, *asked, *results], done))
    assert found == [({"n": 1}, "gone", "gone"), ({"n": 2}, "at 2", None)]


@pytest.mark.parametrize("wire", ["gemini", "bedrock", "vercel"])
def test_an_id_that_comes_again_or_is_never_told_mixes_no_results(wire: str) -> None:
    history: Messages = [USER]
    spans: list[Span] = []
    for at, number in enumerate((1, 2, 1)):
        ask = {"gemini": gemini(number), "bedrock": bedrock("a", number), "vercel": vercel("a", number)}[wire]
        answer = {
            "gemini": {"role": "user", "parts": [gemini_result(f"{at}: at {number}")]},
            "bedrock": {"role": "user", "content": [bedrock_result("a", f"{at}: at {number}")]},
            "vercel": {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "a", "toolName": "find",
                                                    "result": f"{at}: at {number}"}]},
        }[wire]  # fmt: skip
        asked = (
            {"role": "model", "parts": [ask]} if wire == "gemini" else {"role": "assistant", "content": [ask]}
        )
        spans.append(chat(at * 10, list(history), [asked]))
        history += [asked, answer]
    spans.append(chat(50, history, [{"role": "assistant", "content": "There."}]))
    results: list[Any] = [
        result["result"] if isinstance(result, dict) else result for _, result, _ in told(*spans)
    ]
    assert results == ["0: at 1", "1: at 2", "2: at 1"]


@pytest.mark.parametrize("ids", [("a", "b"), (None, None)])
def test_runs_without_times_are_those_that_were_asked_for(ids: tuple[str | None, str | None]) -> None:
    asked = [{"role": "assistant", "tool_calls": [openai("a", 1), openai("b", 2)]}]
    spans = chat(0, [USER], asked), tool(2, 2, ids[1]), tool(3, 1, ids[0])
    assert told(*spans) == [({"n": 1}, "at 1", None), ({"n": 2}, "at 2", None)]
    calls = TraceReading(Trace("1" * 32, list(spans))).tool_calls
    assert [call.ran is not None and call.ran.start is None and call.ran.end is None for call in calls] == [
        True,
        True,
    ]


def test_a_run_that_tells_one_value_is_the_call_of_that_value() -> None:
    def run(at: int, value: str) -> Span:
        names = {
            "openinference.span.kind": "TOOL",
            "tool.name": "find",
            "input.value": value,
            "output.value": f"at {value}",
        }
        return Span("1" * 32, f"{at:016x}", "find", None, NOON + 7 * MS, NOON + 8 * MS, names)

    asked = [{"role": "assistant", "tool_calls": [openai(None, 1), openai(None, 2)]}]
    assert told(chat(0, [USER], asked), run(2, "2"), run(3, "1")) == [
        ({"n": 1}, "at 1", None),
        ({"n": 2}, "at 2", None),
    ]
