"""Prices: by model, provider and day; unknown stays unknown; sums by whatever a span is tagged with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot

from simulate.interfaces.cli.main import main
from simulate.trace.cost import UNSET, cost_of, price, rollup, succeeded
from simulate.trace.files.reader import read
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.reading import view
from simulate.trace.span import Event, Span, Trace

FIXTURES = Path(__file__).parents[2] / "fixtures" / "traces"
NOON = int(datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()) * 10**9


def call(span_id: str = "b", parent: str | None = None, start: int = NOON, **attributes: Any) -> Span:
    told: dict[str, Any] = {
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


@pytest.mark.parametrize("provider", ["anthropic", "aws.bedrock", "langchain", None])
@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-sonnet-4-20250514-v1:0",
        "us.anthropic.claude-sonnet-4-20250514-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
    ],
)
def test_what_only_bedrock_calls_so_has_its_price_whoever_the_span_names(
    model: str, provider: str | None
) -> None:
    # $3 a million tokens in, $15 out (aws.amazon.com/bedrock/pricing)
    found = paid(gen_ai__request__model=model, gen_ai__provider__name=provider)
    assert found == pytest.approx(3 + 1.5)


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
    ("attributes", "dollars", "believed"),
    [
        ({}, 0.21, False),
        ({"gen_ai__cost__total": -1}, 0.21, False),
        ({"gen_ai__gateway__cache_hit": True}, 0, True),
        ({"gen_ai__request__model": "house-llm"}, 0, True),
        ({"gen_ai__request__model": "house-llm", "gen_ai__cost__total": -1}, None, False),
        ({"gen_ai__usage__output_tokens": None}, None, False),
    ],
)
def test_a_span_that_says_it_was_free_is_believed_where_nothing_denies_it(
    attributes: dict[str, Any], dollars: float | None, believed: bool
) -> None:
    told: dict[str, Any] = {"gen_ai__cost__total": 0, **attributes}
    span = call(**told)
    found = price(span, view(span))
    assert found.dollars == (None if dollars is None else pytest.approx(dollars))
    assert (found.against is None) is believed
    (row,) = rollup([Trace("1" * 32, [span])])
    assert row.disbelieved == (not believed)


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


@pytest.mark.parametrize(
    ("label", "good"), [("fail", False), ("Failed", False), ("unsafe", False), ("pass", True), ("blue", True)]
)
def test_a_label_that_is_a_verdict_decides(label: str, good: bool) -> None:
    span = call()
    told = {"gen_ai.evaluation.name": "G", "gen_ai.evaluation.score.label": label}
    span.events.append(Event("gen_ai.evaluation.result", NOON, told))
    assert succeeded(Trace("1" * 32, [span])) is good


def test_a_number_alone_is_a_verdict_only_by_a_threshold_that_is_given() -> None:
    span = call()
    told = {"gen_ai.evaluation.name": "reward", "gen_ai.evaluation.score.value": 0.0}
    span.events.append(Event("gen_ai.evaluation.result", NOON, told))
    assert succeeded(Trace("1" * 32, [span]))
    assert not succeeded(Trace("1" * 32, [span]), least={"reward": 1.0})


# -- the command -----------------------------------------------------------------------------------------

TAGS = {
    "user": "user.id",
    "feature": "feature.id",
    "prompt_version": "prompt.version",
    "tenant": "tenant.id",
    "cohort": "cohort.name",
    "experiment": "experiment.id",
    "session": "session.id",
}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two files, three traces: two of one value (one of them failed), one of another."""
    paths: list[str] = []
    for number, (value, error) in enumerate([("blue", False), ("blue", True), ("green", False)], 1):
        trace = f"{number}" * 32
        tags = dict.fromkeys(TAGS.values(), value)
        root = Span(trace, "a" * 16, "turn", None, NOON, NOON + 1, tags, status="error" if error else "ok")
        model = "gpt-4o" if value == "green" else "gpt-4o-mini"
        spans = [root, call("b" * 16, "a" * 16, gen_ai__request__model=model)]
        spans[1].trace_id = trace
        paths.append(str(tmp_path / f"{number}.jsonl"))
        write_otlp_jsonl(paths[-1], spans)
    return paths


def table(out: str) -> dict[str, list[str]]:
    return {line.split("  ")[0].strip(): line.split()[1:] for line in out.splitlines()}


@pytest.mark.parametrize("by", TAGS)
def test_the_command_sums_by_what_was_asked(
    by: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "cost", *files, "--by", by]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    rows = table(out)
    # two calls of gpt-4o-mini at $0.21; one of the two traces succeeded, and both were paid
    assert rows["blue"] == ["1/2", "2", "2,000,000→200,000", "$0.4200", "$0.4200"]
    assert rows["green"] == ["1/1", "1", "1,000,000→100,000", "$3.50", "$3.50"]
    assert rows["together"] == ["3", "3,000,000→300,000", "$3.92"]


def test_the_command_sums_by_model_and_gives_json(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "cost", *files, "--json"]) == 0
    dear, cheap = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (dear["model"], dear["dollars"]) == ("gpt-4o", pytest.approx(3.5))
    assert (cheap["model"], cheap["traces"], cheap["successful"]) == ("gpt-4o-mini", 2, 1)
    assert cheap["dollars_per_success"] == pytest.approx(0.42)


def test_an_unknown_price_is_unknown_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spans = [
        call("b" * 16),
        call("c" * 16, gen_ai__request__model="house-llm"),
        call("d" * 16, gen_ai__usage__input_tokens=None, gen_ai__usage__output_tokens=None),
    ]
    write_otlp_jsonl(tmp_path / "t", spans)
    assert main(["trace", "cost", str(tmp_path / "t"), "--by", "user"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split(maxsplit=2)[2] == (
        "1/1      3  ≥ 2,000,000→200,000  ≥ $0.2100    unknown"
    )
    assert "! (not set): 2 of 3 calls have no known price: the price list knows no model 'house-llm'" in out
    assert main(["trace", "cost", str(tmp_path / "t"), "--by", "user", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["dollars"] is found["input_tokens"] is found["dollars_per_success"] is None
    assert (found["dollars_known"], found["unpriced_calls"]) == (pytest.approx(0.21), 2)


def test_thresholds_of_the_command_line_say_what_succeeded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    span = call("b" * 16)
    told = {"gen_ai.evaluation.name": "reward", "gen_ai.evaluation.score.value": 0.5}
    span.events.append(Event("gen_ai.evaluation.result", NOON, told))
    write_otlp_jsonl(tmp_path / "t", [span])
    for given, won in (([], "1/1"), (["--threshold", "reward=0.6"], "0/1")):
        assert main(["trace", "cost", str(tmp_path / "t"), *given]) == 0
        assert table(capsys.readouterr().out)["gpt-4o-mini"][0] == won
    assert main(["trace", "cost", str(tmp_path / "t"), "--threshold", "reward"]) == 2
    assert "not a threshold" in capsys.readouterr().err


def test_a_trace_without_a_model_call_costs_nothing_that_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_otlp_jsonl(tmp_path / "t", [Span("1" * 32, "a" * 16, "GET /", None, NOON, NOON + 1)])
    assert main(["trace", "cost", str(tmp_path / "t")]) == 0
    assert capsys.readouterr().out == "no model call in these traces\n"


def test_a_number_of_tokens_below_zero_is_unknown() -> None:
    span = call("c" * 16)
    span.attributes |= {"gen_ai.usage.input_tokens": -3, "gen_ai.usage.cache_read.input_tokens": 5}
    cost = cost_of(Trace("1" * 32, [span]))
    assert (cost.tokens, cost.dollars) == (None, None)


def test_a_call_of_any_model_costs_what_the_price_list_calculates() -> None:
    compared = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            try:
                usage = Usage(input_tokens=1234, output_tokens=567)
                when = datetime(2026, 11, 1, 12, tzinfo=UTC)
                listed = calc_price(
                    usage, model_ref=model.id, provider_id=provider.id, genai_request_timestamp=when
                )
            except (LookupError, ValueError):
                continue
            told = {
                "gen_ai.usage.input_tokens": 1234, "gen_ai.usage.output_tokens": 567,
                "gen_ai.request.model": model.id, "gen_ai.provider.name": provider.id,
            }  # fmt: skip
            assert paid(**told) == float(listed.total_price), model.id
            compared += 1
    assert compared > 500
