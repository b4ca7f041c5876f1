"""One model call told by several spans is one call, with all that they say and its tokens once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulate.trace.reading import TraceReading
from simulate.trace.reading.finish import asked_for_no_tool, finish_of
from simulate.trace.span import Kind, Trace, View
from tests.trace.reading.conftest import MS, Story

USAGE: dict[str, Any] = {"gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 6}
DARK: dict[str, Any] = {"gen_ai.input.messages": None, "gen_ai.output.messages": None}


def test_the_words_of_the_outer_span_and_the_tokens_of_the_inner_make_one_call(story: Story) -> None:
    outer = story.chat(says="In Basel.", **USAGE, **{"user.id": "u1"})
    inner = story.add("chat m", "chat", under=outer, scope="another", **USAGE, **{"gen_ai.response.id": "m1"})
    ((span, view),) = story.read().llm_calls
    assert span is inner and view.response_id == "m1"
    assert view.output and view.output[0].text == "In Basel."
    assert (view.input_tokens, view.output_tokens) == (20, 6)
    assert story.read().evidence.content


def test_two_instrumentations_side_by_side_tell_of_one_call(story: Story) -> None:
    first = story.chat(says="In Basel.", **USAGE)
    second = story.add("chat m", "chat", scope="another", **USAGE)
    second.start_ns, second.end_ns = first.start_ns + MS, (first.end_ns or 0) - MS
    assert len(story.read().llm_calls) == 1 and story.read().cost.tokens == 26


def test_the_id_of_the_answer_decides_where_both_tell_one(story: Story) -> None:
    first = story.chat(says="In Basel.", **USAGE, **{"gen_ai.response.id": "m1"})
    for response, calls in (("m1", 1), ("m2", 2)):
        second = story.add("chat m", "chat", scope="another", **{"gen_ai.response.id": response})
        second.start_ns, second.end_ns = first.start_ns + MS, (first.end_ns or 0) + MS
        assert len(story.read().llm_calls) == calls
        story.spans.remove(second)


def test_two_calls_at_once_by_one_instrumentation_stay_two(story: Story) -> None:
    first = story.chat(says="Yes.", **USAGE)
    second = story.chat(says="Yes.", **USAGE)
    second.start_ns, second.end_ns = first.start_ns, first.end_ns
    assert len(story.read().llm_calls) == 2


def test_a_wrapper_round_a_failed_call_and_its_retry_is_none_itself(story: Story) -> None:
    outer = story.chat(says="Yes.", **USAGE)
    failed = story.add("chat m", "chat", under=outer, scope="another", **{"error.type": "RateLimitError"})
    retried = story.add("chat m", "chat", under=outer, scope="another", **USAGE)
    assert [span for span, _ in story.read().llm_calls] == [failed, retried]


def test_spans_sent_twice_count_once(story: Story) -> None:
    story.chat(says="Yes.", **USAGE)
    trace = Trace("a" * 32, [*story.spans, *story.spans])
    assert TraceReading(trace).cost.tokens == 26


def test_models_inside_one_another_by_broken_parents_are_still_read(story: Story) -> None:
    one = story.chat(says="Yes.")
    other = story.add("chat m", "chat", under=one)
    one.parent_id = other.span_id
    assert len(story.read().llm_calls) == 1


def test_an_answer_of_no_parts_tells_nothing(story: Story) -> None:
    hollow = json.dumps([{"role": "assistant", "parts": []}])
    story.chat(**{"gen_ai.output.messages": hollow})
    assert not story.read().evidence.tools


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        *((word, "tool_calls") for word in ("tool_calls", "TOOL_CALLS", "tool_use", "TOOL_EXECUTION")),
        *((word, "tool_calls") for word in ("function_call", "FinishReason.TOOL_CALL", "toolUse")),
        *((word, "stop") for word in ("stop", "STOP", "end_turn", "FinishReason.STOP", "COMPLETE", "eos")),
        *((word, "length") for word in ("length", "MAX_TOKENS", "max_tokens", "incomplete")),
        *((word, "content_filter") for word in ("content_filter", "SAFETY", "refusal", "RECITATION")),
        *((word, "error") for word in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "error")),
        ("stop_sequence", "stop"),
        ("elephant", None),
        (None, None),
    ],
)
def test_finish_reasons_in_any_spelling(reason: str | None, finish: str | None) -> None:
    assert finish_of(reason) == finish


def test_only_finish_reasons_that_are_known_say_that_no_tool_was_asked_for() -> None:
    def innocent(*reasons: str, **more: Any) -> bool:
        return asked_for_no_tool(View(Kind.LLM, "genai", finish_reasons=list(reasons), **more))

    assert innocent("STOP") and innocent("max_tokens")
    assert not (innocent() or innocent("elephant") or innocent("stop", "TOOL_CALLS"))
    assert not innocent("MALFORMED_FUNCTION_CALL")
    # Gemini and Ollama say so of calls, too, and OpenAI where one function was demanded
    assert not innocent("STOP", response_model="gemini-2.5-pro") and not innocent("stop", provider="ollama")
    demanded = {"type": "function", "function": {"name": "refund"}}
    assert not innocent("stop", parameters={"tool_choice": demanded})
    assert innocent("stop", parameters={"tool_choice": "auto"})


@pytest.mark.parametrize("reason", ["TOOL_CALLS", "tool_use", "TOOL_EXECUTION"])
def test_a_call_that_ended_for_a_tool_that_nothing_shows_hides_tools(story: Story, reason: str) -> None:
    """Also beside tools that do show: not all of them do."""
    story.chat(("refund", "c1", {}))
    story.tool("refund", "c1")
    assert story.read().evidence.tools
    dark = story.chat(**DARK, **{"gen_ai.response.finish_reasons": [reason]})
    tools = story.read().evidence.tools
    assert not tools and dark.span_id in tools.why_not and reason in tools.why_not
    story.tool("delete_account")
    assert story.read().evidence.tools
