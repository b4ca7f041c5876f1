"""The seven signals, each on traces whose faults are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulate.errors import InputError
from simulate.interfaces.cli import trace_quality
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.quality import Quality, is_bad
from simulate.trace.span import Event, Span, Trace

START = 1_780_000_000_000_000_000


def healthy(number: int, seconds: float = 1.0, **attributes: Any) -> Trace:
    trace_id = f"{number:032x}"
    root = Span(
        trace_id,
        "a" * 16,
        "answer",
        None,
        START,
        START + int(seconds * 1e9),
        {"user.id": f"u{number}", "session.id": f"s{number}", "prompt.version": "v1", "http.route": "/ask"},
    )
    told = {
        "fi.span.kind": "LLM",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.server.time_to_first_token": seconds / 4,
    }
    told |= {key.replace("__", "."): value for key, value in attributes.items()}
    told = {key: value for key, value in told.items() if value is not None}
    call = Span(trace_id, "b" * 16, "chat", "a" * 16, START, START + int(seconds * 9e8), told, scope="sdk")
    return Trace(trace_id, [root, call])


def signals(traces: list[Trace], **asked: Any) -> dict[str, Any]:
    quality = Quality()
    for trace in traces:
        quality.add(trace)
    return {signal.name: signal for signal in quality.signals(**asked)}


def test_coverage_counts_complete_trees_against_requests() -> None:
    broken = healthy(2)
    broken.spans[1].parent_id = "f" * 16
    found = signals([healthy(1), broken], requests=4)["coverage"]
    assert found.figure == 0.25 and found.passed is False
    assert "lost their parent" in found.worst[0]
    by_id = signals([healthy(1)], requests={f"{1:032x}", "gone"})["coverage"]
    assert by_id.figure == 0.5 and by_id.worst == ["request gone has no complete trace"]
    unmeasured = signals([healthy(1)])["coverage"]
    assert unmeasured.figure is None and unmeasured.passed is None


def test_completeness_names_what_is_missing_and_where() -> None:
    traces = [healthy(1), healthy(2, gen_ai__usage__output_tokens=None), healthy(3, fi__span__kind=None)]
    found = signals(traces)["completeness"]
    assert found.figure == pytest.approx(1 / 3)
    assert found.details["sdk"]["missing"] == {"gen_ai.usage.output_tokens": 1, "kind": 1}
    assert any("gen_ai.usage.output_tokens is missing on 1 of 3" in line for line in found.worst)


def test_spans_that_no_mapper_knows_are_counted_and_named() -> None:
    odd = healthy(1)
    odd.spans.append(Span(odd.trace_id, "c" * 16, "my own step", "a" * 16, START, START + 5))
    assert any("1 spans named 'my own step'" in line for line in signals([odd])["completeness"].worst)


def test_causality_finds_orphans_and_traces_split_between_services() -> None:
    torn = healthy(1)
    torn.spans.append(Span(torn.trace_id, "c" * 16, "lost", "9" * 16, START, START + 5))
    other = Trace("e" * 32, [Span("e" * 32, "9" * 16, "elsewhere", "d" * 16, START, START + 1)])
    found = signals([torn, other])["causality"]
    assert found.figure == pytest.approx(1 - 1 / 4)
    assert found.details["split_traces"] == {torn.trace_id: ["e" * 32]}


def test_a_remote_parent_is_no_orphan() -> None:
    trace = healthy(1)
    trace.spans[0].parent_id = "9" * 16
    assert signals([trace])["causality"].figure == 1.0


def test_latency_by_route_with_time_to_first_token() -> None:
    found = signals([healthy(n, seconds=float(n)) for n in range(1, 101)])
    assert found["latency"].figure == pytest.approx(99.01)
    assert found["latency"].details["/ask"]["p50"] == pytest.approx(50.5)
    assert found["latency"].details["/ask"]["slowest_kind"] == "LLM"
    assert found["ttft"].figure == pytest.approx(99.01 / 4)


def test_cost_outliers_and_token_spikes() -> None:
    traces = [healthy(n) for n in range(1, 200)] + [healthy(200, gen_ai__usage__output_tokens=100_000)]
    found = signals(traces)["cost"]
    assert found.figure == pytest.approx(1000 * 0.15e-6 + 100 * 0.6e-6)
    assert found.details["output_token_spikes"] == 1
    assert f"{200:032x}" in found.worst[0]
    assert set(found.details["by_prompt_version"]) == {"v1"}


def test_attachment_is_the_share_with_scores() -> None:
    scored = healthy(1)
    scored.spans[1].events.append(
        Event(
            "gen_ai.evaluation.result",
            START,
            {
                "gen_ai.evaluation.name": "G",
                "gen_ai.evaluation.score.value": 0.5,
                "evaluator.score.threshold": 0.7,
            },
        )
    )
    found = signals([scored, healthy(2)])["attachment"]
    assert found.figure == 0.5
    assert "G 0.5 is below 0.7" in found.worst[0]


def test_feedback_is_joined_by_trace_session_and_user() -> None:
    answers = [
        {"trace_id": f"{1:032x}", "feedback": "thumbs_down", "comment": "wrong order"},
        {"session.id": "s2", "rating": 1},
        {"user_id": "u3", "kind": "escalation"},
        {"user_id": "nobody", "kind": "refund"},
    ]
    found = signals([healthy(1), healthy(2), healthy(3)], feedback=answers)["feedback"]
    assert found.figure == pytest.approx(2 / 3)
    assert found.details == {"answers": 4, "joined": 3, "bad": 2}
    assert "wrong order" in found.worst[0]
    assert is_bad({"bad": True}) and not is_bad({"feedback": "thumbs_up"}) and is_bad({"rating": -1})


def test_an_unknown_signal_is_refused() -> None:
    with pytest.raises(InputError, match="no quality signal called speed"):
        Quality({"speed": 1.0})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "traces.jsonl"
    write_otlp_jsonl(path, [span for number in range(1, 11) for span in healthy(number).spans])
    return path


def run(*arguments: str) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    trace_quality.configure(parser)
    return trace_quality.execute(parser.parse_args(arguments))


def test_the_command_exits_by_threshold(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(file), "--threshold", "attachment=off") == 0
    assert "coverage     not measured" in capsys.readouterr().out
    assert run(str(file)) == 1
    assert "LOW  attachment" in capsys.readouterr().out
    assert run(str(file), "--threshold", "attachment=off", "--threshold", "latency=0.5") == 1
    assert "HIGH latency" in capsys.readouterr().out


def test_the_command_reads_requests_and_feedback(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = tmp_path / "requests.txt"
    requests.write_text("\n".join(f"{number:032x}" for number in range(1, 21)))
    feedback = tmp_path / "feedback.jsonl"
    feedback.write_text(json.dumps({"user_id": "u1", "feedback": "thumbs_down"}) + "\n")
    given = ["--requests", str(requests), "--feedback", str(feedback), "--json", "-"]
    assert run(str(file), *given) == 1
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["coverage"]["figure"] == 0.5 and found["coverage"]["passed"] is False
    assert found["feedback"]["figure"] == 1.0


@pytest.mark.parametrize(
    "given", [["--threshold", "latency"], ["--requests", "absent.txt"], ["--threshold", "x=1"]]
)
def test_bad_usage_is_refused(file: Path, given: list[str]) -> None:
    with pytest.raises(InputError):
        run(str(file), *given)


def test_the_command_tells_the_shape_and_obeys_no_control_character(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traces = [healthy(number) for number in range(1, 11)]
    for trace in traces:
        trace.spans[0].attributes |= {"http.route": "/refund\x1b[2J", "cohort.name": "beta"}
    for span in traces[0]:
        span.attributes.pop("gen_ai.request.model", None)  # so that its price is not known
        span.attributes.pop("gen_ai.response.model", None)
    write_otlp_jsonl(tmp_path / "t", [span for trace in traces for span in trace])
    assert run(str(tmp_path / "t"), "--threshold", "attachment=off", "--threshold", "completeness=off") == 0
    out = capsys.readouterr().out
    assert "/refund\\x1b[2J: p50 " in out and "(10 traces, slowest kind LLM)" in out
    assert "cohort beta: unknown" in out and "of 1 more the price is not known" in out
    assert all(line.isprintable() for line in out.splitlines())


def test_tokens_that_nobody_tells_make_no_median() -> None:
    told = [None, None, None, 9, 9, 95, 95, 95]
    traces = [
        healthy(number, gen_ai__usage__output_tokens=tokens) for number, tokens in enumerate(told, start=1)
    ]
    assert signals(traces)["cost"].details["output_token_spikes"] == 0


def test_services_that_export_to_files_of_their_own_leave_no_orphans(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, call = healthy(1).spans
    write_otlp_jsonl(tmp_path / "a", [root])
    write_otlp_jsonl(tmp_path / "b", [call])
    files = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert run(*files, "--requests", "1", "--threshold", "attachment=off") == 0
    assert "ok   coverage     1" in capsys.readouterr().out
    assert run(files[1], "--threshold", "attachment=off") == 0
