"""Scenario files under pytest, run by a real pytest in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simulate.run_folder import RunFolder

AGENT = """
async def agent(message: str) -> str:
    return f"You said {message}"
"""
GOOD = """
name: Good
agent: python:mine.py:agent
tags: [quick]
script: [{says: "hello {{name}}"}]
cases: [{case: ann, name: Ann}, {case: bob, name: Bob}]
expect: [{said: {contains: "hello {{name}}"}}]
"""
BAD = """
name: Bad
agent: python:mine.py:agent
script: [{says: hello}]
expect: [{said: {contains: goodbye}}]
"""
ROOT = Path(__file__).parent.parent
UNCLEAR = """
name: Unclear
agent: http://127.0.0.1:9/v1
script: [{says: hello}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (tmp_path / "mine.py").write_text(AGENT)
    (tmp_path / "scenarios").mkdir()
    for name, text in (("good", GOOD), ("bad", BAD), ("unclear", UNCLEAR)):
        (tmp_path / "scenarios" / f"{name}.yaml").write_text(text)
    return tmp_path


def run_pytest(project: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=150)
    return done.stdout + done.stderr


def test_items_failures_and_errors(project: Path) -> None:
    shown = run_pytest(project, "--junitxml", "j.xml")
    assert "2 passed" in shown
    assert "1 failed" in shown
    assert "1 error" in shown, "nobody listens: that is the environment's fault, not the agent's failure"
    assert "scenarios/bad.yaml::bad" in shown
    assert "→" in shown
    assert "goodbye" in shown
    assert "nothing listens at" in shown
    assert "simulate/interfaces/pytest" not in shown, "no frames of ours"
    assert 'errors="1"' in (project / "j.xml").read_text()


def test_selecting_by_name_and_tag(project: Path) -> None:
    assert "1 passed" in run_pytest(project, "-k", "ann")
    assert "2 passed" in run_pytest(project, "-m", "quick")
    assert "1 failed" in run_pytest(project, "scenarios/bad.yaml")


def test_another_agent(project: Path) -> None:
    (project / "other.py").write_text(
        'async def agent(message: str) -> str:\n    return "goodbye " + message\n'
    )
    shown = run_pytest(project, "--simulate-agent", "python:other.py:agent", "scenarios/bad.yaml")
    assert "1 passed" in shown


def test_tags_are_on_the_trace(project: Path) -> None:
    assert "2 passed" in run_pytest(project, "--simulate-tag", "user=u-31", "-m", "quick")
    traces = list(project.glob(".simulate/runs/**/*.otlp.jsonl"))
    assert len(traces) == 2 and all("u-31" in trace.read_text() for trace in traces)
    assert "not a tag" in run_pytest(project, "--simulate-tag", "usr=u-31", "-m", "quick")


def test_workers_of_xdist_and_one_report(project: Path) -> None:
    shown = run_pytest(project, "-n", "2", "--simulate-report", "report.html")
    assert "2 passed" in shown
    assert "report report.html" in shown
    page = (project / "report.html").read_text()
    assert page.count("Good") >= 2
    assert "Unclear" in page


def test_a_broken_file_is_a_collection_error_with_its_place(project: Path) -> None:
    (project / "scenarios" / "broken.yaml").write_text("name: x\nscipt: []\n")
    shown = run_pytest(project)
    assert "broken.yaml:2:1" in shown
    assert "script" in shown


MODEL_AGENT = """
import os
from openai import AsyncOpenAI
async def agent(messages: list[dict]) -> str:
    async with AsyncOpenAI(base_url=os.environ["MODEL"], api_key="none", max_retries=0) as client:
        answer = await client.chat.completions.create(model="echo", messages=messages)
    return answer.choices[0].message.content
"""


def test_recorded_once_and_replayed_without_the_model(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "mine.py").write_text(MODEL_AGENT)
    for name in ("bad", "unclear"):
        (project / "scenarios" / f"{name}.yaml").unlink()
    server = subprocess.Popen(
        [sys.executable, "-m", "fixtures.agents.model_server", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert server.stdout is not None
        monkeypatch.setenv("MODEL", server.stdout.readline().strip())
        assert "2 passed" in run_pytest(project, "--simulate-record-mode=once", "-n", "2")
    finally:
        server.kill()
        server.communicate()
    assert len(list((project / "scenarios" / "cassettes").glob("*/http.json"))) == 2
    assert "2 passed" in run_pytest(project, "--simulate-record-mode=none"), "no model runs any more"
    assert "2 errors" in run_pytest(project) or "2 failed" in run_pytest(project)


def test_the_fixture(project: Path) -> None:
    (project / "test_mine.py").write_text(
        "from mine import agent\n"
        "def test_plain(simulate):\n"
        "    outcome = simulate('scenarios/bad.yaml', agent=agent)\n"
        "    assert outcome.status == 'failed', outcome.explain()\n"
    )
    assert "1 passed" in run_pytest(project, "test_mine.py")


def test_yaml_elsewhere_is_left_alone(project: Path) -> None:
    (project / "tests").mkdir()
    (project / "tests" / "data.yaml").write_text("a: 1\n")
    assert "no tests" in run_pytest(project, "tests")


def test_pyproject_says_where_scenarios_lie(project: Path) -> None:
    (project / "scenarios").rename(project / "eval")
    (project / "eval" / "bad.yaml").unlink()
    (project / "eval" / "unclear.yaml").unlink()
    (project / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\n[tool.simulate]\nscenarios = ["eval"]\n'
    )
    assert "2 passed" in run_pytest(project)
    (project / "pyproject.toml").write_text('[tool.pytest.ini_options]\nsimulate_scenarios = ["scenarios"]\n')
    assert "no tests ran" in run_pytest(project), "the ini file counts more"


def test_what_is_excused_is_told_and_an_error_never_is(project: Path) -> None:
    (project / "mine.py").write_text(
        "n = 0\ndef agent(message):\n    return 'answer 1'\n"
        "def flaky(message):\n    global n\n    n += 1\n    return f'answer {n % 2}'\n"
    )
    more = {"bad": "xfail: ticket 12\n", "unclear": "xfail: ticket 13\n"}
    for name, text in (("bad", BAD), ("unclear", UNCLEAR)):
        (project / "scenarios" / f"{name}.yaml").write_text(text + more[name])
    (project / "scenarios" / "good.yaml").write_text(
        "name: Flaky\nagent: python:mine.py:flaky\nscript: [{says: x}]\nretries: 1\n"
        "expect: [{said: {contains: answer 0}}]\n"
    )
    shown = run_pytest(project)
    assert "1 xfailed" in shown and "1 error" in shown and "1 passed" in shown
    assert "good.yaml::flaky passed on retry" in shown


def test_all_workers_write_one_run(project: Path) -> None:
    (project / "scenarios" / "unclear.yaml").unlink()
    shown = run_pytest(project, "-n", "2", "--simulate-report", "r.html")
    assert "2 passed" in shown and "1 failed" in shown
    (run,) = (project / ".simulate" / "runs").iterdir()
    folder = RunFolder.open(run)
    record = folder.read_run()
    assert record.counts == {"passed": 2, "failed": 1} and record.ended is not None
    outcomes = list(folder.outcomes())
    assert len(outcomes) == 3
    for outcome in outcomes:
        assert (
            Path(outcome.folder or "").is_relative_to(run)
            and (run / Path(outcome.folder or "").name).is_dir()
        )
    assert (project / "r.html").read_text().count("You said") >= 2
