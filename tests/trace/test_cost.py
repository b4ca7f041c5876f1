"""Prices: by model, provider and day; unknown stays unknown; sums by whatever a span is tagged with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulate.trace.cost import UNSET, cost_of, price, rollup, succeeded
from simulate.trace.dialects import view
from simulate.trace.formats import read
from simulate.trace.span import Event, Span, Trace

FIXTURES = Path(__file__).parents[2] / "fixtures" / "traces"
NOON = int(datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()) * 10**9


def call(span_id: str = "b", parent: str | None = None, start: int = NOON, **attributes: Any) -> Span:
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1_000_000,
        "gen_ai.usage.output_tokens": 100_000,
    }
    told |= {key.replace("__", "."): value for key, value in attributes.items()}
    told = {key: value for key, value in told.items() if value is not None}
    return Span("1" * 32, span_id, "chat", parent, start, start + 10**9, told)


def paid(**attributes: Any) -> float | None:
    span = call(**attributes)
    return price(span, view(span)).dollars


def test_tokens_are_multiplied_with_the_price_list() -> None:
    # gpt-4o-mini costs $0.15 a million tokens in, $0.60 out (openai.com/api/pricing)
    assert paid() == pytest.approx(0.15 + 0.06)


def test_cached_tokens_cost_less_and_reasoning_is_part_of_the_output() -> None:
    assert paid(gen_ai__usage__cache_read__input_tokens=1_000_000) == pytest.approx(0.075 + 0.06)
    assert paid(gen_ai__usage__reasoning__output_tokens=50_000) == pytest.approx(0.15 + 0.06)


def test_cached_tokens_beyond_the_input_were_counted_apart() -> None:
    apart = paid(gen_ai__usage__input_tokens=0, gen_ai__usage__cache_read__input_tokens=1_000_000)
    assert apart == pytest.approx(0.075 + 0.06)


def test_audio_tokens_have_a_price_of_their_own() -> None:
    plain = paid(gen_ai__request__model="gpt-realtime")
    audio = paid(gen_ai__request__model="gpt-realtime", gen_ai__usage__audio__input_tokens=1_000_000)
    assert plain is not None and audio is not None and audio > plain


def test_the_day_of_the_call_decides() -> None:
    def on(year: int, month: int) -> float | None:
        when = int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 10**9
        span = call(start=when, gen_ai__request__model="o3")
        return price(span, view(span)).dollars

    before, after = on(2025, 5), on(2025, 8)
    assert before is not None and after is not None
    assert before == pytest.approx(5 * after)  # OpenAI cut o3 by 80 % on 10 June 2025


def test_what_the_span_says_goes_first() -> None:
    span = call(gen_ai__cost__total=0.5)
    assert (price(span, view(span)).dollars, price(span, view(span)).source) == (0.5, "span")


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"gen_ai__request__model": "house-llm"}, "knows no model 'house-llm'"),
        ({"gen_ai__provider__name": "garage"}, "of provider 'garage'"),
        ({"gen_ai__request__model": None}, "names no model"),
        ({"gen_ai__usage__input_tokens": None, "gen_ai__usage__output_tokens": None}, "tells no tokens"),
        ({"gen_ai__usage__output_tokens": None}, "only a part of the tokens"),
    ],
)
def test_an_unknown_price_is_none_with_the_reason(attributes: dict[str, Any], reason: str) -> None:
    span = call(**attributes)
    found = price(span, view(span))
    assert found.dollars is None
    assert reason in str(found.reason)


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    cost = cost_of(Trace("1" * 32, [call("a"), call("b", gen_ai__request__model="house-llm")]))
    assert cost.dollars is None
    assert cost.known == pytest.approx(0.21)
    assert "1 of 2 calls" in str(cost.reason)
    assert cost_of(Trace("1" * 32, [])).dollars is None


def test_an_agent_that_repeats_its_calls_usage_is_not_paid_twice() -> None:
    agent = call("a", gen_ai__operation__name="invoke_agent")
    assert cost_of(Trace("1" * 32, [agent, call("b", "a")])).dollars == pytest.approx(0.21)
    outer = call("a")
    assert cost_of(Trace("1" * 32, [outer, call("b", "a")])).dollars == pytest.approx(0.21)


def test_a_model_call_inside_a_tool_inside_a_model_call_is_its_own() -> None:
    tool = Span("1" * 32, "t", "execute_tool x", "a", NOON, NOON, {"gen_ai.operation.name": "execute_tool"})
    assert cost_of(Trace("1" * 32, [call("a"), tool, call("b", "t")])).dollars == pytest.approx(0.42)


def test_rollups_inherit_tags_from_above() -> None:
    root = Span(
        "1" * 32, "a", "turn", None, NOON, NOON, {"user.id": "ann", "prompt.version": "v1", "tenant.id": "t"}
    )
    bad = Span("2" * 32, "a", "turn", None, NOON, NOON, {"user.id": "bob"}, status="error")
    traces = [Trace("1" * 32, [root, call("b", "a"), call("c", "a")]), Trace("2" * 32, [bad, call("b", "a")])]
    by_user = {row.key: row for row in rollup(traces, "user")}
    assert by_user["ann"].dollars == pytest.approx(0.42)
    assert by_user["ann"].dollars_per_success == pytest.approx(0.42)
    assert (by_user["bob"].traces, by_user["bob"].successful, by_user["bob"].dollars_per_success) == (
        1,
        0,
        None,
    )
    assert {row.key for row in rollup(traces, "prompt_version")} == {"v1", UNSET}
    assert {row.key for row in rollup(traces, "tenant")} == {"t", UNSET}
    assert [row.key for row in rollup(traces, "model")] == ["gpt-4o-mini"]


def test_a_breached_score_is_no_success() -> None:
    span = call()
    span.events.append(
        Event(
            "gen_ai.evaluation.result",
            NOON,
            {
                "gen_ai.evaluation.name": "G",
                "gen_ai.evaluation.score.value": 0.2,
                "evaluator.score.threshold": 0.7,
            },
        )
    )
    assert not succeeded(Trace("1" * 32, [span]))
    assert succeeded(Trace("1" * 32, [call()]))


def test_pydantic_ai_and_the_price_list_agree() -> None:
    for trace in read(FIXTURES / "pydantic_ai_agent.otlp.jsonl"):
        for span, found, told in cost_of(trace).calls:
            if found.cost is not None:
                found.cost = None
                assert price(span, found).dollars == pytest.approx(told.dollars)
