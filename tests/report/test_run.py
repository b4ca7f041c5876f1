"""From a run folder to its reports, and `simulate open`."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest

from simulate.interfaces.cli.main import main
from simulate.interfaces.render.run_reports import load_run, traces_of, write_reports
from simulate.run_folder import RunFolder


@pytest.fixture
def run(make: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.create(tmp_path / ".simulate" / "runs" / "20261120-094105-7f3a")
    outcomes = []
    for number, status in ((1, "passed"), (77, "failed")):
        outcome, trace = make.outcome(number, status=status)
        outcome.trace = trace
        folder.add(f"name-{number}", outcome)
        outcomes.append(outcome)
    folder.write_run(make.run(outcomes))
    folder.close()
    return folder


def test_all_reports_of_a_run(run: RunFolder, tmp_path: Path) -> None:
    stream = io.StringIO()
    report = write_reports(
        run, run.read_run(), junit=str(tmp_path / "j.xml"), json=str(tmp_path / "o.json"), stream=stream
    )
    assert report == run.path / "report.html"
    assert "1 failed, 1 passed" in stream.getvalue() and str(report) in stream.getvalue()
    assert (tmp_path / "j.xml").is_file()
    data = orjson.loads((tmp_path / "o.json").read_bytes())
    assert [each["status"] for each in data["outcomes"]] == ["passed", "failed"]
    assert "execute_tool issue_refund" in report.read_text("utf-8")


def test_json_on_standard_output_is_nothing_but_json(run: RunFolder) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write_reports(run, run.read_run(), json="-", stream=stream)
    assert len(orjson.loads(raw.getvalue())["outcomes"]) == 2


def test_the_trace_is_found_in_a_run_that_was_moved(run: RunFolder, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    os.rename(run.path, moved)
    _, outcomes = load_run(moved)
    traces = [traces_of(moved)(outcome) for outcome in outcomes]
    assert [trace and trace.trace_id for trace in traces] == [each.trace_id for each in outcomes]


def test_a_broken_trace_hides_no_outcome(run: RunFolder) -> None:
    (run.path / "name-77" / "trace.otlp.jsonl").write_text("<html>login</html>")
    (run.path / "name-1" / "trace.otlp.jsonl").unlink()
    load = traces_of(run.path)
    passed, failed = run.outcomes()
    assert load(passed) is None
    trace = load(failed)
    assert trace is not None and not trace.spans and "cannot be read" in trace.notes[0]


@pytest.mark.parametrize("name", ["latest", "20261120-094105-7f3a", ".simulate/runs/20261120-094105-7f3a"])
def test_open_prints_the_path(run: RunFolder, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["open", name, "--no-browser"]) == 0
    printed = Path(capsys.readouterr().out.strip())
    assert printed.resolve() == (run.path / "report.html").resolve() and printed.is_file()


def test_open_makes_the_report_anew_when_an_outcome_is_younger(run: RunFolder) -> None:
    report = run.path / "report.html"
    assert main(["open", "--no-browser"]) == 0
    os.utime(report, (1, 1))
    assert main(["open", "--no-browser"]) == 0
    assert report.stat().st_mtime > 1
    os.utime(report, (4_000_000_000, 4_000_000_000))
    report.write_text("kept")
    os.utime(report, (4_000_000_000, 4_000_000_000))
    assert main(["open", "--no-browser"]) == 0
    assert report.read_text() == "kept"


def test_open_of_a_killed_run_without_run_json(run: RunFolder) -> None:
    (run.path / "run.json").unlink()
    assert main(["open", str(run.path), "--no-browser"]) == 0


def test_open_of_no_run_is_refused(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["open", "nowhere", "--no-browser"]) == 2
    assert "nowhere" in capsys.readouterr().err
