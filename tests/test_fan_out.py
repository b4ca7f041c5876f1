"""A suite in several processes: it comes out as in one, and a process that dies takes one trial with it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from simulate.errors import EnvironmentFault
from simulate.fan_out.processes import CALLS_EACH, MOST, ProcessFanOut, processes_for
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.resources import Resources
from simulate.run_folder import RunFolder
from simulate.scenario_files import load_scenarios
from simulate.suite import Suite

AGENTS = """
import asyncio, os, signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

async def good(message):
    print("debugging")
    await asyncio.sleep(20 if os.environ.get("VIRTUAL") else 0)
    return f"It is on its way, says {os.getpid()}"
def dies(message):
    if not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "It is on its way"
async def slow(message):
    try:
        Path(f"began-{os.getpid()}").touch()
        await asyncio.sleep(60)
    finally:
        Path(f"ended-{os.getpid()}").touch()
    return "It is on its way"
def square(number):
    return number * number
def pool(message):
    with ProcessPoolExecutor(1) as processes:
        return f"It is on its way: {processes.submit(square, 3).result()}"
"""
SCENARIO = """
name: {agent}
agent: python:agents.py:{agent}
script: [{{says: hello}}]
expect: [{{said: {{contains: way}}}}]
"""


class Silent:
    """Progress that nobody looks at."""

    def __init__(self) -> None:
        self.done: list[Outcome] = []

    def started(self, key: str) -> None: ...

    def finished(self, outcome: Outcome) -> None:
        self.done.append(outcome)

    def close(self) -> None: ...


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.simulate]\n")
    (tmp_path / "agents.py").write_text(AGENTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def run(project: Path, agent: str, trials: int, jobs: int, **options: Any) -> list[Outcome]:
    """The outcomes, in the order of their trials; ``jobs`` of 0 is this process."""
    file = project / f"{agent}.yaml"
    file.write_text(SCENARIO.format(agent=agent))
    loaded = load_scenarios([file])
    resources = Resources(Project.find(project), [each.scenario for each in loaded])
    elsewhere = ProcessFanOut(resources, jobs=jobs, **options) if jobs else None
    folder = RunFolder.create(project / f"out-{agent}-{jobs}")
    try:
        await Suite(folder, resources, seed=7, trials=trials, elsewhere=elsewhere).run(loaded, Silent())
    finally:
        folder.close()
    return sorted(folder.outcomes(), key=lambda outcome: outcome.trial)


async def test_it_comes_out_as_in_one_process(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    here, there = await run(project, "good", 4, 0), await run(project, "good", 4, 2)
    capfd.readouterr()

    def essence(outcomes: list[Outcome]) -> list[Any]:
        return [
            (each.key, each.status, each.seed, each.persona, each.conversation.turns) for each in outcomes
        ]

    assert essence(there) == essence(here)
    answers = {each.conversation.utterances[-1].text for each in there}
    assert len(answers) == 2
    assert not any(str(os.getpid()) in each for each in answers)
    assert all((Path(each.folder or "") / "trace.otlp.jsonl").is_file() for each in there)


async def test_virtual_time_is_kept_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTUAL", "1")
    (outcome,) = await run(project, "good", 1, 1, virtual=True)
    assert outcome.passed
    assert outcome.conversation.duration == pytest.approx(20)


async def test_a_process_that_dies_costs_one_trial(project: Path) -> None:
    outcomes = await run(project, "dies", 3, 1)
    assert [each.status for each in outcomes] == ["error", "passed", "passed"]
    assert outcomes[0].side == "environment"
    assert "exit code -9" in (outcomes[0].reason or "")


async def test_cancelled_it_leaves_no_process(project: Path) -> None:
    before = set(multiprocessing.active_children())
    running = asyncio.create_task(run(project, "slow", 2, 2))
    while len(list(project.glob("began-*"))) < 2:
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not set(multiprocessing.active_children()) - before
    # in an orderly way: what a conversation holds is given back
    assert len(list(project.glob("ended-*"))) == 2


async def test_an_agent_may_start_processes_of_its_own(project: Path) -> None:
    (outcome,) = await run(project, "pool", 1, 1)
    assert outcome.passed, outcome.reason


async def test_a_run_that_breaks_off_leaves_no_process(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise EnvironmentFault("the disk is full")

    before = set(multiprocessing.active_children())
    monkeypatch.setattr(RunFolder, "add", full)
    with pytest.raises(EnvironmentFault, match="full"):
        await run(project, "good", 2, 1)
    assert not set(multiprocessing.active_children()) - before


def test_a_process_has_to_be_worth_its_start() -> None:
    assert processes_for(CALLS_EACH * 2 - 1, 2) == 1
    assert processes_for(CALLS_EACH * 2, 2) == 2
    assert processes_for(1000, 1) == 1
    assert processes_for(1000, None) <= MOST
