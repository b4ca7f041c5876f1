"""Agents whose processes are ours: what became of the process is in the outcome."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from simulate.child_process import free_port
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run import run_trial

AGENT = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print("taking a request", flush=True)
        {does}

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
PROJECT = """
[tool.simulate.agents.own]
address = "http://127.0.0.1:{port}/v1"
command = "python agent.py {port}"
"""
TALK = Scenario.model_validate({"name": "hello", "agent": "own", "script": [{"says": "Hello?"}]})


@pytest.fixture(autouse=True)
def _no_spans_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulate.trace.capture.capture.SETTLE_OUTSIDE", 0.2)


async def conversations(folder: Path, does: str, times: int = 1) -> list[Outcome]:
    (folder / "agent.py").write_text(AGENT.replace("{does}", does))
    (folder / "pyproject.toml").write_text(PROJECT)
    async with Resources(Project.find(folder), [TALK]) as stage:
        return [await run_trial(TrialSpec(TALK), stage) for _ in range(times)]


async def test_a_process_that_dies_in_a_conversation_is_the_agents_failure_in_the_next_ones_too(
    tmp_path: Path,
) -> None:
    log = tmp_path / ".simulate" / "logs" / "own.log"
    log.parent.mkdir(parents=True)
    log.write_text("of yesterday\n")
    first, second = await conversations(tmp_path, 'print("going down", flush=True); os._exit(3)', times=2)
    for outcome in (first, second):
        assert (outcome.status, outcome.side) == ("failed", "agent"), outcome.explain()
        assert "ended with code 3" in str(outcome.reason)
    (verdict, *_) = first.verdicts
    assert verdict.evidence == ["taking a request\ngoing down"]
    assert str(log) in str(verdict.hint)
    assert "of yesterday" in log.read_text(), "what was printed before is kept"


async def test_what_a_process_prints_of_a_failure_is_in_the_outcome(tmp_path: Path) -> None:
    (outcome,) = await conversations(tmp_path, 'self.send_response(500); raise ValueError("no database")')
    assert (outcome.status, outcome.side) == ("failed", "agent"), outcome.explain()
    assert "ValueError: no database" in outcome.verdicts[0].evidence[0]
    assert str(tmp_path / ".simulate" / "logs" / "own.log") in str(outcome.verdicts[0].hint)


def test_ports_are_none_that_the_system_hands_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        mine = taken.getsockname()[1]
        assert free_port(mine) != mine
    found = {free_port() for _ in range(50)}
    assert len(found) > 1 and all(20_000 <= port < 32_768 for port in found)
    assert free_port(mine) == mine, "free again"
