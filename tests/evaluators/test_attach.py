"""Scores on the trace: on the right span, readable back, written to a copy, told to a logger."""

from pathlib import Path
from typing import Any

import pytest
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from simulate.errors import InputError
from simulate.scoring.evaluators import Result, evaluate_sync
from simulate.scoring.evaluators.attach import attach, emit_logs, write_scored
from simulate.trace import read
from simulate.trace.reading import TraceReading, view
from simulate.trace.sampling import Sampler

FIXTURES = Path("fixtures/traces")
FILES = sorted(FIXTURES.glob("*.otlp.jsonl"))
REAL = Path("../shared/traces")


def scored(
    trace_id: str, span_id: str, value: float, name: str = "Groundedness", threshold: float = 0.8
) -> Result:
    return Result(
        name, "1", "scored", "one claim of two", value, threshold=threshold, trace_id=trace_id,
        span_id=span_id, evidence=["the parcel is lost"], judge="m", prompt="groundedness.v1",
    )  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_score_reads_back_from_every_dialect(file: Path, tmp_path: Path) -> None:
    for trace in read(file):
        for span in trace.spans[:5]:
            before = view(span).scores
            written = attach(trace, [scored(trace.trace_id, span.span_id, 0.5)])
            copy = tmp_path / "scored.jsonl"
            write_scored(copy, [written], [])
            (again,) = (one for one in read(copy) if one.trace_id == trace.trace_id)
            found = view(next(one for one in again.spans if one.span_id == span.span_id)).scores
            new = [score for score in found if score.name == "Groundedness"]
            assert [(one.value, one.threshold, one.explanation) for one in new] == [
                (0.5, 0.8, "one claim of two")
            ]
            assert len(found) == len(before) + 1
            assert new[0].attributes["simulate.evaluation.judge"] == "m"
            assert new[0].attributes["simulate.evaluation.evidence"] == ["the parcel is lost"]
            assert new[0].attributes["simulate.evaluation.direction"] == "higher is better"
            assert Sampler(baseline=0.0, errors=False).reason(again) == "score below threshold"


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared traces are not beside the checkout")
@pytest.mark.parametrize("number", ["01", "03", "05", "07", "11", "12"])
def test_scores_of_real_traces_land_on_their_spans(number: str, tmp_path: Path) -> None:
    (file,) = REAL.glob(f"{number}_*")
    traces = read(file)
    results = evaluate_sync(traces, ["PII", "LoopDetection", "StepEfficiency"])
    some = [one for one in results if one.status == "scored"]
    assert some
    write_scored(tmp_path / "copy.jsonl", traces, results)
    again = {trace.trace_id: TraceReading(trace).views for trace in read(tmp_path / "copy.jsonl")}
    found = [score.name for seen in again.values() for one in seen.values() for score in one.scores]
    assert set(found) >= {one.evaluator for one in some}


def test_the_given_trace_stays_as_it_is(build: Any) -> None:
    span = build.asks("hi").says("hello")
    copy = attach(build.trace, [scored(build.trace.trace_id, span.span_id, 0.1)])
    assert not span.events
    assert "evaluator.score.threshold" not in span.attributes
    changed = copy.get(span.span_id)
    assert changed is not None
    assert changed.attributes["evaluator.score.threshold"] == 0.8


def test_the_span_is_marked_only_where_the_threshold_is_breached(build: Any) -> None:
    span = build.asks("hi").says("hello")
    copy = attach(build.trace, [scored(build.trace.trace_id, span.span_id, 0.8)])
    changed = copy.get(span.span_id)
    assert changed is not None
    assert "evaluator.score.threshold" not in changed.attributes
    assert changed.events[0].attributes["simulate.evaluation.passed"] is True


def test_scoring_again_replaces_ours_and_keeps_theirs(build: Any) -> None:
    theirs = {"gen_ai.evaluation.name": "Groundedness", "gen_ai.evaluation.score.value": 0.3}
    span = build.asks("hi").says("hello")
    from simulate.trace.span import Event

    span.events.append(Event("gen_ai.evaluation.result", 0, theirs))
    once = attach(build.trace, [scored(build.trace.trace_id, span.span_id, 0.1)])
    twice = attach(once, [scored(build.trace.trace_id, span.span_id, 0.9)])
    changed = twice.get(span.span_id)
    assert changed is not None
    assert [one.value for one in view(changed).scores] == [0.3, 0.9]


def test_what_was_not_scored_is_not_attached(build: Any) -> None:
    span = build.asks("hi").says("hello")
    lacking = Result("PII", "1", "not_run", "no", trace_id=build.trace.trace_id, span_id=span.span_id)
    copy = attach(build.trace, [lacking])
    assert not any(one.events for one in copy.spans)


def test_a_stored_trace_is_never_written_over(build: Any, tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_bytes((FIXTURES / "langgraph_agent.otlp.jsonl").read_bytes())
    before = file.read_bytes()
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    for target in (file, link, tmp_path / "." / "trace.jsonl"):
        with pytest.raises(InputError, match="must not replace"):
            write_scored(target, read(file), [])
    assert file.read_bytes() == before


def test_a_logger_that_is_configured_gets_the_event(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    monkeypatch.setattr(_logs, "get_logger_provider", lambda: provider)
    span = build.asks("hi").says("hello")
    emit_logs([scored(build.trace.trace_id, span.span_id, 0.1), Result("PII", "1", "not_run", "no")])
    (data,) = kept.get_finished_logs()
    record = data.log_record
    assert record.event_name == "gen_ai.evaluation.result"
    assert (f"{record.trace_id:032x}", f"{record.span_id:016x}") == (build.trace.trace_id, span.span_id)
    assert record.attributes is not None
    assert record.attributes["gen_ai.evaluation.score.value"] == 0.1
    assert record.severity_text is None
    provider.shutdown()
