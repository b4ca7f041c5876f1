"""What an agent asks once a process is recorded with one conversation, and answered in whichever is first."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest

import simulate
from simulate.replay import record, replaying
from simulate.replay.first_use import FirstUse
from simulate.replay.report import ReplayReport


class Agent:
    """One process of an agent: it fetches its token and its catalogue with its first conversation."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.warm = False

    def reply(self, message: str, *more: str) -> None:
        if not self.warm:
            httpx.post(self.base + "/oauth/token", json={"grant_type": "client_credentials"})
            catalogue()
            self.warm = True
        for path in more:
            httpx.get(self.base + path)
        httpx.post(
            self.base + "/v1/chat/completions",
            json={"model": "m", "messages": [{"role": "user", "content": message}]},
        )


@simulate.tool
def catalogue() -> list[str]:
    return ["tables", "rooms"]


SAID = {"one": "Is there a table for order 4417?", "two": "I would like to cancel."}


@pytest.fixture
async def root(server: Any, tmp_path: Path) -> Path:
    agent = Agent(server.base)
    for name, text in SAID.items():
        async with record(tmp_path / name) as recorder:
            agent.reply(text, *(["/orders/4417"] if name == "one" else []))
            recorder.conversation = [{"speaker": "caller", "text": text, "turn": 1}]
    return tmp_path


async def replayed(root: Path, name: str, first_use: FirstUse, agent: Agent, *more: str) -> ReplayReport:
    async with replaying(root / name, first_use=first_use) as player:
        with contextlib.suppress(Exception):
            agent.reply(SAID[name], *more)
    return player.report()


@pytest.mark.parametrize("order", [["one", "two"], ["two", "one"], ["two"], ["one"]], ids=" ".join)
async def test_any_selection_and_order_replays(root: Path, server: Any, order: list[str]) -> None:
    server.hits.clear()
    first_use, agent = FirstUse(root), Agent(server.base)
    for name in order:
        more = ["/orders/4417"] if name == "one" else []
        report = await replayed(root, name, first_use, agent, *more)
        assert report.passed, report.explain()
    assert server.hits == []


async def test_what_depends_on_another_conversation_is_not_shared(root: Path, server: Any) -> None:
    report = await replayed(root, "two", FirstUse(root), Agent(server.base), "/orders/4417")
    assert report.verdict == "never_recorded"
    assert report.first is not None
    assert "/orders/4417" in report.first.asked


async def test_what_is_made_once_a_process_is_answered_once(root: Path, server: Any) -> None:
    first_use = FirstUse(root)
    assert (await replayed(root, "two", first_use, Agent(server.base))).passed
    report = await replayed(root, "two", first_use, Agent(server.base))
    assert report.verdict == "never_recorded"


async def test_a_first_call_that_nobody_makes_is_missing(root: Path, server: Any) -> None:
    agent = Agent(server.base)
    agent.warm = True
    report = await replayed(root, "one", FirstUse(root), agent, "/orders/4417")
    assert report.verdict == "unplayed"
    assert "/oauth/token" in " ".join(report.unplayed)
