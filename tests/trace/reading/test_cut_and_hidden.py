"""What exporters cut off, hide or drop is unknown; what providers run, and what models ask for in words, is a
call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulate.trace.diff import compare
from simulate.trace.reading import TraceReading, Unknown, view
from simulate.trace.span import Span, Trace
from tests.trace.reading.conftest import statuses

NOON = 1_780_000_000_000_000_000
HIDDEN = "__REDACTED__"
CUT = '{"order": "4418", "no'


def span(attributes: dict[str, Any], name: str = "step", **more: Any) -> Span:
    return Span("1" * 32, "2" * 16, name, None, NOON, NOON + 10**7, attributes, **more)


def chat(output: Any, **more: Any) -> Span:
    told = output if isinstance(output, str) else json.dumps(output)
    asked = json.dumps([{"role": "user", "content": "Refund it."}])
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": asked,
        "gen_ai.output.messages": told,
    }
    return span(attributes, "chat m", **more)


WITH = {"called": "refund", "with": {"order": "4417"}}, {"not_called": "refund", "with": {"order": "4419"}}
GENAI = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund"}
OPENINFERENCE = {"openinference.span.kind": "TOOL", "tool.name": "refund"}


@pytest.mark.parametrize("told", [CUT, HIDDEN])
@pytest.mark.parametrize(
    "attributes",
    [GENAI | {"gen_ai.tool.call.arguments": "VALUE"}, OPENINFERENCE | {"input.value": "VALUE"}],
)
async def test_arguments_that_were_cut_off_or_hidden_are_unknown(
    attributes: dict[str, Any], told: str
) -> None:
    one = span({key: told if value == "VALUE" else value for key, value in attributes.items()})
    (call,) = TraceReading(Trace("1" * 32, [one])).tool_calls
    assert isinstance(call.arguments, Unknown)
    assert await statuses(one, *WITH) == ["not_run", "not_run"]


async def test_a_request_whose_arguments_were_cut_off_keeps_its_name() -> None:
    part = {"type": "tool_call", "id": "c", "name": "refund", "arguments": CUT}
    one = chat([{"role": "assistant", "parts": [part]}])
    (call,) = TraceReading(Trace("1" * 32, [one])).tool_calls
    assert call.name == "refund" and isinstance(call.arguments, Unknown) and call.arguments.recorded
    assert await statuses(one, *WITH, {"not_called": "refund"}) == ["not_run"] * 3


@pytest.mark.parametrize(
    "cut",
    [
        '[{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"refu',
        '{"messages": [{"role": "assistant", "content": "I will now...',
        "[{'role': 'assistant', 'content': 'I will",
        '[[{"role":"assistant","con',
    ],
)
async def test_an_answer_that_was_cut_off_is_unknown(cut: str) -> None:
    assert view(chat(cut)).output is None
    assert await statuses(chat(cut), {"not_called": "refund"}) == ["not_run"]


@pytest.mark.parametrize("words", ['{"order": 4417', "[1] See the policy.", '{"role" is a key', "{role}"])
def test_an_answer_that_only_looks_like_json_is_what_was_said(words: str) -> None:
    (message,) = view(chat(words)).output or []
    assert message.text == words


def test_hidden_words_are_no_words() -> None:
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": HIDDEN,
        "input.value": HIDDEN,
    }
    found = TraceReading(Trace("1" * 32, [span(attributes)]))
    assert found.evidence.content.why_not and found.evidence.tools.why_not


async def test_attributes_that_the_exporter_dropped_may_have_told_of_a_call() -> None:
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": "Done."}]}]
    assert await statuses(chat(answer), {"not_called": "refund"}) == ["passed"]
    assert await statuses(chat(answer, dropped=3), {"not_called": "refund"}) == ["not_run"]


SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}
ORDER = {"order": "4418"}


RAN: list[tuple[list[Any], str, dict[str, Any], Any]] = [
    (
        [
            {
                "type": "mcp_call",
                "id": "m",
                "server_label": "shop",
                "name": "refund",
                "arguments": json.dumps(ORDER),
                "output": "done",
            },
            SAID,
        ],
        "shop.refund",
        ORDER,
        "done",
    ),
    (
        [{"type": "code_interpreter_call", "id": "c", "code": "1+1", "outputs": []}, SAID],
        "code_interpreter",
        {"code": "1+1"},
        [],
    ),
    (
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "mcp_tool_use", "id": "m", "name": "refund", "input": ORDER},
                    {
                        "type": "mcp_tool_result",
                        "tool_use_id": "m",
                        "content": [{"type": "text", "text": "done"}],
                    },
                    {"type": "text", "text": "Done."},
                ],
            }
        ],
        "refund",
        ORDER,
        "done",
    ),
    (
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
                    {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u"}]},
                ],
            }
        ],
        "web_search",
        {"query": "x"},
        [{"url": "u"}],
    ),
]


@pytest.mark.parametrize(("output", "name", "arguments", "result"), RAN)
def test_what_the_provider_ran_is_a_call_with_its_answer(
    output: list[Any], name: str, arguments: dict[str, Any], result: Any
) -> None:
    (call,) = TraceReading(Trace("1" * 32, [chat(output)])).tool_calls
    assert (call.name, call.happened, call.arguments, call.result) == (name, True, arguments, result)


def test_a_search_of_the_provider_s_that_tells_no_results_ran_all_the_same() -> None:
    searched = {"type": "web_search_call", "id": "w", "status": "completed", "action": {"query": "x"}}
    (call,) = TraceReading(Trace("1" * 32, [chat([searched, SAID])])).tool_calls
    assert (call.name, call.happened) == ("web_search", True) and isinstance(call.result, Unknown)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "custom_tool_call", "call_id": "c", "name": "refund", "input": "4418"},
        {"role": "assistant", "content": 'Sure. <tool_call>{"name": "refund", "arguments": {}}</tool_call>'},
        {"role": "assistant", "content": '[TOOL_CALLS][{"name": "refund", "arguments": {}}]'},
        {"role": "assistant", "content": '<tool_call>{"name": "refund", "arguments": {"ord'},
        {"role": "assistant", "content": '{"type": "function", "name": "refund", "parameters": {}}'},
        {"role": "assistant", "content": '<function=refund>{"order": "4418"}</function>'},
    ],
)
async def test_what_a_model_asked_for_in_its_own_way_is_asked_for(item: dict[str, Any]) -> None:
    assert await statuses(chat([item]), {"not_called": "refund"}) == ["not_run"]


INSIDE: list[tuple[dict[str, Any], bool]] = [
    ({"name": "refund", "arguments": {}}, True),
    ({"tool_uses": [{"recipient_name": "functions.refund", "parameters": {}}]}, True),
    ({"code": "print(refund(order=4418))"}, True),
    ({"query": "refund"}, False),
    ({"code": "shop.refund_policy()"}, False),
]


@pytest.mark.parametrize(("arguments", "may_have_run"), INSIDE)
async def test_a_tool_that_runs_others_may_have_run_one_that_it_names(
    arguments: dict[str, Any], may_have_run: bool
) -> None:
    one = span(
        GENAI | {"gen_ai.tool.name": "run", "gen_ai.tool.call.arguments": json.dumps(arguments)}, "run"
    )
    expected = ["not_run", "not_run"] if may_have_run else ["failed", "passed"]
    assert await statuses(one, {"called": "refund"}, {"not_called": "refund"}) == expected


async def test_a_name_that_an_api_wrote_in_its_own_letters_is_the_tool_s() -> None:
    one = span(GENAI | {"gen_ai.tool.name": "shop_issue_refund"})
    assert await statuses(one, {"not_called": "shop.issue-refund"}) == ["failed"]


def test_results_that_were_cut_off_are_unknown_and_not_equal() -> None:
    one = span(GENAI | {"gen_ai.tool.call.arguments": "{}", "gen_ai.tool.call.result": '{"status": "o'})
    reading = TraceReading(Trace("1" * 32, [one]))
    assert isinstance(reading.tool_calls[0].result, Unknown)
    assert any("result" in line for line in compare(reading.trace, reading.trace).not_compared)


@pytest.mark.parametrize("reasons", [["tool_calls"], ["stop", "tool_use"]])
async def test_a_call_that_ended_for_a_tool_and_tells_only_words_hides_it(reasons: list[str]) -> None:
    one = chat([{"role": "assistant", "parts": [{"type": "text", "content": "Let me see."}]}])
    one.attributes["gen_ai.response.finish_reasons"] = reasons
    assert await statuses(one, {"called": "refund"}, {"not_called": "refund"}) == ["not_run", "not_run"]


@pytest.mark.parametrize("name", ["execute_tool refund", "tools/call refund", "refund"])
async def test_a_tool_that_only_its_span_s_name_tells(name: str) -> None:
    one = span({"gen_ai.operation.name": "execute_tool"}, name)
    assert await statuses(one, {"called": "refund"}, {"not_called": "refund"}) == ["passed", "failed"]


async def test_a_number_that_is_written_as_a_text_is_not_innocence() -> None:
    one = span(GENAI | {"gen_ai.tool.call.arguments": '{"order": 4418}'})
    expect = ({"not_called": "refund", "with": {"order": each}} for each in ("4418", 4418, "4419"))
    assert await statuses(one, *expect) == ["not_run", "failed", "passed"]


def test_bytes_are_read_as_text() -> None:
    part = {"type": "tool_call", "id": "c", "name": "refund", "arguments": ORDER}
    one = chat([{"role": "assistant", "parts": [part]}])
    one.attributes["gen_ai.output.messages"] = one.attributes["gen_ai.output.messages"].encode()
    (call,) = TraceReading(Trace("1" * 32, [one])).tool_calls
    assert call.arguments == ORDER


MASKS = ["***", "__REDACTED__", "[REDACTED]", "[Scrubbed due to 'card']", "<US_SSN>", "****", "<card:3f2a>"]


@pytest.mark.parametrize("mask", [*MASKS, "4111****1111"])
async def test_a_value_hidden_inside_arguments_neither_passes_nor_blames(mask: str) -> None:
    expect = (
        {"called": "refund", "with": {"order": "4417"}},
        {"not_called": "refund", "with": {"order": {"matches": "44"}}},
        {"called": "refund", "with": {"sum": 5}},
        {"called": "refund", "with": {"order": "4417", "sum": 6}},
        {"not_called": "refund", "with": {"order": "4417", "sum": 6}},
        {"only_writes": [{"name": "refund", "arguments": {"order": "4417"}}]},
    )
    told = GENAI | {
        "gen_ai.tool.call.arguments": json.dumps({"order": mask, "sum": 5}),
        "gen_ai.tool.call.result": "done",
    }
    found = await statuses(span(told), *expect)
    assert found == ["not_run", "not_run", "passed", "failed", "passed", "not_run"]


@pytest.mark.parametrize("mask", MASKS)
async def test_words_hidden_inside_messages_are_no_words(mask: str) -> None:
    for answer in (
        [{"role": "assistant", "parts": [{"type": "text", "content": mask}]}],
        [{"role": "assistant", "content": mask}],
        mask,
    ):
        found = TraceReading(Trace("1" * 32, [chat(answer)]))
        assert found.evidence.tools.why_not
        assert await statuses(chat(answer), {"not_called": "refund"}) == ["not_run"]


def test_a_call_in_messages_tells_its_name_where_its_arguments_and_answer_are_hidden() -> None:
    part = {"type": "tool_call", "id": "c", "name": "refund", "arguments": HIDDEN}
    answer = {"type": "tool_call_response", "id": "c", "response": HIDDEN}
    one = chat([{"role": "assistant", "parts": [part]}])
    two = chat([{"role": "assistant", "parts": [{"type": "text", "content": "Done."}]}])
    two.span_id, two.start_ns = "3" * 16, one.start_ns + 10**8
    history = [{"role": "assistant", "parts": [part]}, {"role": "tool", "parts": [answer]}]
    two.attributes["gen_ai.input.messages"] = json.dumps(history)
    (call,) = TraceReading(Trace("1" * 32, [one, two])).tool_calls
    assert call.name == "refund" and call.happened is True
    assert isinstance(call.arguments, Unknown) and isinstance(call.result, Unknown)


@pytest.mark.parametrize(
    "words", ["I removed it (hidden fees apply).", "***Note***: done", "status: filtered", "One\n****\ntwo"]
)
def test_words_that_only_speak_of_hiding_are_what_was_said(words: str) -> None:
    (message,) = view(chat([{"role": "assistant", "content": words}])).output or []
    assert message.text == words


def test_equal_placeholders_are_not_equal_values() -> None:
    def told(order: str) -> Trace:
        arguments = json.dumps({"order": order, "sum": 5})
        return Trace(
            "1" * 32,
            [span(GENAI | {"gen_ai.tool.call.arguments": arguments, "gen_ai.tool.call.result": "ok"})],
        )

    both, one = compare(told(HIDDEN), told(HIDDEN)), compare(told("4417"), told(HIDDEN))
    assert not both.changes and any("hidden" in each for each in both.not_compared)
    assert not one.changes and any("hidden" in each for each in one.not_compared)


@pytest.mark.parametrize(
    "one",
    [
        chat([{"role": "assistant", "parts": [{"type": "tool_call", "name": HIDDEN, "arguments": {}}]}]),
        span(GENAI | {"gen_ai.tool.name": "[REDACTED]"}),
        span(OPENINFERENCE | {"tool.name": HIDDEN}),
    ],
)
async def test_a_tool_whose_name_is_hidden_may_be_any(one: Span) -> None:
    assert await statuses(one, {"not_called": "refund"}, {"only_writes": ["refund"]}) == ["not_run"] * 2


def test_what_is_hidden_inside_json_was_not_said() -> None:
    told = span(
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": HIDDEN}]),
        }
    )
    found = span(
        {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.retrieval.documents": json.dumps([{"id": "d1", "content": HIDDEN}, HIDDEN]),
        }
    )
    assert view(told).instructions is None
    assert view(found).documents == [{"id": "d1"}, {}]


def test_half_of_an_emoji_inside_of_json_is_marked() -> None:
    (call,) = TraceReading(
        Trace("1" * 32, [span(GENAI | {"gen_ai.tool.call.arguments": r'{"note": "\ud83d"}'})])
    ).tool_calls
    assert call.arguments == {"note": "�"}
