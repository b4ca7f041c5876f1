"""Answers as providers and exports write them: every call is read, or it is unknown; none is innocence."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from simulate.trace import read
from simulate.trace.reading import TraceReading, Unknown
from simulate.trace.span import Event, Span, Trace
from tests.trace.reading.conftest import START, Story, statuses

ORDER = {"order": "4417"}
OPENAI = {"id": "c", "type": "function", "function": {"name": "refund", "arguments": json.dumps(ORDER)}}
GEMINI = [{"content": {"parts": [{"functionCall": {"name": "refund", "args": ORDER}}], "role": "model"}}]
BEDROCK = {
    "role": "assistant",
    "content": [{"toolUse": {"toolUseId": "t", "name": "refund", "input": ORDER}}],
}
BODIES: list[Any] = [
    {"candidates": GEMINI, "usageMetadata": {"promptTokenCount": 3}},
    {"candidates": [{**GEMINI[0], "finishReason": "STOP"}]},
    {"output": {"message": BEDROCK}, "stopReason": "tool_use"},
    {"output": {"role": "assistant", "content": None, "tool_calls": [OPENAI]}},
    {"outputs": [{"role": "assistant", "content": "I will", "tool_calls": [OPENAI]}]},
    {"response": {"choices": [{"message": {"role": "assistant", "tool_calls": [OPENAI]}}]}},
    {"message": {"role": "assistant", "tool_calls": [OPENAI]}, "finish_reason": "TOOL_CALL"},
    {"text": "I will", "tool_calls": [{"name": "refund", "parameters": ORDER}], "finish_reason": "COMPLETE"},
]
NOT_CALLED, ANOTHER = {"not_called": "refund"}, {"not_called": "delete_account"}


def told(body: Any, way: str, **more: Any) -> TraceReading:
    """The answer as an OpenInference span, a Langfuse observation or a LangSmith run has it."""
    moments = ("2026-11-30T10:00:00Z", "2026-11-30T10:00:01Z")
    if way == "openinference":
        attributes: dict[str, Any] = {
            "openinference.span.kind": "LLM",
            "input.value": "Refund it.",
            "output.value": json.dumps(body),
        }
        return TraceReading(
            Trace("1" * 32, [Span("1" * 32, "2" * 16, "m", None, START, START + 9, attributes)])
        )
    if way == "langfuse":
        document: Any = {
            "trace": {"id": "t", "timestamp": moments[0], "projectId": "p"},
            "observations": [{"id": "o", "traceId": "t", "type": "GENERATION", "startTime": moments[0],
                              "endTime": moments[1], "input": "Refund it.", "output": body, **more}],
        }  # fmt: skip
    else:
        document = {"id": "r", "name": "m", "run_type": "llm", "start_time": moments[0],
                    "end_time": moments[1], "inputs": {"prompt": "Refund it."}, "outputs": body}  # fmt: skip
    (trace,) = read(io.BytesIO(json.dumps(document).encode()))
    return TraceReading(trace)


@pytest.mark.parametrize("way", ["openinference", "langfuse", "langsmith"])
@pytest.mark.parametrize("body", BODIES)
async def test_the_body_of_a_provider_s_answer_is_read_for_its_calls(body: Any, way: str) -> None:
    reading = told(body, way)
    assert [(call.name, call.arguments) for call in reading.tool_calls] == [("refund", ORDER)]
    assert await statuses(reading, NOT_CALLED, ANOTHER) == ["not_run", "passed"]


@pytest.mark.parametrize("way", ["openinference", "langfuse", "langsmith"])
@pytest.mark.parametrize(
    "body",
    [
        {"steps": [{"toolInvocation": {"id": 1, "of": "refund"}}]},
        {"data": {"deep": [{"functions": [{"n": "refund"}]}]}},
        {"action": "refund", "action_input": ORDER},
    ],
)
async def test_an_answer_in_a_form_that_nobody_knows_is_no_innocence(body: Any, way: str) -> None:
    assert await statuses(told(body, way), NOT_CALLED) == ["not_run"]


@pytest.mark.parametrize(
    "body", [{"answer": "It is blue.", "sure": True}, {"response": "Blue."}, {"tools": []}]
)
async def test_an_answer_that_is_data_stays_an_answer(body: Any) -> None:
    assert await statuses(told(body, "openinference"), NOT_CALLED) == ["passed"]


@pytest.mark.parametrize("reason", ["tool_calls", "tool_use", "TOOL_CALL"])
async def test_a_message_that_ended_for_a_tool_that_nothing_shows(story: Story, reason: str) -> None:
    answer = {"role": "assistant", "parts": [{"type": "text", "content": "Hm."}], "finish_reason": reason}
    story.chat(**{"gen_ai.output.messages": json.dumps([answer])})
    assert await statuses(story.read(), NOT_CALLED) == ["not_run"]


async def test_a_call_that_hangs_below_an_ended_one_leaves_that_one_its_request(story: Story) -> None:
    asked = story.chat(("refund", "c", ORDER))
    story.answered("c", "done")
    story.chat(says="Done.").parent_id = asked.span_id
    (call,) = story.read().tool_calls
    assert (call.arguments, call.result) == (ORDER, "done")
    assert await statuses(story.read(), NOT_CALLED) == ["failed"]


async def test_arguments_that_were_not_recorded_are_not_none(story: Story) -> None:
    part = {"type": "tool_call", "id": "c", "name": "refund"}  # pydantic-ai, told to record no content
    story.chat(**{"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [part]}])})
    story.tool("refund", "c")
    (call,) = story.read().tool_calls
    assert isinstance(call.arguments, Unknown)
    asked = {"called": "refund", "with": ORDER}, {"not_called": "refund", "with": ORDER}
    assert await statuses(story.read(), *asked) == ["not_run", "not_run"]


@pytest.mark.parametrize("name", ["refund", "tool: refund", "refund.tool", "run refund()"])
async def test_a_span_that_bears_the_tool_s_name_forbids_blame_and_innocence(story: Story, name: str) -> None:
    story.chat(says="Done.")
    story.add(name, "step", order="4417")
    assert await statuses(story.read(), {"called": "refund"}, NOT_CALLED, ANOTHER) == [
        "not_run",
        "not_run",
        "passed",
    ]


async def test_a_step_that_only_speaks_of_a_tool_is_no_excuse(story: Story) -> None:
    story.chat(says="Done.")
    story.add("look up the refund policy", "step")
    assert await statuses(story.read(), {"called": "refund"}) == ["failed"]


@pytest.mark.parametrize("name", ["Refund_Order", "refundOrder", "shop.refund-order", "Shop-refund_order"])
async def test_a_tool_s_name_in_another_spelling_may_be_that_tool(story: Story, name: str) -> None:
    story.tool(name, None, ORDER)
    expect = {"called": "refund_order"}, {"not_called": "refund_order"}, {"not_called": "refund_orders"}
    assert await statuses(story.read(), *expect) == ["not_run", "not_run", "passed"]


@pytest.mark.parametrize("name", ["execute_tool", "tools/call", "ai.toolCall", "function_tool"])
async def test_a_run_whose_span_does_not_name_its_tool_may_be_any_tool_s(story: Story, name: str) -> None:
    story.add(name, "execute_tool", **{"gen_ai.tool.call.arguments": json.dumps(ORDER)})
    assert await statuses(story.read(), NOT_CALLED, {"called": "refund"}) == ["not_run", "not_run"]


async def test_an_event_without_content_tells_no_arguments(story: Story) -> None:
    span = story.tool("refund")
    span.events.append(Event("gen_ai.tool.message", START, {"id": "c"}))
    expected = {"called": "refund", "with": ORDER}, {"not_called": "refund", "with": ORDER}
    assert await statuses(story.read(), *expected) == ["not_run", "not_run"]


def test_azure_s_events_hold_their_body_in_one_text(story: Story) -> None:
    choice = {"message": {"tool_calls": [OPENAI]}, "finish_reason": "tool_calls", "index": 0}
    span = story.add("chat gpt-4o", "chat")
    for name, body in (("gen_ai.user.message", {"content": "Refund 4417"}), ("gen_ai.choice", choice)):
        span.events.append(Event(name, START, {"gen_ai.event.content": json.dumps(body)}))
    (call,) = story.read().tool_calls
    assert (call.name, call.arguments) == ("refund", ORDER)
    ((_, view),) = story.read().llm_calls
    assert [(one.role, one.text) for one in view.input or ()] == [("user", "Refund 4417")]


async def test_calls_that_langfuse_exports_apart_from_the_output_are_read() -> None:
    call = json.dumps({"id": "c", "name": "refund", "arguments": json.dumps(ORDER)})
    reading = told(None, "langfuse", toolCalls=[call])
    assert [(call.name, call.arguments) for call in reading.tool_calls] == [("refund", ORDER)]


def test_langsmith_s_usage_is_read_where_its_columns_are_empty() -> None:
    usage = {"input_tokens": 100, "output_tokens": 5, "input_token_details": {"cache_read": 80}}
    message = {"lc": 1, "type": "constructor", "kwargs": {"content": "", "usage_metadata": usage}}
    for place in (
        {"outputs": {"usage_metadata": usage}},
        {"extra": {"metadata": {"usage_metadata": usage}}},
        {"outputs": {"generations": [[{"text": "", "message": message}]]}},
    ):
        run = {"id": "r", "name": "m", "run_type": "llm", "start_time": "2026-11-30T10:00:00Z", **place}
        (trace,) = read(io.BytesIO(json.dumps(run).encode()))
        ((_, view),) = TraceReading(trace).llm_calls
        assert (view.input_tokens, view.output_tokens, view.cached_tokens) == (100, 5, 80)


@pytest.mark.parametrize("kind", ["tool_search_call", "shell_tool_use", "remote_function"])
async def test_a_part_of_a_kind_that_may_be_a_call_is_no_innocence(story: Story, kind: str) -> None:
    parts = [{"type": kind, "of": "refund"}, {"type": "text", "content": "Done."}]
    story.chat(**{"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}])})
    assert await statuses(story.read(), NOT_CALLED) == ["not_run"]


def test_a_tool_that_the_provider_ran_is_read_in_the_conventions_own_form(story: Story) -> None:
    asked = {"type": "server_tool_call", "id": "c", "name": "run_code", "server_tool_call": {"code": "1+1"}}
    answer = {"type": "server_tool_call_response", "id": "c", "server_tool_call_response": {"output": "2"}}
    parts = [asked, answer, {"type": "text", "content": "2"}]
    story.chat(**{"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}])})
    (call,) = story.read().tool_calls
    assert (call.name, call.arguments, call.result) == ("run_code", {"code": "1+1"}, {"output": "2"})


async def test_the_tools_of_a_connection_do_not_show_the_others(story: Story) -> None:
    silent: dict[str, Any] = {"gen_ai.output.messages": None, "gen_ai.input.messages": None}
    story.chat(**silent)
    span = story.tool("refund", None, ORDER)
    assert await statuses(story.read(), NOT_CALLED, ANOTHER) == ["failed", "passed"]
    span.attributes["mcp.method.name"] = "tools/call"
    assert await statuses(story.read(), NOT_CALLED, ANOTHER) == ["failed", "not_run"]


IN_WORDS = [
    'Thought: do it\nAction: refund\nAction Input: {"order": "4417"}',
    '<function_calls>\n<invoke name="refund">\n<parameter name="order">4417</parameter>\n</invoke>',
    '<｜tool▁call▁begin｜>function<｜tool▁sep｜>refund\n```json\n{"order": "4417"}\n```',
    '<|channel|>commentary to=functions.refund <|constrain|>json<|message|>{"order":"4417"}<|call|>',
    "<tool_call>refund\n<arg_key>order</arg_key>\n<arg_value>4417</arg_value>\n</tool_call>",
    '<|tool_call_begin|>functions.refund:0<|tool_call_argument_begin|>{"order":"4417"}<|tool_call_end|>',
    "```python\nrefund(order='4417')\n```",
    "[refund(order='4417')]",
]


@pytest.mark.parametrize("words", IN_WORDS)
async def test_a_call_in_words_that_a_server_may_take_out_is_unknown(story: Story, words: str) -> None:
    story.chat(says=words)
    expect = {"called": "refund"}, NOT_CALLED, {"called": "refund", "times": 0}, ANOTHER
    assert await statuses(story.read(), *expect) == ["not_run", "not_run", "not_run", "passed"]


@pytest.mark.parametrize(
    "words", ["Your refund (42 dollars) is due.", "No refund, I fear.", "In action: refunds are quick."]
)
async def test_a_word_that_is_also_a_tool_s_name_is_no_call(story: Story, words: str) -> None:
    story.chat(says=words)
    assert await statuses(story.read(), {"called": "refund"}, NOT_CALLED) == ["failed", "passed"]


@pytest.mark.parametrize(
    ("part", "known"),
    [
        ({"toolUse": {"toolUseId": "t", "name": "refund"}}, False),
        ({"type": "tool_use", "id": "t", "name": "refund"}, False),
        ({"functionCall": {"name": "refund"}}, True),
        ({"type": "function", "id": "c", "function": {"name": "refund", "arguments": "null"}}, True),
    ],
)
def test_a_request_without_arguments_has_none_only_where_empty_ones_are_left_out(
    story: Story, part: dict[str, Any], known: bool
) -> None:
    calls = {"tool_calls": [part]} if "function" in part else {"content": [part]}
    story.chat(**{"gen_ai.output.messages": json.dumps([{"role": "assistant", **calls}])})
    (call,) = story.read().tool_calls
    assert isinstance(call.arguments, Unknown) is not known and (not known or call.arguments == {})
