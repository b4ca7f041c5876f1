"""The world of docs/scenarios.md, run as it stands there; and a world that a pytest fixture gives."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scenarios.md"
AGENT = """
import simulate

@simulate.tool
def issue_refund(order_id):
    raise AssertionError("the real tool ran")

def agent(message: str) -> str:
    try:
        return issue_refund(message.split()[-1])
    except simulate.ToolFailed as error:
        return f"Sorry: {error}."
"""
CONFTEST = """
import pytest
from world import Shop

TRACE = []

@pytest.fixture(autouse=True)
def always():
    TRACE.append("autouse")

@pytest.fixture
def database():
    TRACE.append("database")
    yield
    TRACE.append("closed")

@pytest.fixture
def simulate_world():
    return Shop

def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("db"):
            item.add_marker(pytest.mark.usefixtures("database"))

def pytest_sessionfinish():
    print("TRACE", *TRACE)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    blocks = re.findall(r"```(?:python|yaml)\n# ([\w./]+)\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    files = {name: text for name, text in blocks if name in ("world.py", "scenarios/refund_once.yaml")}
    assert len(files) == 2
    (tmp_path / "scenarios").mkdir()
    for name, text in {**files, "agent.py": AGENT, "pyproject.toml": ""}.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def done(project: Path, *command: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=project, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_page_is_true(project: Path) -> None:
    assert "1 passed" in done(project, "simulate", "run")


def test_a_fixture_gives_the_world_and_other_fixtures_are_set_up(project: Path) -> None:
    file = project / "scenarios" / "refund_once.yaml"
    text = file.read_text("utf-8").replace("world: python:world.py:Shop\n", "tags: [db]\ntrials: 2\n")
    file.write_text(text, "utf-8")
    (project / "conftest.py").write_text(CONFTEST, "utf-8")
    told = done(project, "pytest", "-q", "-s", "-p", "no:cacheprovider")
    assert "1 passed" in told and "TRACE autouse database closed" in told
