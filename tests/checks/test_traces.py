"""A recorded trace as the expectation: the same agent matches, a changed one is told what changed."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from fixtures.agents.support import Careless, Support
from simulate import Scenario, run
from simulate.errors import InputError, TraceFileError
from simulate.interfaces.cli.main import main
from simulate.model.expect import Toleranced
from simulate.model.outcome import Outcome
from simulate.trace.diff import Tolerance
from simulate.trace.files.writing import write_otlp_jsonl

TEXT = """
name: recorded
opens_with: Hi, my order 4417 never turned up, I want my money back.
script: [{says: "Thanks, bye."}]
tools:
  lookup_order: {status: lost, total: 42.50}
  issue_refund: {ok: true}
"""


async def outcome(folder: Path, agent: Any, expect: str = "") -> Outcome:
    path = folder / "recorded.yaml"
    path.write_text(TEXT + expect)
    Scenario.load(path)
    return await run(path, agent=agent)


async def test_matching_and_what_changed(tmp_path: Path) -> None:
    recorded = await outcome(tmp_path, Support)
    write_otlp_jsonl(tmp_path / "good.jsonl", recorded.trace)
    expect = "expect: [{matches_trace: good.jsonl}]"
    same = await outcome(tmp_path, Support, expect)
    assert same.status == "passed", same.explain()
    changed = await outcome(tmp_path, Careless, expect)
    assert (changed.status, changed.side) == ("failed", "agent")
    assert "issue_refund" in changed.verdicts[0].fact
    assert "--update" in (changed.verdicts[0].hint or "")


async def test_a_trace_without_content_is_no_match(tmp_path: Path) -> None:
    """Nobody knows whether the agent did the same."""
    recorded = await outcome(tmp_path, Support)
    assert recorded.trace is not None
    for span in recorded.trace.spans:
        span.attributes = {key: value for key, value in span.attributes.items() if "messages" not in key}
    write_otlp_jsonl(tmp_path / "good.jsonl", recorded.trace)
    found = await outcome(tmp_path, Support, "expect: [{matches_trace: good.jsonl}]")
    assert found.status == "not_run" and "answers were not compared" in found.verdicts[0].fact


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("<html>please log in</html>", "is an HTML or XML page, not a trace"),
        ("INFO started\n", "is text, not a trace"),
    ],
)
async def test_a_file_that_is_no_trace_is_refused_before_anything_runs(
    tmp_path: Path, data: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.jsonl").write_text(data)
    with pytest.raises(TraceFileError, match=problem):
        await outcome(tmp_path, Support, "expect: [{matches_trace: good.jsonl}]")
    assert main(["check", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "recorded.yaml:2: matches_trace: " in said and problem in said


async def test_a_file_of_several_traces_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = await outcome(tmp_path, Support)
    again = await outcome(tmp_path, Support)
    write_otlp_jsonl(tmp_path / "good.jsonl", [*recorded.trace, *again.trace])
    with pytest.raises(TraceFileError, match="holds 2 conversations"):
        await outcome(tmp_path, Support, "expect: [{matches_trace: good.jsonl}]")
    write_otlp_jsonl(tmp_path / "good.jsonl", recorded.trace)
    assert main(["check", str(tmp_path)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("tolerance", ["{duration: 0.5}", "{tokens: -1}"])
def test_a_tolerance_that_there_is_not_is_refused(tmp_path: Path, tolerance: str) -> None:
    (tmp_path / "recorded.yaml").write_text(
        TEXT + f"expect: [{{matches_trace: recorded.yaml, tolerance: {tolerance}}}]"
    )
    with pytest.raises(InputError, match=r"tolerance\."):
        Scenario.load(tmp_path / "recorded.yaml")


def test_files_and_comparisons_know_the_same_tolerances() -> None:
    assert set(get_args(Toleranced)) == {field.name for field in fields(Tolerance)}
