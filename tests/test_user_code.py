"""Whatever an agent, a check or an evaluator raises becomes a verdict or an error, and never exit code 0."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import unittest
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from simulate import Scenario, run_sync
from simulate.evaluators import Evaluator, evaluate_sync
from simulate.model.outcome import Outcome
from simulate.trace.span import Trace
from simulate.user_code import meant_for_us

ENDINGS: dict[str, Callable[[], object]] = {
    "sys.exit": lambda: sys.exit(0),
    "os._exit": lambda: os._exit(0),
    "KeyboardInterrupt": lambda: _throw(KeyboardInterrupt()),
    "CancelledError": lambda: _throw(asyncio.CancelledError()),
    "pytest.fail": lambda: pytest.fail("no"),
    "pytest.skip": lambda: pytest.skip("not today"),
    "SkipTest": lambda: _throw(unittest.SkipTest("not today")),
    "own": lambda: _throw(_Own("own")),
}


class _Own(BaseException):
    pass


def _throw(error: BaseException) -> object:
    raise error


def _agents(end: Callable[[], object]) -> dict[str, Any]:
    def blocking(message: str) -> str:
        return str(end())

    async def waiting(message: str) -> str:
        await asyncio.sleep(0)
        return str(end())

    async def streaming(message: str) -> AsyncIterator[str]:
        yield "one"
        yield str(end())

    class Starting:
        def start(self, conversation_id: str) -> None:
            end()

        def reply(self, message: str) -> str:
            return "never"

    class Closing:
        def reply(self, message: str) -> str:
            return "ok"

        async def close(self) -> None:
            end()

    return {"blocking": blocking, "waiting": waiting, "streaming": streaming} | {
        "starting": Starting,
        "closing": Closing,
    }


def _ok(message: str) -> str:
    return "ok"


def _scenario(**given: Any) -> Scenario:
    return Scenario.model_validate({"name": "x", "script": [{"says": "hi"}], **given})


@pytest.mark.parametrize("shape", _agents(lambda: None))
@pytest.mark.parametrize("ending", ENDINGS)
def test_an_agent_that_raises_failed(ending: str, shape: str) -> None:
    outcome = run_sync(_scenario(), _agents(ENDINGS[ending])[shape])
    assert (outcome.status, outcome.side) == ("failed", "agent")
    assert "raised" in (outcome.reason or "")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("waits", [False, True])
def test_a_check_that_raises_has_a_verdict(ending: str, waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def waiting(evidence: Any) -> None:
        await asyncio.sleep(0)
        ENDINGS[ending]()

    def blocking(evidence: Any) -> None:
        ENDINGS[ending]()

    monkeypatch.setattr(sys.modules[__name__], "check", waiting if waits else blocking, raising=False)
    expect = [{"python": f"{__name__}:check"}, {"said": {"contains": "ok"}}]
    outcome = run_sync(_scenario(expect=expect), _ok)
    right = {"pytest.fail": ("failed", "agent")} | dict.fromkeys(
        ("pytest.skip", "SkipTest"), ("not_run", None)
    )
    mine, said = outcome.verdicts
    assert (mine.status, mine.side) == right.get(ending, ("error", "harness"))
    assert said.status == "passed"
    assert not outcome.passed


def test_an_engine_that_raises_is_an_error() -> None:
    class Broken:
        name, address, outside = "broken", "broken:", False

        async def converse(self, session: Any) -> None:
            raise SystemExit(0)

        async def aclose(self) -> None: ...

    assert run_sync(_scenario(), Broken()).status == "error"


def test_an_evaluator_that_raises_is_an_error_and_the_others_count() -> None:
    class Exits(Evaluator):
        async def score(self, material: Any, judge: Any) -> Any:
            sys.exit(0)

    class Breaks(Evaluator):
        async def score(self, material: Any, judge: Any) -> Any:
            raise ZeroDivisionError

    results = evaluate_sync(Trace("1" * 32), [Exits(), Breaks()])
    assert [(one.status, one.side) for one in results] == [("error", "harness")] * 2


async def test_a_cancellation_from_outside_is_meant_for_us() -> None:
    seen: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except BaseException as error:
            seen.append(meant_for_us(error))
            raise

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert (seen, task.cancelled()) == ([True], True)


def test_os_exit_is_itself_again_and_forks_may_use_it() -> None:
    real = os._exit

    def agent(message: str) -> str:
        assert os._exit is not real
        child = os.fork()
        if child == 0:
            os._exit(7)
        return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    outcome: Outcome = run_sync(_scenario(expect=[{"said": {"contains": "7"}}]), agent)
    assert outcome.passed, outcome.explain()
    assert os._exit is real


PROGRAM = """
import asyncio, os, sys, threading
def ok(message): return "ok"
async def task(message: str):
    async def part(): sys.exit(0)
    asyncio.create_task(part())
    await asyncio.sleep(0.1)
    return "ok"
async def callback(message: str):
    asyncio.get_running_loop().call_soon(sys.exit, 0)
    await asyncio.sleep(0.1)
    return "ok"
def hard(message: str): os._exit(0)
"""


@pytest.mark.parametrize("agent", ["task", "callback", "hard"])
def test_an_agent_cannot_end_the_program_with_0(agent: str, tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(PROGRAM)
    for name in ("ok", agent):
        (tmp_path / f"{name}.yaml").write_text(
            f"name: {name}\nagent: python:agents:{name}\nopens_with: hi\n"
            "expect: [{said: {contains: ok}}]\n"
        )
    words = ["run", "ok.yaml", f"{agent}.yaml", "--jobs", "1", "--out", "r"]
    done = _simulate(words, tmp_path)
    assert done.returncode == (1 if agent == "hard" else 3), done.stderr
    assert "SystemExit" in done.stderr
    first = (tmp_path / "r/outcomes.jsonl").read_text().splitlines()[0]
    assert json.loads(first)["scenario"] == "ok"
    if agent != "hard":
        # a run that broke off has no end, and no gate takes it for a whole one
        assert json.loads((tmp_path / "r/run.json").read_text())["ended"] is None
        (tmp_path / "gate.yaml").write_text("pass_rate: 1%\n")
        gate = _simulate(["gate", "r", "--gate", "gate.yaml"], tmp_path)
        assert gate.returncode == 2
        assert "cut off" in gate.stderr


def _simulate(words: list[str], where: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulate", *words]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "words",
    [
        "replay empty --stale",
        "replay empty --verify empty",
        "replay empty --agent python:x:y",
        "run empty",
        "check empty",
        "score empty.jsonl",
        "score empty",
        "trace show empty.jsonl",
        "trace find empty.jsonl kind=LLM",
        "trace quality empty.jsonl",
        "trace cost empty.jsonl",
        "trace redact empty.jsonl",
        "trace sample empty.jsonl --rate 1",
        "diff empty.jsonl empty.jsonl",
        "dataset run empty",
        "dataset check empty",
        "judge empty.jsonl",
        "playback empty",
        "gate empty",
    ],
)
def test_nothing_is_never_fine(words: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.jsonl").write_text("")
    done = _simulate(words.split(), tmp_path)
    assert done.returncode in (2, 3), (done.stdout, done.stderr)
