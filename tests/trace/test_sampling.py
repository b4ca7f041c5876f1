"""What is kept, and that it is the same everywhere and always whole."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from simulate.errors import InputError
from simulate.interfaces.cli import trace_sample
from simulate.interfaces.cli.main import main
from simulate.trace.files.reader import read
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.sampling import Rule, Sampler, drawn, sample
from simulate.trace.span import Event, Span, Trace
from simulate.trace.tail_sampling import TailSampler

START = 1_780_000_000_000_000_000


def trace(
    number: int, tokens: int = 100, error: bool = False, score: float | None = None, **tags: Any
) -> Trace:
    trace_id = f"{number * 7919 + 1:032x}"
    root = Span(
        trace_id,
        "a" * 16,
        "turn",
        None,
        START,
        START + 10**9,
        {k.replace("__", "."): v for k, v in tags.items()},
    )
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": tokens,
    }
    call = Span(trace_id, "b" * 16, "chat", "a" * 16, START, START + 10**8, told)
    call.status = "error" if error else "unset"
    if score is not None:
        result = {"gen_ai.evaluation.name": "G", "gen_ai.evaluation.score.value": score}
        call.events.append(
            Event("gen_ai.evaluation.result", START, {**result, "evaluator.score.threshold": 0.7})
        )
    return Trace(trace_id, [root, call])


def test_errors_breaches_and_outliers_are_all_kept() -> None:
    traces = [trace(n) for n in range(1000)]
    traces += [trace(2000 + n, error=True) for n in range(10)]
    traces += [trace(3000 + n, score=0.1) for n in range(10)]
    traces += [trace(4000 + n, score=0.9) for n in range(10)]
    traces += [trace(5000 + n, tokens=10**6) for n in range(5)]
    kept = list(sample(lambda: iter(traces), Sampler(baseline=0.0)))
    reasons = [why for _, why in kept]
    assert reasons.count("error") == 10
    assert reasons.count("score below threshold") == 10
    assert reasons.count("cost outlier") == 5
    assert len(kept) == 25
    assert all(len(one) == 2 for one, _ in kept)


def test_the_baseline_is_uniform_and_the_same_everywhere() -> None:
    ids = [f"{n:032x}" for n in range(20_000)]
    kept = {one for one in ids if drawn(one, 0.05)}
    assert 850 < len(kept) < 1150
    assert kept == {one for one in ids if drawn(one, 0.05)}
    assert {one for one in ids if drawn(one, 0.01)} < kept
    assert drawn(ids[0], 1.0) and not drawn(ids[0], 0.0)


def test_rules_replace_the_baseline() -> None:
    sampler = Sampler(0.0, [Rule.parse("feature.id=checkout:1"), Rule.parse("feature.id:0")])
    assert sampler.reason(trace(1, feature__id="checkout")) == "rule feature.id"
    assert sampler.reason(trace(1, feature__id="chat")) is None
    assert Sampler(0.0, [Rule.parse("user_id=ann:1")]).reason(trace(1, user__id="ann")) == "rule user_id"


@pytest.mark.parametrize("text", ["feature.id", "feature.id:2", ":0.5", "feature.id=x:half"])
def test_a_bad_rule_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a sampling rule"):
        Rule.parse(text)


def test_a_threshold_can_be_given_for_results_that_carry_none() -> None:
    low = trace(1, score=0.75)
    assert Sampler(0.0).reason(low) is None
    assert Sampler(0.0, least={"G": 0.8}).reason(low) == "score below threshold"


def test_the_command_writes_whole_traces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    source, out = tmp_path / "all.jsonl", tmp_path / "kept.jsonl"
    traces = [trace(n) for n in range(50)] + [trace(99, error=True)]
    write_otlp_jsonl(source, [span for one in traces for span in reversed(one.spans)])
    parser = argparse.ArgumentParser()
    trace_sample.configure(parser)
    assert trace_sample.execute(parser.parse_args([str(source), "-o", str(out), "--baseline", "0"])) == 0
    assert "kept 1 of 51 traces: 1 error" in capsys.readouterr().err
    (kept,) = read(out)
    assert kept.trace_id == traces[-1].trace_id and len(kept) == 2
    with pytest.raises(InputError, match="read twice"):
        trace_sample.execute(parser.parse_args(["-", "-o", str(out)]))


def test_a_trace_in_two_files_is_kept_whole_or_not_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As two services write it: the error is in one half, the cost in both."""
    failing, dear = trace(1, error=True), [trace(number, tokens=100 + number) for number in range(2, 40)]
    one, two, out = tmp_path / "one.jsonl", tmp_path / "two.jsonl", tmp_path / "kept.jsonl"
    write_otlp_jsonl(one, [failing.spans[0], *(span for each in dear for span in each.spans)])
    write_otlp_jsonl(two, [failing.spans[1]])
    words = ["trace", "sample", str(one), str(two), "-o", str(out), "--baseline", "0", "--outliers", "100"]
    assert main(words) == 0
    assert "kept 1 of 39 traces: 1 error" in capsys.readouterr().err
    (kept,) = read(out)
    assert (kept.trace_id, len(kept)) == (failing.trace_id, 2)
    before = one.read_bytes()
    assert main(["trace", "sample", str(one), "-o", str(one)]) == 2
    assert "must not replace" in capsys.readouterr().err and one.read_bytes() == before


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def provider(
    exporter: InMemorySpanExporter, sampler: Sampler, **options: Any
) -> tuple[TracerProvider, TailSampler]:
    made = TracerProvider()
    tail = TailSampler(SimpleSpanProcessor(exporter), sampler, **options)
    made.add_span_processor(tail)
    return made, tail


def test_a_live_process_keeps_whole_traces_that_failed(exporter: InMemorySpanExporter) -> None:
    made, tail = provider(exporter, Sampler(baseline=0.0))
    tracer = made.get_tracer("agent")
    for failing in (False, True, False):
        with tracer.start_as_current_span("turn"):
            with tracer.start_as_current_span("fine"):
                pass
            assert exporter.get_finished_spans() == () or failing is False
            if failing:
                with pytest.raises(ValueError), tracer.start_as_current_span("tool"):
                    raise ValueError("broken")
    assert sorted(span.name for span in exporter.get_finished_spans()) == ["fine", "tool", "turn"]
    assert len({span.context.trace_id for span in exporter.get_finished_spans()}) == 1
    assert (tail.kept, tail.dropped) == (1, 2)


def test_a_live_process_holds_no_more_than_it_may(exporter: InMemorySpanExporter) -> None:
    made, _ = provider(exporter, Sampler(baseline=1.0), most_spans=10)
    tracer = made.get_tracer("agent")
    with tracer.start_as_current_span("long"):
        for _ in range(50):
            with tracer.start_as_current_span("step"):
                pass
        assert len(exporter.get_finished_spans()) >= 40
    made.shutdown()
    assert len(exporter.get_finished_spans()) == 51


def test_spans_after_the_decision_share_it(exporter: InMemorySpanExporter) -> None:
    from opentelemetry import trace as api

    made, tail = provider(exporter, Sampler(baseline=1.0))
    tracer = made.get_tracer("agent")
    with tracer.start_as_current_span("turn") as turn:
        context = api.set_span_in_context(turn)
    tracer.start_span("late", context=context).end()
    assert [span.name for span in exporter.get_finished_spans()] == ["turn", "late"]
    assert tail.kept == 1


def test_a_live_process_keeps_breaches_outliers_and_what_rules_name(exporter: InMemorySpanExporter) -> None:
    """What is dear shows only once enough traces have been seen."""
    made, tail = provider(exporter, Sampler(0.0, [Rule("user.id", 1.0, "vip")]))
    tracer = made.get_tracer("agent")

    def turn(tokens: int, user: str = "ann", score: float | None = None) -> None:
        outer = tracer.start_as_current_span("turn", attributes={"user.id": user})
        with outer, tracer.start_as_current_span("chat") as span:
            told = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
            span.set_attributes({**told, "gen_ai.request.model": "gpt-4o-mini"})
            span.set_attributes({"gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": tokens})
            if score is not None:
                result = {"gen_ai.evaluation.name": "PII", "gen_ai.evaluation.score.value": score}
                span.add_event("gen_ai.evaluation.result", {**result, "evaluator.score.threshold": 0.7})

    turn(10**6)
    assert tail.kept == 0, "one trace tells nothing of what is usual"
    for _ in range(150):
        turn(100)
    turn(10**7)
    turn(100, score=0.9)
    turn(100, score=0.1)
    turn(100, user="vip")
    assert (tail.kept, tail.dropped) == (3, 152)
    assert len(exporter.get_finished_spans()) == 6


def test_threads_of_a_live_process_do_not_cut_each_others_traces(exporter: InMemorySpanExporter) -> None:
    made, tail = provider(exporter, Sampler(baseline=0.5))
    tracer = made.get_tracer("agent")

    def work(_: int) -> None:
        for _ in range(50):
            with tracer.start_as_current_span("turn"), tracer.start_as_current_span("step"):
                pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert tail.kept + tail.dropped == 400
    names: dict[int, list[str]] = {}
    for span in exporter.get_finished_spans():
        names.setdefault(span.context.trace_id, []).append(span.name)
    assert len(names) == tail.kept and all(sorted(each) == ["step", "turn"] for each in names.values())
    assert {f"{one:032x}" for one in names} == {f"{one:032x}" for one in names if drawn(f"{one:032x}", 0.5)}


def test_the_python_of_the_page_runs(exporter: InMemorySpanExporter) -> None:
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text("utf-8")
    code = next(one for one in re.findall(r"```python\n(.*?)```", page, re.S) if "TailSampler" in one)
    made = TracerProvider()
    exec(code, {"provider": made, "exporter": exporter})
    with pytest.raises(ValueError), made.get_tracer("agent").start_as_current_span("turn"):
        raise ValueError("broken")
    made.shutdown()
    assert [span.name for span in exporter.get_finished_spans()] == ["turn"]
