"""Calls in real rooms of a real livekit-server on 127.0.0.1, with unmodified workers in own processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("livekit.rtc", reason="needs the extra livekit")

from livekit import api, rtc

from fixtures.rooms import TWINS, believed, failures, twins
from simulate.conversation.engine import TrialSession
from simulate.conversation.voice.recording import read_channels
from simulate.determinism.clock import run_virtual
from simulate.errors import AddressError, EnvironmentFault, InputError
from simulate.integrations.livekit import room as livekit_room
from simulate.integrations.livekit.engine import LiveKitEngine
from simulate.integrations.livekit.room import Room, Server
from simulate.integrations.livekit.server import LiveKitServer, find_server, redacted, version_of
from simulate.integrations.registry import engine_for
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run import run_trial

ROOT = Path(__file__).parents[2]
# Pipecat, whose speech detection the caller uses, imports a module that Python 3.13 no longer has
pytestmark = [
    pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* is deprecated since:DeprecationWarning"),
]
needs_server = pytest.mark.skipif(
    find_server() is None, reason="simulate livekit install brings a livekit-server"
)


@pytest.fixture(autouse=True)
def _no_server_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        monkeypatch.delenv(name, raising=False)


async def call(scenario: Scenario, folder: Path) -> Outcome:
    """One call, with everything that the product does around it."""
    async with Resources(Project(ROOT), [scenario], logs=folder / "logs") as stage:
        return await run_trial(TrialSpec(scenario, folder=folder), stage)


def scenario(agent: str, script: list[dict[str, Any]], **more: Any) -> Scenario:
    given = {"name": "phone", "medium": "voice", "speaks_first": "agent", **more}
    return Scenario(agent=agent, script=script, **given)  # type: ignore[arg-type]


# -- real workers

ALL_OF_IT: dict[str, Any] = {
    "script": [
        {"backchannel": "Okay.", "interrupts_after": "0.8 s"},
        {"dtmf": "4417#"},
        {"says": "Thank you very much, goodbye.", "interrupts_after": "1 s"},
    ],
    "tools": {"lookup_order": {"status": "lost", "total": 42.5}},
    "expect": [
        {"ignores_backchannel": True},
        {"dtmf": "4417#"},
        {"called": "lookup_order", "with": {"order_id": "4417"}},
        {"heard": "goodbye"},
        {"stops_within": "1.8 s"},
        {"no_dead_air": "4 s"},
        {"not_said": {"matches": "(?i)order support.*order support"}},
        {"ended_by": "caller"},
    ],
}


@needs_server
@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_a_call_with_an_unmodified_worker(tmp_path: Path) -> None:
    """A worker in a room and a Pipecat bot get the same verdicts on the same scenario."""
    by_worker = scenario("livekit:fixtures/agents/livekit_support.py", **ALL_OF_IT)
    outcome = await believed(partial(call, by_worker), tmp_path)
    assert outcome.passed, outcome.explain()
    names = [span.name for span in outcome.trace.spans]
    assert {"agent_session", "user_turn", "agent_turn", "llm_request", "function_tool"} <= set(names)
    assert {span.trace_id for span in outcome.trace.spans} == {outcome.conversation.id}
    greeting = outcome.conversation.utterances[0]
    assert greeting.speaker == "agent" and "order support" in greeting.text.lower()
    assert any(said.interrupted for said in outcome.conversation.by("agent"))
    left, right, rate = read_channels(str(outcome.recording))
    assert len(left) == len(right) > 10 * rate and left.any() and right.any()
    measures = outcome.measures
    assert measures["caller_interruptions"] == 1 and measures["pacing_p99_ms"] is not None
    assert measures["reply_p50_seconds"] > 0.2, "measured from the sound, never zero"
    by_bot = scenario("pipecat:fixtures.agents.phone_bot:bot", **ALL_OF_IT)
    other = await asyncio.to_thread(run_virtual, call(by_bot, tmp_path / "bot"))
    assert verdicts(other) == verdicts(outcome), other.explain()


def verdicts(outcome: Outcome) -> list[tuple[str, str]]:
    return [(verdict.expectation, verdict.status) for verdict in outcome.verdicts]


@needs_server
@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_each_faulty_twin_is_found_by_its_check_and_no_other(tmp_path: Path) -> None:
    """Calls to a worker that runs already; which fault it has stands in the metadata of each call's job."""
    two = asyncio.Semaphore(2)
    async with twins(tmp_path / "logs") as calling:

        async def called(fault: str, talk: Scenario) -> Outcome:
            async with two:
                return await believed(partial(calling, fault, talk), tmp_path / fault)

        outcomes = await asyncio.gather(*(called(fault, talk) for fault, talk in TWINS.items()))
    found = dict(zip(TWINS, outcomes, strict=True))
    assert {fault: failures(outcome) for fault, outcome in found.items()} == {
        fault: talk.tags for fault, talk in TWINS.items()
    }
    assert {outcome.side for outcome in found.values()} == {"agent"}


BROKEN = """
import asyncio, os, pathlib
from livekit import rtc
from livekit.agents import AgentServer, JobContext
mode = pathlib.Path(__file__).with_name("mode")
server = AgentServer(num_idle_processes=1)

@server.rtc_session(agent_name="broken")
async def entrypoint(context: JobContext) -> None:
    if mode.read_text() == "entry":
        raise ValueError("no database")
    await context.connect()
    source = rtc.AudioSource(16000, 1)
    track = rtc.LocalAudioTrack.create_audio_track("voice", source)
    await context.room.local_participant.publish_track(track)
    await context.wait_for_participant()
    await asyncio.sleep(2)
    if mode.read_text() == "process":
        os.kill(os.getpid(), 9)
    if mode.read_text() == "middle":
        raise ValueError("no database any more")
    if mode.read_text() == "hangs up":
        context.shutdown()
        return
    await asyncio.sleep(60)
"""


@needs_server
@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_a_worker_that_breaks_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    talk = scenario(
        f"livekit:{tmp_path / 'broken.py'}",
        [{"says": "Hello?"}],
        speaks_first="caller",
        limits={"reply": "4 s", "time": "90 s"},
    )
    found: dict[str, Outcome] = {}
    async with Resources(Project(ROOT), [talk], logs=tmp_path / "logs") as stage:
        for mode in ("entry", "middle", "process", "hangs up", "silent"):
            (tmp_path / "mode").write_text(mode)
            found[mode] = await believed(
                lambda folder: run_trial(TrialSpec(talk, folder=folder), stage), tmp_path / mode
            )
        engine = stage.engine(talk)
        assert isinstance(engine, LiveKitEngine) and engine._local is not None and engine.worker is not None
        server, worker = engine._local._process, engine.worker._process
        assert server is not None and worker is not None

        class EndsTheServer(LiveKitEngine):
            """The same engine, whose server is killed once something was said."""

            async def converse(self, session: TrialSession) -> None:
                async def kill() -> None:
                    while not session.conversation.utterances:
                        await asyncio.sleep(0.02)
                    os.killpg(server.pid, signal.SIGKILL)

                killing = asyncio.create_task(kill())
                await super().converse(session)
                await killing

        engine.__class__ = EndsTheServer
        no_server = await run_trial(TrialSpec(talk, folder=tmp_path / "server"), stage)
    assert worker.returncode is not None, "nothing is left running"
    assert (no_server.status, no_server.side) == ("error", "environment"), no_server.explain()
    assert "livekit-server ended with code -9" in str(no_server.reason)
    left, right, rate = read_channels(str(no_server.recording))
    assert left.any() and len(left) == len(right) > rate // 5, "what was said until then is kept"
    hung_up = found.pop("hangs up")
    assert hung_up.passed and hung_up.conversation.ended_by == "agent", hung_up.explain()
    for mode, outcome in found.items():
        assert (outcome.status, outcome.side) == ("failed", "agent"), (mode, outcome.explain())
    entry, middle, process, silent = (found[mode].verdicts[0] for mode in found)
    assert "broke before it came into the room: its entrypoint raised" in entry.fact
    assert "no database" in str(entry.evidence)
    assert "broke in the middle of the call" in middle.fact
    assert "no database any more" in str(middle.evidence)
    assert "broke in the middle of the call: its process ended with code -9" in process.fact
    assert "said nothing for 4 s" in silent.fact


async def test_a_file_that_is_no_worker_is_the_agents_fault(tmp_path: Path) -> None:
    if find_server() is None:
        pytest.skip("simulate livekit install brings a livekit-server")
    (tmp_path / "agent.py").write_text("raise RuntimeError('no such model')\n")
    talk = scenario(f"livekit:{tmp_path / 'agent.py'}", [{"says": "Hello?"}])
    outcome = await call(talk, tmp_path)
    assert (outcome.status, outcome.side) == ("failed", "agent"), outcome.explain()
    assert "before it registered" in str(outcome.reason) and "no such model" in str(
        outcome.verdicts[0].evidence
    )


# -- rooms


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiveKitServer]:
    program = find_server()
    if program is None:
        pytest.skip("simulate livekit install brings a livekit-server")
    monkeypatch.setattr(livekit_room, "LEAVING_SECONDS", 0.5)
    monkeypatch.setattr(livekit_room, "HEARD_SECONDS", 0.5)
    local = LiveKitServer(program, log=tmp_path / "server.log")
    await local.start()
    yield local
    await local.stop()


def room(local: LiveKitServer, **changes: Any) -> Room:
    given = {
        "url": local.url,
        "key": local.key,
        "secret": local.secret,
        "ended": lambda: local.ended,
    } | changes
    return Room(Server(**given), "ab" * 16, "nobody")


@contextlib.asynccontextmanager
async def agent_in(
    local: LiveKitServer, name: str = "ab" * 16, identity: str = "agent-1"
) -> AsyncIterator[rtc.Room]:
    """An agent as the server sees one: a participant of that kind."""
    grants = api.VideoGrants(room_join=True, room=name)
    token = (
        api.AccessToken(local.key, local.secret)
        .with_identity(identity)
        .with_kind("agent")
        .with_grants(grants)
    )
    inside = rtc.Room()
    await inside.connect(local.url, token.to_jwt())
    try:
        yield inside
    finally:
        await inside.disconnect()


async def test_nobody_takes_the_call(server: LiveKitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livekit_room, "TAKEN_SECONDS", 1.0)
    called = room(server)
    try:
        await called.enter()
        with pytest.raises(EnvironmentFault, match="no worker took the call: none is registered as 'nobody'"):
            await called.answered()
    finally:
        await called.leave()
    assert any("called a second time" in note for note in called.notes)
    lister = api.LiveKitAPI(server.url.replace("ws", "http"), server.key, server.secret)
    assert not (await lister.room.list_rooms(api.ListRoomsRequest())).rooms, "the room is taken down"
    await lister.aclose()


async def test_an_agent_that_was_there_first_and_hangs_up(server: LiveKitServer) -> None:
    called = room(server)
    async with agent_in(server):
        try:
            await called.enter()
            await called.answered()
            assert called.agent is not None and not called.left.done()
            kind = (await _participants(server))["caller"].kind
            assert kind == api.ParticipantInfo.SIP, "agents that treat telephone callers differently do so"
        finally:
            await called.leave()
    called = room(server)
    try:
        await called.enter()
        async with agent_in(server):
            await called.answered()
        assert await asyncio.wait_for(called.left, 5) is None, "it hung up"
    finally:
        await called.leave()


async def test_another_agent_in_the_room_gets_a_warning(server: LiveKitServer) -> None:
    called = room(server)
    async with agent_in(server), agent_in(server, identity="agent-2"):
        try:
            await called.enter()
            await called.answered()
        finally:
            await called.leave()
    assert any("workers without a name" in note for note in called.notes)


async def _participants(local: LiveKitServer) -> dict[str, Any]:
    lister = api.LiveKitAPI(local.url.replace("ws", "http"), local.key, local.secret)
    found = await lister.room.list_participants(api.ListParticipantsRequest(room="ab" * 16))
    await lister.aclose()
    return {one.identity: one for one in found.participants}


async def test_a_server_elsewhere_that_goes_away_is_noticed_in_seconds(
    server: LiveKitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client itself tries for 20 s to come back, in which the agent would seem to be silent."""
    monkeypatch.setattr(livekit_room, "BACK_SECONDS", 0.5)
    called = room(server, ended=lambda: None)
    with contextlib.suppress(Exception):
        async with agent_in(server):
            await called.enter()
            await called.answered()
            await killed(server)
            raise RuntimeError  # leave the agent's room without waiting for its goodbye
    fault = await asyncio.wait_for(called.left, 5)
    await asyncio.wait_for(called.leave(), 15)
    assert isinstance(fault, EnvironmentFault) and "cut off from the room" in fault.message
    assert "server or the network went away" in str(fault.hint)


async def killed(local: LiveKitServer) -> None:
    process = local._process
    assert process is not None
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def test_an_agent_that_comes_late_is_waited_for(
    server: LiveKitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livekit_room, "TAKEN_SECONDS", 1.0)
    called = room(server)
    try:
        await called.enter()
        waiting = asyncio.create_task(called.answered())
        while not called.notes:  # until it has been called a second time
            await asyncio.sleep(0.05)
        monkeypatch.setattr(livekit_room, "TAKEN_SECONDS", 60.0)
        async with agent_in(server):
            await waiting
            assert called.agent is not None
    finally:
        await called.leave()


async def test_wrong_keys_are_told_without_the_token(server: LiveKitServer) -> None:
    called = room(server, secret="x" * 40)
    with pytest.raises(EnvironmentFault, match="refuses our keys") as caught:
        await called.enter()
    await called.leave()
    assert "eyJ" not in str(caught.value) and "LIVEKIT_API_SECRET" in str(caught.value)


async def test_no_server_there(server: LiveKitServer) -> None:
    called = room(server, url="ws://127.0.0.1:9")
    with pytest.raises(EnvironmentFault, match="no LiveKit server answers"):
        await called.enter()
    await called.leave()


# -- what is refused before anything runs


@pytest.mark.parametrize(
    ("address", "error", "match"),
    [
        ("livekit:", AddressError, "names no agent"),
        ("livekit:no/such/agent.py", AddressError, "there is no file"),
        ("livekit:support", InputError, "LIVEKIT_URL"),
    ],
)
def test_bad_addresses(
    address: str, error: type[Exception], match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulate.integrations.livekit.engine.need_server", lambda: Path("livekit-server"))
    with pytest.raises(error, match=match):
        engine_for(address, "voice", root=ROOT)


def test_half_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_URL", "ws://127.0.0.1:1")
    with pytest.raises(InputError, match="LIVEKIT_API_KEY and LIVEKIT_API_SECRET"):
        engine_for("livekit:support", "voice")


def test_without_a_server_the_command_that_brings_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SIMULATE_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="simulate livekit install"):
        engine_for("livekit:fixtures/agents/livekit_support.py", "voice", root=ROOT)


def test_another_program_is_no_server(tmp_path: Path) -> None:
    program = tmp_path / "livekit-server"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    with pytest.raises(EnvironmentFault, match="is not a livekit-server: it says 'hello'"):
        version_of(program)


def test_tokens_never_reach_a_report() -> None:
    token = api.AccessToken("key", "s" * 40).with_identity("x").to_jwt()
    assert token.startswith("eyJ")
    assert redacted(f"invalid token: {token}, error") == "invalid token: <token>, error"
