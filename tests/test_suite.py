"""Suites as people run them: the command line, its exit codes, kills, resuming."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulate.model.outcome_json import outcome_from_json

AGENT = """
import os, time
async def good(message: str) -> str:
    return f"You said {message}"
async def broken(message: str) -> str:
    raise RuntimeError("out of order")
class Slow:
    def reply(self, message: str) -> str:
        time.sleep(float(os.environ.get("SLOW", "0.2")))
        return f"You said {message}"
"""
SCENARIO = """
name: {name}
agent: python:agents.py:{agent}
script: [{{says: hello}}]
expect: [{{said: {{contains: {expected}}}}}]
trials: {trials}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.simulate]\n")
    (tmp_path / "agents.py").write_text(AGENT)
    (tmp_path / "scenarios").mkdir()
    return tmp_path


def write(project: Path, name: str, agent: str = "good", expected: str = "hello", trials: int = 1) -> None:
    text = SCENARIO.format(name=name, agent=agent, expected=expected, trials=trials)
    (project / "scenarios" / f"{name}.yaml").write_text(text)


def simulate(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulate.cli", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def outcomes(run: Path) -> list[str]:
    lines = (run / "outcomes.jsonl").read_bytes().splitlines()
    return [outcome_from_json(line).status for line in lines]


@pytest.mark.parametrize(
    ("agents", "code"),
    [
        ([("good", "hello")], 0),
        ([("good", "hello"), ("good", "goodbye")], 1),
        ([("broken", "hello")], 1),
    ],
)
def test_exit_codes(project: Path, agents: list[tuple[str, str]], code: int) -> None:
    for number, (agent, expected) in enumerate(agents):
        write(project, f"s{number}", agent, expected)
    done = simulate(project, "run", "--out", "out", "--junit", "j.xml", "--json", "-")
    assert done.returncode == code, done.stderr
    assert len(json.loads(done.stdout)["outcomes"]) == len(agents)
    assert (project / "j.xml").read_text().startswith("<?xml")
    assert (project / "out" / "report.html").stat().st_size > 1000


def test_no_verdict_is_exit_code_3(project: Path) -> None:
    write(project, "judged")
    path = project / "scenarios" / "judged.yaml"
    path.write_text(path.read_text().replace("{contains: hello}", "That it greets"))
    done = simulate(project, "run", OPENAI_API_KEY="", OPENAI_BASE_URL="")
    assert done.returncode == 3
    assert "no model is configured to judge" in done.stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\nagnt: y\n", "agent"),
        ("name: x\nscript: [{says: hi}]\nagent: python:agents.py:god\n", "it has"),
        ("name: x\nscript: [{says: hi}]\nagent: python:nowhere:agent\n", "No module named 'nowhere'"),
        ("name: x\nscript: [{says: hi}]\nagent: telnet:host\n", "python:module:callable"),
        ("name: x\nscript: [{says: hi}]\nagent: ftp\n", "tool.simulate.agents|no agent"),
        ("name: x\nscript: [{says: hi}]\n", "names no agent"),
        ("name: x\ngoal: y\nagent: python:agents.py:good\n", "model has to play|needs a model"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(project: Path, text: str, told: str) -> None:
    import re

    write(project, "fine")
    (project / "scenarios" / "bad.yaml").write_text(text)
    done = simulate(project, "run", "--out", "out", OPENAI_API_KEY="", OPENAI_BASE_URL="")
    assert done.returncode == 2
    assert re.search(told, done.stderr), done.stderr
    assert not (project / "out").exists()
    assert "Traceback (most recent call last)" not in done.stderr


def test_a_run_folder_is_never_written_twice(project: Path) -> None:
    write(project, "s")
    assert simulate(project, "run", "--out", "out").returncode == 0
    again = simulate(project, "run", "--out", "out")
    assert again.returncode == 2
    assert "--resume" in again.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; run the tests as another user")
def test_an_unwritable_folder(project: Path) -> None:
    write(project, "s")
    (project / "out").mkdir(mode=0o500)
    assert simulate(project, "run", "--out", "out/run").returncode == 2


def test_a_file_in_the_place_of_the_folder(project: Path) -> None:
    write(project, "s")
    (project / "out").write_text("")
    done = simulate(project, "run", "--out", "out")
    assert done.returncode == 2
    assert "cannot write into the run folder" in done.stderr


def _running(project: Path, run: Path, at_least: int, slow: float = 0.2) -> subprocess.Popen[bytes]:
    write(project, "slow", "Slow", trials=12)
    process = subprocess.Popen(
        [sys.executable, "-m", "simulate.cli", "run", "--out", str(run), "--jobs", "2"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "SLOW": str(slow)},
    )
    lines, deadline = run / "outcomes.jsonl", time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if lines.exists() and lines.read_bytes().count(b"\n") >= at_least:
            return process
        time.sleep(0.02)
    raise AssertionError(f"too slow or ended: {process.stderr.read().decode() if process.stderr else ''}")


def test_a_killed_run_goes_on_where_it_was(project: Path) -> None:
    run = project / "out"
    process = _running(project, run, 3)
    process.kill()
    process.communicate()
    finished = len(outcomes(run))
    assert 3 <= finished < 12
    with (run / "outcomes.jsonl").open("ab") as lines:
        lines.write(b'{"scenario": "half wri')
    done = simulate(project, "run", "--resume", str(run), SLOW="0")
    assert done.returncode == 0, done.stderr
    assert outcomes(run) == ["passed"] * 12
    assert json.loads((run / "run.json").read_bytes())["counts"] == {"passed": 12}
    assert not list(run.glob(".tmp-*"))


def test_ctrl_c_keeps_what_had_finished(project: Path) -> None:
    run = project / "out"
    process = _running(project, run, 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"what had finished is kept" in errors
    assert b"Traceback" not in errors
    assert set(outcomes(run)) == {"passed"}
    assert json.loads((run / "run.json").read_bytes())["counts"]["passed"] == len(outcomes(run))
    assert (run / "report.html").exists()


def test_two_runs_cannot_share_a_folder(project: Path) -> None:
    run = project / "out"
    process = _running(project, run, 1, slow=3)
    try:
        second = simulate(project, "run", "--resume", str(run))
        assert second.returncode == 2
        assert "is writing into" in second.stderr
    finally:
        process.kill()
        process.communicate()


def test_flaky_scenarios_are_named_with_an_interval(project: Path) -> None:
    (project / "agents.py").write_text(
        "import itertools\ncount = itertools.count()\n"
        "async def good(message: str) -> str:\n    return 'hello' if next(count) % 2 else 'no'\n"
    )
    write(project, "flaky", trials=8)
    done = simulate(project, "run", "--out", "out")
    assert done.returncode == 1
    record = json.loads((project / "out" / "run.json").read_bytes())
    assert record["flaky"] == ["flaky"]
    first = record["reliability"][0]
    assert (first["passed"], first["trials"], first["value"]) == (4, 8, 0.5)
    assert 0.2 < first["low"] < 0.5 < first["high"] < 0.8
