"""Virtual time beside a loop in real time."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from simulate.determinism.clock import Apart, current_loop
from simulate.errors import InputError
from simulate.model.loading.project import Project
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run_folder import RunFolder
from simulate.suite import Suite


async def waits() -> tuple[float, str, bool]:
    began = time.monotonic()
    await asyncio.sleep(3600)
    return time.monotonic() - began, threading.current_thread().name, current_loop() is not None


async def test_an_hour_passes_there_and_none_here() -> None:
    apart = Apart()
    before = time.monotonic()
    waited, thread, virtual = await apart.run(waits)
    assert waited == 3600 and virtual and thread.startswith("simulate-virtual-time")
    assert current_loop() is None and time.monotonic() - before < 600
    assert (await apart.run(waits))[0] == 3600, "the same loop serves again"
    await apart.aclose()


async def test_what_is_cancelled_here_ends_there_first() -> None:
    apart = Apart()
    began, ended = threading.Event(), threading.Event()

    async def for_ever() -> None:
        began.set()
        try:
            while True:
                await asyncio.to_thread(time.sleep, 0.01)
        finally:
            ended.set()

    task = asyncio.create_task(apart.run(for_ever))
    await asyncio.to_thread(began.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    await apart.aclose()


AGENT = """
import asyncio, time

async def slow(message: str) -> str:
    began = time.monotonic()
    await asyncio.sleep(90)
    return f"That took {time.monotonic() - began:.0f} s"
"""
PROJECT = """
[tool.simulate.agents]
patient = { address = "python:patience.py:slow", time = "virtual" }
far = { address = "http://127.0.0.1:9/v1", time = "virtual" }
"""


def scenario(agent: str) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "A slow answer",
            "agent": agent,
            "script": [{"says": "How long?"}],
            "expect": [{"said": {"contains": "took 90 s"}}],
            "limits": {"reply": "100 s", "time": "200 s"},
        }
    )


class Nobody:
    def started(self, key: str) -> None: ...
    def finished(self, outcome: object) -> None: ...
    def close(self) -> None: ...


async def test_an_agent_whose_conversations_keep_virtual_time(tmp_path: Path) -> None:
    (tmp_path / "patience.py").write_text(AGENT)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    project = Project.find(tmp_path)
    talk = scenario("patient")
    folder = RunFolder.create(tmp_path / "run")
    try:
        suite = Suite(folder, Resources(project, [talk]), trials=3)
        loaded = TrialSpec(talk, str(tmp_path / "slow.yaml"), 1, None, id="slow", text="0" * 64)
        await suite.run([loaded], Nobody())
        outcomes = list(folder.outcomes())
    finally:
        folder.close()
    assert [each.status for each in outcomes] == ["passed"] * 3, outcomes[0].explain()
    assert all("virtual time" in " ".join(each.notes) for each in outcomes)
    assert all(each.measures["reply_p50_seconds"] == pytest.approx(90, abs=1) for each in outcomes)


def test_an_agent_elsewhere_cannot_keep_virtual_time(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    with pytest.raises(InputError, match="far runs in another process, where time cannot be virtual"):
        Resources(Project.find(tmp_path), [scenario("far")])
