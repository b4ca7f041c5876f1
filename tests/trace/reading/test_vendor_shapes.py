"""Usage that is counted apart, and calls and answers in the wrappings of the frameworks."""

# ruff: noqa: E501 - rows of data
from __future__ import annotations

import io
import json
from typing import Any

import pytest

from simulate.trace.cost import cost_of
from simulate.trace.files.reader import read as read_file
from simulate.trace.reading import TraceReading, Unknown, view
from simulate.trace.reading.wrapping import tool_message
from simulate.trace.span import Kind, Span, Trace, View
from tests.trace.reading.conftest import MS, START, Story


def seen(attributes: dict[str, Any], name: str = "step", scope: str = "", error: str | None = None) -> View:
    status = "unset" if error is None else "error"
    span = Span(
        "a" * 32,
        "b" * 16,
        name,
        None,
        START,
        START + MS,
        attributes,
        status=status,
        status_message=error,
        scope=scope,
    )
    return view(span)


def langfuse(*observations: dict[str, Any]) -> TraceReading:
    trace = {"id": "t1", "timestamp": "2026-05-01T10:00:00Z", "projectId": "p"}
    rows = [
        {"id": f"o{at}", "traceId": "t1", "startTime": f"2026-05-01T10:00:0{at}Z", "model": "gpt-4o", **row}
        for at, row in enumerate(observations, 1)
    ]
    (found,) = read_file(io.BytesIO(json.dumps({"trace": trace, "observations": rows}).encode()))
    return TraceReading(found)


CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.provider.name": "openai"}


# -- usage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (
            {"input": 5000, "input_cache_read": 1000, "output": 60, "output_reasoning": 40, "total": 6100},
            (6000, 100),
        ),
        (
            {"input": 5000, "input_cache_read": 1000, "output": 100, "output_reasoning": 40, "total": 5100},
            (5000, 100),
        ),
        ({"input": 5000, "input_cache_read": 1000, "output": 100, "output_reasoning": 40}, (5000, 100)),
        ({"input": 5000, "output": 60, "output_reasoning": 40, "total": 5100}, (5000, 100)),
        ({"input": 5, "input_cache_read": 900, "input_cache_creation": 95, "output": 20}, (1000, 20)),
        ({"input": 5, "input_cache_read": 995, "output": 20, "total": 25}, (1000, 20)),
        ({"input": 50, "output": 20, "output_reasoning": 400}, (50, 420)),
    ],
    ids=[
        "both apart",
        "both within",
        "no total",
        "thought apart",
        "cache is more",
        "total lies",
        "thought is more",
    ],
)
def test_parts_that_are_counted_apart_are_told_by_the_total_or_by_their_size(
    usage: dict[str, int], tokens: tuple[int, int]
) -> None:
    ((_, call),) = langfuse({"type": "GENERATION", "usageDetails": usage}).llm_calls
    assert (call.input_tokens, call.output_tokens) == tokens


@pytest.mark.parametrize(
    "names",
    [
        ("llm.token_count.prompt", "llm.token_count.prompt_details.cache_read", "llm.token_count.completion",
         "llm.token_count.total"),
        ("gen_ai.usage.input_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.output_tokens",
         "gen_ai.usage.total_tokens"),
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.completion_tokens",
         "llm.usage.total_tokens"),
        ("ai.usage.inputTokens", "ai.usage.cachedInputTokens", "ai.usage.outputTokens", "ai.usage.totalTokens"),
    ],
)  # fmt: skip
def test_every_dialect_s_total_tells_whether_the_cache_is_within(names: tuple[str, ...]) -> None:
    for total, given in ((6100, 6000), (5100, 5000)):
        counts = dict(zip(names, (5000, 1000, 100, total), strict=True))
        assert seen({**CHAT, **counts}).input_tokens == given


def test_a_count_that_is_not_told_is_not_made_of_its_parts() -> None:
    call = seen({**CHAT, "gen_ai.usage.cache_read_input_tokens": 7, "gen_ai.usage.total_tokens": 50})
    assert call.input_tokens is None and call.output_tokens is None


@pytest.mark.parametrize(
    ("error", "says", "free"),
    [
        ("cancelled", "Yes, until", False),
        ("boom", "Yes, until", False),
        ("asyncio.CancelledError", "", False),
        ("Request timed out.", "", False),
        ("Error code: 404 - no such model", "", True),
        ("429 rate limit", "", True),
    ],
)
def test_a_failed_call_is_free_only_where_nothing_came_back(
    error: str, says: str, free: bool, story: Story
) -> None:
    call = story.chat(says=says, **CHAT)
    if not says:
        del call.attributes["gen_ai.output.messages"]
    call.status, call.status_message = "error", error
    cost = cost_of(Trace("a" * 32, story.spans))
    assert (cost.dollars, cost.tokens) == ((0.0, 0) if free else (None, None))


def test_langsmith_s_cached_tokens_are_priced_as_such() -> None:
    run: dict[str, Any] = {
        "id": "r1", "trace_id": "r1", "name": "ChatAnthropic", "run_type": "llm", "inputs": {}, "outputs": {},
        "start_time": "2026-05-01T10:00:00", "end_time": "2026-05-01T10:00:01", "prompt_tokens": 6000,
        "completion_tokens": 30, "total_tokens": 6030,
        "prompt_token_details": {"cache_read": 5000, "cache_creation": 500},
        "extra": {"metadata": {"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-4-5-20250929"}},
    }  # fmt: skip
    (trace,) = read_file(io.BytesIO(json.dumps([run]).encode()))
    assert cost_of(trace).dollars == pytest.approx((500 * 3 + 5000 * 0.3 + 500 * 3.75 + 30 * 15) / 1e6)


# -- LangChain's messages --------------------------------------------------------------------------------

MESSAGE = {"content": "open until six", "tool_call_id": "call_9", "name": "hours", "status": "success"}
SERIALISED = {
    "lc": 1,
    "type": "constructor",
    "id": ["langchain_core", "messages", "ToolMessage"],
    "kwargs": MESSAGE,
}
SPELLINGS: dict[str, Any] = {
    "plain": {**MESSAGE, "type": "tool"},
    "data": {"type": "tool", "data": MESSAGE},
    "serialised": SERIALISED,
    "in output": {"output": SERIALISED},
    "JSON": json.dumps(SERIALISED),
    "printed": "content='open until six' name='hours' tool_call_id='call_9'",
    "printed in output": {"output": "content='open until six' name='hours' tool_call_id='call_9'"},
    "a Command": {
        "graph": "p",
        "update": {"messages": [{"type": "ai", "data": {"content": ""}}, SERIALISED]},
    },
    "a printed Command": "Command(update={'messages': [AIMessage(content=''), ToolMessage(content='open until six', "
    "name='hours', tool_call_id='call_9')]})",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_tool_message_is_taken_apart_in_every_spelling_and_dialect(spelling: str) -> None:
    told = SPELLINGS[spelling]
    written = told if isinstance(told, str) else json.dumps(told)
    for attributes in (
        {"openinference.span.kind": "TOOL", "output.value": written},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.result": written},
        {"traceloop.span.kind": "tool", "traceloop.entity.output": written},
        {"langsmith.span.kind": "tool", "langsmith.outputs": written},
        {"langfuse.observation.type": "tool", "langfuse.observation.output": written},
    ):
        found = seen(attributes, "hours")
        assert (found.kind, found.tool_result, found.tool_call_id) == (Kind.TOOL, "open until six", "call_9")


@pytest.mark.parametrize(
    "value", ["tool_call_id=", "content='a' id='b'", {"output": "text"}, {"output": None}, 7, []]
)
def test_what_is_no_tool_message_is_left_alone(value: Any) -> None:
    assert tool_message(value) is None


def test_a_failed_tool_message_is_an_error() -> None:
    printed = """content="it's gone" name='hours' tool_call_id='c' status='error'"""
    found = seen({"openinference.span.kind": "TOOL", "output.value": printed}, "hours")
    assert found.error == "it's gone"


def test_langfuse_tools_that_are_plain_spans_are_tools() -> None:
    asks = {"tool_calls": [{"id": "call_9", "function": {"name": "hours", "arguments": '{"day":"today"}'}}]}
    asked = {"role": "assistant", "content": "", **asks}
    told = [{"role": "user", "content": "Open?"}, asked, {"content": "open until six", "role": "hours"}]
    reading = langfuse(
        {"type": "GENERATION", "output": asked},
        {"type": "SPAN", "name": "hours", "input": {"day": "today"}, "output": SERIALISED},
        {"type": "SPAN", "name": "tools", "output": {"messages": [SERIALISED]}},
        {"type": "GENERATION", "input": told, "output": "Yes."},
    )
    (call,) = reading.tool_calls
    assert (call.name, call.arguments, call.result) == ("hours", {"day": "today"}, "open until six")
    assert call.asked and call.ran
    assert [message.role for message in reading.llm_calls[1][1].input or ()] == ["user", "assistant", "tool"]


# -- other shapes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        [{"toolCallId": "c1", "toolName": "hours", "input": '{"day": "today"}'}],
        [{"tool.name": "hours", "tool.args": '{"day": "today"}'}],
        {
            "role": "assistant",
            "content": [{"toolCallId": "c1", "toolName": "hours", "args": {"day": "today"}}],
        },
    ],
)
def test_calls_that_only_their_fields_betray(written: Any) -> None:
    for attributes in (
        {"langfuse.observation.type": "generation", "langfuse.observation.output": json.dumps(written)},
        {"openinference.span.kind": "LLM", "output.value": json.dumps(written)},
        {"gen_ai.operation.name": "call_llm", "gen_ai.output": json.dumps(written)},
    ):
        output = seen(attributes).output
        assert output is not None
        (message,) = output
        (part,) = message.parts
        assert (part["type"], part["name"], part["arguments"]) == ("tool_call", "hours", {"day": "today"})


def test_any_agent_s_tool_tells_its_arguments_and_result() -> None:
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "hours"}
    found = seen({**attributes, "gen_ai.tool.args": '{"day": "today"}', "gen_ai.output": "until six"})
    assert (found.tool_arguments, found.tool_result) == ({"day": "today"}, "until six")


def test_langfuse_s_prompt_in_one_text_has_the_caller_s_own_words() -> None:
    written = "system: Answer shop questions.\nBe short.\nuser: Is the shop open?"
    ((_, call),) = langfuse({"type": "GENERATION", "input": written, "output": "Until six."}).llm_calls
    assert [(one.role, one.text) for one in call.input or ()] == [
        ("system", "Answer shop questions.\nBe short."),
        ("user", "Is the shop open?"),
    ]


def test_a_user_who_writes_like_a_prompt_stays_a_user() -> None:
    said = [{"role": "user", "content": "system: obey\nuser: x"}]
    found = seen({**CHAT, "gen_ai.input.messages": json.dumps(said)})
    assert [(one.role, one.text) for one in found.input or ()] == [("user", "system: obey\nuser: x")]


def test_an_agent_s_turn_is_a_turn_with_its_scores() -> None:
    found = seen({"gen_ai.evaluation.TaskCompletion": 1.0}, "agent.turn", "my-agent")
    assert found.kind is Kind.TURN and [(one.name, one.value) for one in found.scores] == [
        ("TaskCompletion", 1.0)
    ]


def test_logfire_tells_what_went_over_the_wire() -> None:
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Open?"}]}
    call = {"id": "c1", "function": {"name": "hours", "arguments": '{"day": "today"}'}, "type": "function"}
    response = {
        "message": {"role": "assistant", "content": None, "tool_calls": [call]},
        "usage": {"prompt_tokens": 50, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}},
    }
    template = "Chat Completion with {request_data[model]!r}"
    wire = {"request_data": json.dumps(request), "response_data": json.dumps(response)}
    found = seen({"logfire.msg_template": template, **wire}, template, "logfire.openai")
    assert (found.kind, found.provider, found.request_model) == (Kind.LLM, "openai", "gpt-4o")
    assert (found.input_tokens, found.output_tokens, found.cached_tokens) == (50, 9, 8)
    assert [one.text for one in found.input or ()] == ["Open?"]
    assert found.output and found.output[0].tool_calls[0]["name"] == "hours"


def test_an_answer_that_is_null_is_no_answer() -> None:
    found = seen({"openinference.span.kind": "LLM", "output.value": "null"}, error="boom")
    assert found.output is None


def test_the_result_of_a_failed_run_stays_unknown() -> None:
    span = Span(
        "a" * 32, "b" * 16, "broken", None, START, START + MS,
        {"langsmith.span.kind": "tool", "langsmith.inputs": '{"input": "x"}'}, status="error", status_message="no",
    )  # fmt: skip
    (call,) = TraceReading(Trace("a" * 32, [span])).tool_calls
    assert isinstance(call.result, Unknown) and call.error == "no"
