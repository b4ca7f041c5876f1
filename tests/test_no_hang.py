"""What never ends by itself is ended: agents that block the loop, regular expressions, whole programs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulate import Scenario, run_sync
from simulate.errors import HarnessFault
from simulate.model.bounded_regex import SHORT, BoundedRegex
from simulate.trace.redaction.redact import Redactor


async def sleeps(message: str) -> str:
    time.sleep(60)
    return "ok"


async def computes(message: str) -> str:
    while True:
        pass


async def catches(message: str) -> str:
    for _ in range(3):
        with contextlib.suppress(BaseException):
            time.sleep(20)
    return "ok"


async def streams(message: str) -> AsyncIterator[str]:
    yield "begins"
    time.sleep(60)
    yield "ends"


async def in_a_task(message: str) -> str:
    async def part() -> str:
        time.sleep(60)
        return "ok"

    return await asyncio.create_task(part())


class Starts:
    def __init__(self) -> None:
        time.sleep(60)

    def reply(self, message: str) -> str:
        return "ok"


def _long(message: str) -> str:
    return "a" * 30_000 + "!"


def _scenario(**limits: Any) -> Scenario:
    expect = [{"said": {"contains": "ok"}}]
    return Scenario.model_validate(
        {"name": "x", "script": [{"says": "hi"}], "expect": expect, "limits": limits}
    )


@pytest.mark.parametrize("agent", [sleeps, computes, catches, streams, in_a_task, Starts])
def test_an_agent_that_blocks_the_loop_is_ended_by_its_limit(agent: Any) -> None:
    outcome = run_sync(_scenario(time="1s"), agent)
    assert (outcome.status, outcome.conversation.ended_by) == ("failed", "limit")
    assert outcome.conversation.duration < 20
    assert re.search(r"test_no_hang\.py:\d+ in ", " ".join([outcome.reason or "", *outcome.notes]))


def test_a_reply_that_blocks_is_too_late_by_its_own_limit() -> None:
    outcome = run_sync(_scenario(reply="1s"), sleeps)
    assert (outcome.status, outcome.side) == ("failed", "agent")
    assert "within 1 s" in (outcome.reason or "")
    assert re.search(r"test_no_hang\.py:\d+ in sleeps", outcome.reason or "")


def test_an_answer_that_came_too_late_does_not_count() -> None:
    async def late(message: str) -> str:
        time.sleep(0.4)
        return "ok"

    assert not run_sync(_scenario(time="0.2s"), late).passed
    assert not run_sync(_scenario(reply="0.2s"), late).passed
    assert run_sync(_scenario(), late).passed


SLOW = [r"^(a+)+$", r"(a|aa)+$", r"(a|a)*$", r"(?:a*)*$", r"(a{1,40}){1,40}$"]


@pytest.mark.parametrize("pattern", SLOW)
def test_a_regular_expression_that_never_ends_is_ended(pattern: str) -> None:
    with pytest.raises(HarnessFault, match="no end within"):
        BoundedRegex(pattern).search("a" * 30_000 + "!")


@pytest.mark.parametrize("text", ["ord-42 and ord-7", "", "x" * (SHORT + 1) + " ord-9\n"])
@pytest.mark.parametrize(
    "pattern", [r"ord-\d+", r"(?i)ORD-[0-9]", r"(?P<value>\d)(?=\s|$)", r"\bx*", "^$|é", r"\Aord"]
)
def test_a_bounded_expression_finds_what_re_finds(pattern: str, text: str) -> None:
    found, wanted = BoundedRegex(pattern), re.compile(pattern)
    assert [each.span() for each in found.finditer(text)] == [each.span() for each in wanted.finditer(text)]
    one, other = found.search(text), wanted.search(text)
    assert (one and one.span()) == (other and other.span())


@pytest.mark.parametrize(
    "expect",
    [
        {"said": {"matches": r"^(a+)+$"}},
        {"not_said": {"matches": r"^(a+)+$"}},
        {"span": {"output": {"matches": r"^(.*a+)+$"}}},
    ],
    ids=lambda expect: next(iter(expect)),
)
def test_a_check_with_such_an_expression_errs(expect: dict[str, Any]) -> None:
    scenario = Scenario.model_validate({"name": "x", "script": [{"says": "hi"}], "expect": [expect]})
    outcome = run_sync(scenario, _long)
    assert not outcome.passed
    assert outcome.verdicts[0].status in ("error", "not_run")


def test_a_pattern_of_redaction_is_bounded() -> None:
    with pytest.raises(HarnessFault):
        Redactor(patterns={"mine": r"(a+)+!"}).text("a" * 5000)


AGENTS = """
import asyncio, subprocess, sys, time
def ok(message): return "ok"
async def waits(message: str): await asyncio.sleep(600)
async def blocks(message: str): time.sleep(600)
async def stubborn(message: str):
    while True:
        try: time.sleep(600)
        except BaseException: pass
def thread(message): time.sleep(600)
"""
SERVER = """
import signal, subprocess, sys, time
for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(each, signal.SIG_IGN)
if len(sys.argv) > 1:
    subprocess.Popen([sys.executable, __file__])
    from http.server import BaseHTTPRequestHandler, HTTPServer
    class Slow(BaseHTTPRequestHandler):
        def do_POST(self): time.sleep(600)
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Slow).serve_forever()
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("agent", "number"),
    [(agent, signal.SIGTERM) for agent in ("waits", "blocks", "stubborn", "thread", "server")]
    + [("waits", signal.SIGINT), ("server", signal.SIGHUP)],
)
def test_a_run_that_is_told_to_end_ends_and_keeps_what_had_finished(
    agent: str, number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "agents.py").write_text(AGENTS)
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.simulate.agents.server]\naddress = 'http://127.0.0.1:{port}/v1'\n"
        f"command = '{sys.executable} server.py {{port}}'\n"
    )
    for name in ("ok", agent):
        address = "server" if name == "server" else f"python:agents:{name}"
        (tmp_path / f"{name}.yaml").write_text(
            f"name: {name}\nagent: {address}\nopens_with: hi\n" + "expect: [{said: {contains: ok}}]\n"
        )
    command = [
        sys.executable,
        "-m",
        "simulate",
        "run",
        "ok.yaml",
        f"{agent}.yaml",
        "--jobs",
        "1",
        "--out",
        "r",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=log, stderr=log, env={**os.environ, "MARK": str(tmp_path)}
        )
        try:
            lines = tmp_path / "r/outcomes.jsonl"
            _until(lambda: lines.exists() and lines.read_bytes().endswith(b"\n"), process)
            time.sleep(1)
            process.send_signal(number)
            code = process.wait(30)
        finally:
            process.kill()
    assert code == 130, (tmp_path / "log").read_text()
    assert [json.loads(line)["scenario"] for line in lines.read_text().splitlines()] == ["ok"]
    _until(lambda: not _marked(str(tmp_path)))


def _until(holds: Any, process: subprocess.Popen[bytes] | None = None) -> None:
    for _ in range(600):
        if holds():
            return
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError("it never came")


def _marked(text: str) -> list[str]:
    """The processes that a program with this variable started and that are still there."""
    found: list[str] = []
    for each in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"MARK={text}".encode() in each.read_bytes():
                found.append(each.parent.name)
    return found
