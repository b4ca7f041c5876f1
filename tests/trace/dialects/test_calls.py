"""Calls are counted once, whichever spans tell of them; and no odd value breaks the reading."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.trace.cost import cost_of
from simulate.trace.reading import ToolCall, ToolName, TraceReading, dialects, view
from simulate.trace.span import Kind, Span, Trace, View

SECOND = 10**9
NOON = 1_780_000_000 * SECOND


def span(
    span_id: str, parent: str | None = None, start: float = 0, name: str = "s", **attributes: Any
) -> Span:
    told = {key.replace("__", "."): value for key, value in attributes.items()}
    begin = NOON + int(start * SECOND)
    return Span("1" * 32, span_id, name, parent, begin, begin + SECOND, told)


def chat(span_id: str, parent: str | None = None, start: float = 0, **attributes: Any) -> Span:
    return span(span_id, parent, start, gen_ai__operation__name="chat", **attributes)


def tool(span_id: str, parent: str | None = None, start: float = 0, **attributes: Any) -> Span:
    return span(span_id, parent, start, gen_ai__operation__name="execute_tool", **attributes)


def asks(name: str, call_id: str | None = "c1", **arguments: Any) -> str:
    part = {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}
    return json.dumps([{"role": "assistant", "parts": [part]}])


def answers(call_id: str, response: Any) -> str:
    return json.dumps(
        [{"role": "tool", "parts": [{"type": "tool_call_response", "id": call_id, "response": response}]}]
    )


def trace(*spans: Span) -> Trace:
    return Trace("1" * 32, list(spans))


def llm_calls(trace: Trace) -> list[tuple[Span, View]]:
    return TraceReading(trace).llm_calls


def tool_calls(trace: Trace) -> list[ToolCall]:
    return TraceReading(trace).tool_calls


def sees_tools(*spans: Span) -> bool:
    return bool(TraceReading(trace(*spans)).evidence.tools)


def test_of_nested_model_spans_the_innermost_counts() -> None:
    found = llm_calls(trace(chat("a"), span("b", "a"), chat("c", "b"), chat("d", "b")))
    assert [one.span_id for one, _ in found] == ["c", "d"]


def test_a_wrapper_stands_for_an_inner_call_that_tells_no_tokens() -> None:
    outer = chat("a", gen_ai__usage__input_tokens=10, gen_ai__usage__output_tokens=2)
    assert [one.span_id for one, _ in llm_calls(trace(outer, chat("b", "a")))] == ["a"]
    inner = chat("b", "a", gen_ai__usage__input_tokens=10)
    assert [one.span_id for one, _ in llm_calls(trace(outer, inner))] == ["b"]


def test_three_wrappers_round_one_call_are_one_call() -> None:
    assert len(llm_calls(trace(chat("a"), chat("b", "a"), chat("c", "b")))) == 1
    told = {"gen_ai__usage__input_tokens": 1, "gen_ai__usage__output_tokens": 1}
    assert len(llm_calls(trace(chat("a", **told), chat("b", "a", **told), chat("c", "b")))) == 1


def test_a_tool_span_and_the_message_that_asked_are_one_call() -> None:
    (use,) = tool_calls(
        trace(
            chat("a", gen_ai__output__messages=asks("refund", order=7)),
            tool("b", start=1, gen_ai__tool__name="refund", gen_ai__tool__call__id="c1"),
            chat("c", start=2, gen_ai__input__messages=answers("c1", "done")),
        )
    )
    assert (use.span_id, use.arguments, use.result) == ("b", {"order": 7}, "done")


def test_without_a_tool_span_the_message_tells() -> None:
    (use,) = tool_calls(
        trace(
            chat("a", gen_ai__output__messages=asks("refund", order=7)),
            chat("c", start=2, gen_ai__input__messages=answers("c1", {"ok": True})),
        )
    )
    assert (use.name, use.arguments, use.result, use.span_id, use.start) == (
        "refund",
        {"order": 7},
        {"ok": True},
        "a",
        1.0,
    )


def test_what_a_model_was_told_of_the_past_is_no_new_call() -> None:
    past = json.loads(asks("refund", order=7)) + json.loads(answers("c1", "done"))
    assert tool_calls(trace(chat("a", gen_ai__input__messages=json.dumps(past)))) == []


def test_the_same_tool_twice_is_two_calls() -> None:
    spans = [
        chat("a", gen_ai__output__messages=asks("refund", None, order=7)),
        tool("b", start=1, gen_ai__tool__name="refund", gen_ai__tool__call__arguments='{"order": 7}'),
        chat("c", start=2, gen_ai__output__messages=asks("refund", None, order=7)),
        tool("d", start=3, gen_ai__tool__name="refund", gen_ai__tool__call__arguments='{"order": 7}'),
    ]
    assert [use.span_id for use in tool_calls(trace(*spans))] == ["b", "d"]


def test_client_and_server_spans_of_one_mcp_call_are_one() -> None:
    (use,) = tool_calls(
        trace(
            tool("a", gen_ai__tool__name="mcp__shop__refund", gen_ai__tool__call__arguments='{"order": 7}'),
            span("b", "a", name="tools/call refund", mcp__method__name="tools/call"),
            span(
                "c",
                "b",
                name="tools/call refund",
                mcp__method__name="tools/call",
                gen_ai__tool__call__result="ok",
            ),
        )
    )
    assert (use.name, use.arguments, use.result) == ("mcp__shop__refund", {"order": 7}, "ok")


def test_a_tool_that_calls_another_is_two() -> None:
    found = tool_calls(
        trace(tool("a", gen_ai__tool__name="outer"), tool("b", "a", gen_ai__tool__name="inner"))
    )
    assert [use.name for use in found] == ["outer", "inner"]


def test_names_of_servers_before_a_tool_do_not_matter() -> None:
    assert ToolName("mcp__shop__refund").matches("refund") and ToolName("shop.refund").matches("refund")
    assert not ToolName("partial_refund").matches("refund") and not ToolName("refund").matches("")


def test_a_failed_tool_tells_its_error() -> None:
    failed = tool("a", gen_ai__tool__name="refund")
    failed.status, failed.status_message = "error", "no such order"
    soft = tool(
        "b",
        start=2,
        gen_ai__tool__name="ship",
        gen_ai__tool__call__result='{"isError": true, "content": "no"}',
    )
    assert [use.error for use in tool_calls(trace(failed, soft))] == ["no such order", "no"]


def test_evidence_needs_tool_spans_answers_or_telling_finish_reasons() -> None:
    assert not sees_tools(span("a"))
    assert not sees_tools(chat("a"))
    assert sees_tools(chat("a", gen_ai__response__finish_reasons=["stop"]))
    assert not sees_tools(chat("a", gen_ai__response__finish_reasons=["tool_calls"]))
    assert sees_tools(tool("a"))


def test_cycles_and_double_ids_do_not_hang() -> None:
    found = trace(chat("a", "b"), chat("b", "a"), tool("c", "c"), chat("d", "d"), chat("d", "d"))
    llm_calls(found), tool_calls(found), cost_of(found)


KEYS = sorted(
    {
        source if isinstance(source, str) else source[0]
        for dialect in dialects()
        for row in dialect.fields.values()
        for source in row
    }
    | {key for dialect in dialects() for key in (*dialect.kinds, *dialect.signs)}
    | {f"{beginning}{rest}" for dialect in dialects() for row in dialect.indexed.values() for beginning in row
       for rest in ("0.role", "0.message.content", "0.tool_calls.0.name", "x", "0", "0.0.0")}
    | {"lk.llm_metrics", "lk.tts_metrics", "hidden_params", "model_request_parameters"}
    | {"langfuse.observation.usage_details", "langfuse.observation.cost_details"}
    | {"gen_ai.evaluation.name", "gen_ai.evaluation.X.score"}
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=4)
)
WORDS = st.sampled_from(
    [
        "role",
        "content",
        "type",
        "text",
        "parts",
        "tool_calls",
        "message",
        "messages",
        "id",
        "name",
        "function",
        "kwargs",
    ]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=8,
)


def written(value: Any) -> Any:
    return json.dumps(value, default=str)


VALUES = st.one_of(TREES, TREES.map(written), TREES.map(str))
SCOPES = st.sampled_from(
    ["", "livekit-agents", "pipecat", "pydantic-ai", "litellm", "langfuse-sdk", "gcp.vertex.agent"]
)


@settings(max_examples=200, deadline=None)
@given(
    attributes=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6),
    scope=SCOPES,
    name=st.text(max_size=12),
)
def test_no_value_of_any_attribute_breaks_the_reading(
    attributes: dict[str, Any], scope: str, name: str
) -> None:
    one = Span("1" * 32, "a", name, None, 1, None, attributes, scope=scope)
    found = view(one)
    assert isinstance(found.kind, Kind)
    whole = trace(one, Span("1" * 32, "b", name, "a", 2, 3, attributes, scope=scope))
    reading = TraceReading(whole)
    assert len(reading.views) == 2
    str(reading.tool_calls), reading.evidence, reading.cost


@pytest.mark.parametrize(
    "asked",
    [
        {"output_tools": 5, "function_tools": 7},
        {"output_tools": [["x"]], "function_tools": "y"},
        {"output_tools": {}},
    ],
)
def test_parameters_of_another_shape_do_not_stop_pydantic_ai(asked: dict[str, Any]) -> None:
    raw = {"gen_ai.operation.name": "chat", "model_request_parameters": json.dumps(asked)}
    assert view(Span("1" * 32, "a", "chat x", None, 1, 2, raw, scope="pydantic-ai")).kind is Kind.LLM
