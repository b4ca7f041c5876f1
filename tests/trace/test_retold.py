"""A call that two traces tell is one; where nothing shows whether it is, that is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulate.interfaces.cli.main import main
from simulate.trace.conversations import conversations
from simulate.trace.cost import rollup
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.reading import TraceReading
from simulate.trace.span import Span, Trace

NOON = 1_780_000_000_000_000_000
MS = 10**6
FRAMEWORK, SDK, SERVER = "opentelemetry.instrumentation.x", "com.vendor.sdk", "mcp-python-sdk"


def trace(number: int, *spans: Span) -> Trace:
    for at, span in enumerate(spans):
        span.trace_id, span.span_id = f"{number:032x}", f"{number * 100 + at:016x}"
        span.parent_id = spans[0].span_id if at else None
    return Trace(f"{number:032x}", list(spans))


def span(start: int, end: int, scope: str, name: str, attributes: dict[str, Any], **more: Any) -> Span:
    resource = {"service.name": more.pop("service", "shop")}
    return Span(
        "",
        "",
        name,
        None,
        NOON + start * MS,
        NOON + end * MS,
        attributes,
        scope=scope,
        resource=resource,
        **more,
    )


def chat(start: int, end: int, scope: str, text: str | None = None, **more: Any) -> Span:
    attributes: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    if text is not None:
        message = {"role": "user", "parts": [{"type": "text", "content": text}]}
        attributes["gen_ai.input.messages"] = json.dumps([message])
    names = {
        "id": "gen_ai.response.id",
        "input": "gen_ai.usage.input_tokens",
        "output": "gen_ai.usage.output_tokens",
    }
    attributes |= {names[key]: more.pop(key) for key in list(more) if key in names}
    return span(start, end, scope, "chat gpt-4o", attributes, **more)


def tool(
    start: int, end: int, scope: str, name: str, arguments: dict[str, Any] | None = None, **more: Any
) -> Span:
    attributes: dict[str, Any] = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    if arguments is not None:
        attributes["gen_ai.tool.call.arguments"] = json.dumps(arguments)
    return span(start, end, scope, name, attributes, **more)


def agent(start: int, end: int) -> Span:
    return span(start, end, FRAMEWORK, "invoke_agent", {"gen_ai.operation.name": "invoke_agent"})


def calls(*traces: Trace) -> list[int]:
    """How many model calls and tool calls each conversation has."""
    found = [TraceReading(each) for each in conversations(traces)]
    return [len(one.llm_calls) + len(one.tool_calls) for one in found]


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (
            {"id": "msg_1", "input": 15, "output": 13},
            {"id": "msg_1", "input": 15, "output": 12},
            "the answer's id",
        ),
        ({"input": 15, "output": 12}, {"input": 15, "output": 12}, "tokens"),
        ({"text": "Where is it?"}, {"text": " Where  is it?"}, "words"),
    ],
)
def test_one_model_call_of_two_traces_counts_once(
    one: dict[str, Any], other: dict[str, Any], why: str
) -> None:
    pair = trace(1, chat(0, 90, FRAMEWORK, **one)), trace(2, chat(10, 80, SDK, **other))
    assert calls(*pair) == [1], why
    (row,) = rollup(pair)
    assert (row.calls, row.traces, row.doubtful) == (1, 1, 0)
    assert row.output_tokens == other.get("output", 0)  # of the one that is nearer to the wire


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (chat(95, 99, SDK, id="msg_1"), "a server that gives one id to all its answers"),
        (chat(10, 80, SDK, id="msg_2"), "another answer"),
        (chat(10, 80, FRAMEWORK, id="msg_1"), "an instrumentation tells each call once"),
    ],
)
def test_other_calls_stay_others(other: Span, why: str) -> None:
    pair = trace(1, chat(0, 90, FRAMEWORK, id="msg_1")), trace(2, other)
    assert calls(*pair) == [1, 1], why
    assert [row.calls for row in rollup(pair)] == [2]


@pytest.mark.parametrize("other", [{"input": 9, "output": 9}, {"text": "Buy it."}, {"service": "another"}])
def test_what_contradicts_is_another_call(other: dict[str, Any]) -> None:
    known: dict[str, Any] = {"text": "Where is it?", "input": 15, "output": 12}
    inner = chat(10, 80, SDK, **known | other)
    pair = trace(1, chat(0, 90, FRAMEWORK, "Where is it?", input=15, output=12)), trace(2, inner)
    assert calls(*pair) == [1, 1]


def test_two_instrumentations_that_tell_each_other_s_calls_do_so_where_one_tells_nothing() -> None:
    proof = trace(
        3,
        agent(200, 300),
        chat(210, 290, FRAMEWORK, input=3, output=4),
        chat(220, 280, SDK, input=3, output=4),
    )
    pair = trace(1, chat(0, 90, FRAMEWORK, "Where is it?")), trace(2, chat(10, 80, SDK))
    assert calls(*pair, proof) == [1, 1]
    assert sum(row.calls for row in rollup([*pair, proof])) == 2


def test_what_nothing_decides_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = trace(1, chat(0, 90, FRAMEWORK, "Where is it?")), trace(2, chat(10, 80, SDK))
    assert calls(*pair) == [1, 1]
    assert all("may tell of the same LLM call" in each.notes[0] for each in conversations(pair))
    write_otlp_jsonl(tmp_path / "t.jsonl", [span for each in pair for span in each])
    assert main(["trace", "cost", str(tmp_path / "t.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls_perhaps_told_twice"] == 1


def test_calls_at_once_that_ask_the_same_are_not_paired_by_chance() -> None:
    outer = [trace(number, chat(number, 90, FRAMEWORK, "Where is it?")) for number in (1, 2)]
    inner = [trace(number, chat(number + 10, 80, SDK, "Where is it?")) for number in (3, 4)]
    assert calls(*outer, *inner) == [1, 1, 1, 1]
    assert all(each.notes for each in conversations([*outer, *inner]))


def test_an_mcp_server_s_span_is_its_caller_s_call() -> None:
    caller = trace(1, agent(0, 100), tool(10, 60, FRAMEWORK, "mcp__shop__get_order", {"id": 7}))
    served = trace(2, tool(15, 50, SERVER, "get_order", otel_kind="server"))
    assert calls(caller, served) == [1]
    later = trace(3, tool(70, 80, SERVER, "get_order", otel_kind="server"))
    other = trace(4, tool(15, 50, SERVER, "cancel", otel_kind="server"))
    differs = trace(5, tool(15, 50, SERVER, "get_order", {"id": 8}, otel_kind="server"))
    for stranger in (later, other, differs):
        assert calls(caller, stranger) == [1, 1]


def test_two_runs_of_one_tool_have_a_server_s_span_each() -> None:
    spans = [
        agent(0, 100),
        tool(10, 60, FRAMEWORK, "get_order", {"id": 7}),
        tool(11, 60, FRAMEWORK, "get_order", {"id": 8}),
    ]
    served = [tool(15, 50, SERVER, "get_order", {"id": number}, otel_kind="server") for number in (7, 8)]
    traces = [trace(1, *spans), *(trace(at, each) for at, each in enumerate(served, 2))]
    assert calls(*traces) == [2]


def test_ids_that_say_otherwise_keep_traces_apart() -> None:
    one, other = chat(0, 90, FRAMEWORK, id="msg_1"), chat(10, 80, SDK, id="msg_1")
    one.attributes["gen_ai.conversation.id"], other.attributes["gen_ai.conversation.id"] = "c-1", "c-2"
    assert calls(trace(1, one), trace(2, other)) == [1, 1]


def test_a_gateway_s_fallback_in_another_trace_names_what_it_took_over_from() -> None:
    def request(start: int, group: str, tries: int, text: str, **more: Any) -> Span:
        one = chat(start, start + 10, "litellm", text, **more)
        hidden = json.dumps({"additional_headers": {"x-litellm-attempted-fallbacks": tries}})
        one.name, one.attributes = (
            "litellm_request",
            {**one.attributes, "litellm.model_group": group, "hidden_params": hidden},
        )
        return one

    failed = trace(1, request(0, "main", 0, "Where is it?", status="error"))
    other = trace(2, request(20, "main", 0, "Buy it.", status="error"))
    took_over = trace(3, request(40, "spare", 1, "Where is it?"))
    found = conversations([failed, other, took_over])
    assert [len(each) for each in found] == [2, 1]
    gateway = TraceReading(found[0]).llm_calls[-1][1].gateway
    assert (gateway["original_target"], gateway["fallback"]) == ("main", "spare")
    # alone, it tells that it took over, and not from whom
    gateway = TraceReading(took_over).llm_calls[0][1].gateway
    assert (gateway.get("original_target"), gateway["fallback"]) == (None, "spare")
