"""Recording and replay around whole conversations, as runs and commands use them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openai
import pytest

from fixtures.agents.brains import call
from fixtures.agents.model_server import ModelServer
from simulate.errors import InputError
from simulate.llm import Model, ModelConfig
from simulate.model.loading.project import Project
from simulate.model.scenario import Line, Scenario
from simulate.model.trial import TrialSpec
from simulate.replay.matching.date_drift import real_ns
from simulate.replay.running import Recordings
from simulate.resources import Resources
from simulate.run import run_trial

AGENT = """
import os, openai, simulate.tools
from simulate.tools import tool

@tool
async def lookup(order: str) -> str:
    with open(os.environ["RAN"], "a") as log:
        log.write(order)
    return f"order {order} is lost"

class Agent:
    def __init__(self):
        self.messages = [{"role": "system", "content": os.environ.get("PROMPT", "Be kind.")}]

    async def reply(self, message: str) -> str:
        self.messages.append({"role": "user", "content": message + " / " + await lookup("7")})
        async with openai.AsyncOpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key="k") as client:
            answer = await client.chat.completions.create(model="m", messages=self.messages)
        self.messages.append({"role": "assistant", "content": answer.choices[0].message.content})
        return answer.choices[0].message.content
"""

SCENARIO = Scenario(name="lost order", script=[Line(says="where is it?"), Line(says="and now?")])


async def ran(agent: Any, recordings: Recordings, spec: TrialSpec | None = None, model: Any = None) -> Any:
    spec = spec or TrialSpec(SCENARIO, id="lost-order")
    resources = Resources(Project(Path.cwd()), [], agent=agent)
    resources.recordings, resources.caller_model, resources.judge = recordings, model, None
    resources.prepare(spec.scenario)
    async with resources:
        return await run_trial(spec, resources)


@pytest.fixture
def agent(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base + "/v1")
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    space: dict[str, Any] = {}
    exec(AGENT, space)
    return space["Agent"]


async def test_a_run_records_and_replays(server: Any, tmp_path: Path, agent: Any, monkeypatch: Any) -> None:
    first = await ran(agent, Recordings(tmp_path / "cassettes", "all"))
    assert next(said.text for said in first.conversation.by("agent")).startswith("answer to where is it?")
    heard, log = len(server.hits), (tmp_path / "ran").read_text()
    replay = Recordings(tmp_path / "cassettes", "none")
    again = await ran(agent, replay)
    assert again.passed, again.reason
    assert [said.text for said in again.conversation.utterances] == [
        said.text for said in first.conversation.utterances
    ]
    assert len(server.hits) == heard and (tmp_path / "ran").read_text() == log
    (report,) = replay.reports.values()
    assert report.verdict == "identical" and report.recorded == 4

    monkeypatch.setenv("PROMPT", "Be rude.")
    changed = await ran(agent, replay)
    assert changed.status == "failed"
    verdict = next(one for one in changed.verdicts if one.check == "replay")
    assert verdict.turn == 1 and "the system prompt changed" in verdict.fact and verdict.side == "agent"
    assert len(server.hits) == heard


async def test_once_records_where_there_is_nothing(server: Any, tmp_path: Path, agent: Any) -> None:
    await ran(agent, Recordings(tmp_path / "c", "once"))
    heard = len(server.hits)
    again = await ran(agent, Recordings(tmp_path / "c", "once"))
    assert again.passed and len(server.hits) == heard
    with pytest.raises(InputError, match="no cassettes"):
        Recordings(tmp_path / "nothing", "none")


async def test_new_adds_what_is_missing(server: Any, tmp_path: Path, agent: Any, monkeypatch: Any) -> None:
    await ran(agent, Recordings(tmp_path / "c", "once"))
    monkeypatch.setenv("PROMPT", "Be rude.")
    heard = len(server.hits)
    await ran(agent, Recordings(tmp_path / "c", "new"))
    assert len(server.hits) == heard + 2
    await ran(agent, Recordings(tmp_path / "c", "new"))
    assert len(server.hits) == heard + 2  # the second time nothing is missing


async def test_the_replay_command(server: Any, tmp_path: Path, agent: Any) -> None:
    await ran(agent, Recordings(tmp_path / "c", "all"))
    (tmp_path / "shop.py").write_text(AGENT)
    heard = len(server.hits)

    def command(*more: str, **env: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{Path.cwd()}:{tmp_path}",
            "OPENAI_BASE_URL": "http://nowhere.example/v1",
            **env,
        }
        line = [sys.executable, "-m", "simulate", "replay", str(tmp_path / "c"), *more]
        return subprocess.run(line, env=environment, capture_output=True, text=True, cwd=tmp_path)

    done = command("--agent", "python:shop:Agent", "--save", str(tmp_path / "new.jsonl"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "replay: identical; 4 of 4 recordings played; live calls: 0" in done.stdout
    changed = command("--agent", "python:shop:Agent", PROMPT="Be rude.")
    assert changed.returncode == 1 and "'Be kind.' → 'Be rude.'" in changed.stdout
    assert command().returncode == 2
    (tmp_path / "prompt.txt").write_text("Be rude.")
    stale = command("--stale", "--system", str(tmp_path / "prompt.txt"))
    assert stale.returncode == 1 and "the system prompt changed" in stale.stdout
    (tmp_path / "prompt.txt").write_text("Be kind.")
    assert command("--stale", "--system", str(tmp_path / "prompt.txt")).returncode == 0
    assert command(ENV="production").returncode == 2
    assert len(server.hits) == heard


async def test_the_recorded_caller_hands_over_where_the_path_is_left(
    server: Any, tmp_path: Path, agent: Any, monkeypatch: Any
) -> None:
    """Said again while the agent does what it did; the rest is the persona's, from a named turn on."""
    from simulate.replay import Cassette

    await ran(agent, Recordings(tmp_path / "c", "all"))
    cassette = Cassette.load(tmp_path / "c" / "lost-order")
    assert [one["called"] for one in cassette.conversation if "called" in one] == ["lookup", "lookup"]
    replay = Recordings(tmp_path / "c", "none")
    bare = Scenario(name="lost order", opens_with="never said")
    spec = TrialSpec(bare, id="lost-order", recorded=cassette.conversation)
    same = await ran(agent, replay, spec)
    assert same.passed, same.reason
    assert [said.text for said in same.conversation.by("caller")] == ["where is it?", "and now?"]

    class Curt(agent):  # type: ignore[misc,valid-type]
        async def reply(self, message: str) -> str:
            return str(await super().reply(message)).upper().replace("ANSWER", "NOTHING")

    left = await ran(Curt, replay, spec)
    assert [said.text for said in left.conversation.by("caller")] == ["where is it?"]
    assert any("left the recorded path in turn 1" in note and "hung up" in note for note in left.notes)


async def test_a_caller_that_asks_its_own_model_something_new_is_not_the_agents_fault(tmp_path: Path) -> None:
    """The improvising caller is replayed from the cassette, too, until its scenario changes."""

    def improvised(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        if "You said" in str(messages[-1]["content"]):
            return call("end_call", {"reason": "it was answered", "goal_reached": True})
        return {"content": "I want to know about order 4417."}

    async def agent(message: str) -> str:
        async with openai.AsyncOpenAI(base_url=model.url, api_key="k", max_retries=0) as client:
            said: Any = [{"role": "user", "content": message}]
            answer = await client.chat.completions.create(model="echo", messages=said)
        return str(answer.choices[0].message.content)

    async def tried(goal: str, recordings: Recordings) -> Any:
        caller = Model(ModelConfig("caller", model.url, "k", retries=0), role="caller")
        return await ran(agent, recordings, TrialSpec(Scenario(name="goal", goal=goal), id="goal"), caller)

    async with ModelServer({"caller": improvised}).running() as model:
        first = await tried("Find out where order 4417 is", Recordings(tmp_path / "c", "all"))
        assert first.passed, first.explain()
        asked = len(model.requests)
        again = await tried("Find out where order 4417 is", Recordings(tmp_path / "c", "none"))
        assert again.passed and len(model.requests) == asked, again.explain()
        other = await tried("Get order 4417 cancelled", Recordings(tmp_path / "c", "none"))
        assert len(model.requests) == asked, "nothing went out"
        await tried("Get order 4417 cancelled", Recordings(tmp_path / "c", "new"))
        asked = len(model.requests)
        added = await tried("Get order 4417 cancelled", Recordings(tmp_path / "c", "none"))
        assert len(model.requests) == asked, "what the caller asked anew was added"
        assert "caller's own model" not in added.explain()
    assert (other.status, other.side) == ("error", "simulator"), other.explain()
    replay = next(one for one in other.verdicts if one.check == "replay")
    assert replay.side == "simulator" and "a call of the caller's own model" in replay.fact
    assert "not to blame" in str(replay.hint)


async def test_an_agent_that_tells_its_model_the_date_replays_on_another_day(
    server: Any, tmp_path: Path, agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prompt(days_ago: int, more: str = "Be kind.") -> str:
        day = datetime.now(UTC) - timedelta(days=days_ago)
        return f"Today is {day:%A, %d %B %Y}, {day:%H:%M} UTC. The sale ends on 2031-01-01. {more}"

    with monkeypatch.context() as long_ago:
        long_ago.setattr("simulate.replay.session.real_ns", lambda: real_ns() - 40 * 86_400 * 10**9)
        long_ago.setenv("PROMPT", prompt(40))
        await ran(agent, Recordings(tmp_path / "c", "all"))
    heard, replay = len(server.hits), Recordings(tmp_path / "c", "none")
    monkeypatch.setenv("PROMPT", prompt(0))
    again = await ran(agent, replay)
    assert again.passed, again.explain()
    (report,) = replay.reports.values()
    assert report.verdict == "identical" and report.played == report.recorded == 4
    assert any("the agent tells the time, which has passed: " in note for note in report.notes)
    for other in (prompt(0, "Be rude."), prompt(0).replace("2031", "2032"), prompt(7)):
        monkeypatch.setenv("PROMPT", other)
        changed = await ran(agent, replay)
        assert changed.status == "failed" and "the system prompt changed" in changed.explain()
    assert len(server.hits) == heard


async def test_an_agent_that_raises_is_recorded_and_replayed(server: Any, tmp_path: Path, agent: Any) -> None:
    class Raises(agent):  # type: ignore[misc,valid-type]
        mended = False

        async def reply(self, message: str) -> str:
            said = str(await super().reply(message))
            if message == "and now?" and not self.mended:
                raise ValueError("no such parcel")
            return said

    first = await ran(Raises, Recordings(tmp_path / "cassettes", "all"))
    assert (first.status, first.side) == ("failed", "agent")
    heard = len(server.hits)
    for _ in range(2):
        again = await ran(Raises, Recordings(tmp_path / "cassettes", "none"))
        assert (again.status, again.side, again.reason) == (first.status, first.side, first.reason)
        assert [one.status for one in again.verdicts if one.check == "replay"] == ["passed"]
    replay = Recordings(tmp_path / "cassettes", "none")
    Raises.mended = True
    mended = await ran(Raises, replay)
    assert mended.passed, mended.reason
    assert "no such parcel" in " ".join(replay.reports["lost-order"].notes)
    assert len(server.hits) == heard
