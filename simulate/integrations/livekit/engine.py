"""LiveKitEngine: voice, in a LiveKit room of each call's own, with an unmodified worker."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulate.conversation.engine import TrialSession
from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.call import VoiceCall
from simulate.conversation.voice.pcm import Samples
from simulate.conversation.voice.senses import CallerSpeech
from simulate.errors import AddressError, AgentFault, EnvironmentFault, Fault, InputError
from simulate.integrations.livekit.room import Room, Server
from simulate.integrations.livekit.server import LiveKitServer, need_server
from simulate.integrations.livekit.transport import LiveKitWire
from simulate.integrations.livekit.worker import LiveKitWorker
from simulate.model.identity import ConversationStart, filled
from simulate.model.scenario import Scenario
from simulate.replay.matching.endpoints import address as host_of
from simulate.replay.session import current, unrecorded
from simulate.tool_client import CONVERSATION

LOOK_SECONDS = 0.5
"""How often the worker's log is asked whether the process of a job still lives."""
_NEEDED = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")


class LiveKitEngine:
    """Carries calls to a worker: ``livekit:agent-name``, one that runs already, or
    ``livekit:path/to/agent.py``, which is started for the run.

    ``url``, ``api_key`` and ``api_secret`` name the server; left out, ``LIVEKIT_URL``, ``LIVEKIT_API_KEY``
    and ``LIVEKIT_API_SECRET`` do; where there are none of these either, a server of the run's own is started
    on this machine. ``command`` starts the worker instead of LiveKit's own runner. ``metadata`` goes to the
    job of each call as JSON, beside the trace context and the conversation's id. What server and worker
    print goes into ``logs``."""

    name = "livekit"
    outside = True

    def __init__(
        self,
        agent: str,
        *,
        url: str | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
        command: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        stt: str | None = None,
        tts: str | None = None,
        logs: Path | None = None,
        root: Path | None = None,
    ) -> None:
        self.address = agent
        self.root = root or Path.cwd()
        self.logs = logs or self.root / ".simulate" / "logs"
        self._speech = CallerSpeech(stt, tts, self.root)
        self._command = command
        self.metadata = dict(metadata or {})
        self._given = _server_given(url, api_key, api_secret)
        self._file, self._agent_name = _target(agent, self.root)
        self._local: LiveKitServer | None = None
        self._worker: LiveKitWorker | None = None
        self._server: Server | None = None
        self._starting = asyncio.Lock()
        if self._given is None:
            need_server()
            if not self._starts_worker:
                raise InputError(
                    f"{agent} is a worker that is already running, and its LiveKit server is not named",
                    hint=f"set {', '.join(_NEEDED)}; or give the agent's file: livekit:path/to/agent.py",
                )

    @property
    def _starts_worker(self) -> bool:
        return self._file is not None or self._command is not None

    def prepare(self, scenario: Scenario) -> None:
        """Refuse, before anything runs, a voice, a noise or a speech service that there is not."""
        self._speech.prepare(scenario)

    async def converse(self, session: TrialSession) -> None:
        """Call the worker into a room; returns when one side has hung up or a limit is reached."""
        async with self._starting:
            # server and worker are the run's, and not the conversation's that happens to be the first
            with unrecorded():
                server = await self._ready(session)
        if (cassette := current()) is not None:
            cassette.allow.add(host_of(server.url))  # the room is real
        wire = RoomWire(self, server, session)
        await VoiceCall(session, wire, self._speech.of(session.scenario)).carry()

    async def _ready(self, session: TrialSession) -> Server:
        """The server, with the worker registered at it where it is ours to start."""
        if self._server is None:
            if self._given is not None:
                self._server = Server(*self._given)
            else:
                self._local = LiveKitServer(need_server(), log=self.logs / "livekit-server.log")
                await self._local.start()
                local = self._local
                self._server = Server(local.url, local.key, local.secret, local.why_ended)
        if self._starts_worker and self._worker is None:
            # a name of this run's own: nobody else's room calls our worker, and ours calls nobody else's
            name = f"{self._agent_name}-{secrets.token_hex(4)}"
            log = self.logs / f"{self._agent_name}.log"
            worker = LiveKitWorker(self._file, name, log=log, command=self._command, cwd=self.root)
            # of one conversation's environment, what is not that conversation's
            own = ("TRACEPARENT", "BAGGAGE", CONVERSATION)
            shared = {name: value for name, value in session.environment.items() if name not in own}
            server = self._server
            keys = dict(zip(_NEEDED, (server.url, server.key, server.secret), strict=True))
            await worker.start(_reaching(shared | keys, server.url))
            self._worker, self._agent_name = worker, name
        return self._server

    @property
    def agent_name(self) -> str:
        """The name by which the worker is called."""
        return self._agent_name

    @property
    def worker(self) -> LiveKitWorker | None:
        """The worker, where we have started it."""
        return self._worker

    async def aclose(self) -> None:
        """Stop what was started: first the worker, so that its last spans leave, then the server."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()
        local, self._local = self._local, None
        self._server = None
        if local is not None:
            await local.stop()


def job_metadata(
    configured: Mapping[str, Any], start: ConversationStart, headers: Mapping[str, str]
) -> dict[str, Any]:
    """What the job of one call is told: the agent's ``options``, who calls, and where its spans belong."""
    own = {**filled(configured, start.placeholders()), **start.known()}
    return {**own, **headers, "simulate.conversation.id": str(start)}


class RoomWire:
    """One call through a room: `VoiceCall` opens it, sends and presses, and hangs up."""

    def __init__(self, engine: LiveKitEngine, server: Server, session: TrialSession) -> None:
        self._engine = engine
        self._server = server
        self._session = session
        self._place = engine.worker.place if engine.worker is not None else 0
        self._looked = 0.0
        self._room: Room | None = None
        self._wire: LiveKitWire | None = None
        self._line: AudioBridge | None = None

    async def open(self, line: AudioBridge) -> None:
        """Open the room, call the agent in, and wait until it hears us."""
        session = self._session
        self._line = line
        self._room = room = Room(
            self._server,
            session.conversation.id,
            self._engine.agent_name,
            metadata=json.dumps(
                job_metadata(self._engine.metadata, session.start, session.headers), ensure_ascii=False
            ),
            attributes=dict(session.headers),
            died=self._died,
            notes=session.notes,
        )
        await room.enter()
        self._wire = LiveKitWire(room)
        await self._wire.publish()
        try:
            await room.answered()
        except AgentFault as fault:
            raise self._slow_start(fault) or self._with_log(fault) from None
        self._wire.connect(line)

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller."""
        if self._wire is not None:
            await self._wire.send(frame)
        if (fault := self._died()) is not None and self._line is not None:
            self._line.close(fault.message, fault)

    async def press(self, keys: str) -> bool:
        """As a telephone's keys come through LiveKit's SIP bridge."""
        return self._wire is not None and await self._wire.press(keys)

    async def hang_up(self) -> None:
        """Leave, let the agent leave, take the room down."""
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.aclose()
        if self._room is not None:
            await self._ask_the_worker(self._room)
            await self._room.leave()

    async def _ask_the_worker(self, room: Room) -> None:
        """LiveKit tells of an agent that raised in the middle of a call as of one that hung up; its worker's
        log knows better."""
        worker, line = self._engine.worker, self._line
        hung_up = room.left.done() and room.left.result() is None
        if worker is None or line is None or line.failure is not None or not hung_up:
            return
        await worker.over(room.name, self._place)
        if worker.complaint(self._place, room.name) is not None:
            line.failure = self._with_log(AgentFault("the agent broke in the middle of the call"))

    def _died(self) -> Fault | None:
        """Asked on every frame: whether worker, server or the job's own process are gone."""
        worker = self._engine.worker
        if worker is not None and worker.ended is not None:
            return worker.broken(f"{worker.ended} in the middle of the call", self._place)
        if (ended := self._server.ended()) is not None:
            return EnvironmentFault(ended, where=f"LiveKit at {self._server.url}")
        now = time.monotonic()
        if worker is None or now < self._looked + LOOK_SECONDS:
            return None
        self._looked = now
        if (how := worker.end_of(self._session.conversation.id, self._place)) is None:
            return None
        came = self._room is not None and self._room.agent is not None
        when = "in the middle of the call" if came else "before it came into the room"
        return worker.broken(f"the agent broke {when}: {how}", self._place)

    def _slow_start(self, fault: AgentFault) -> Fault | None:
        """The environment's fault, where no process could start in time."""
        worker = self._engine.worker
        broken = None if worker is None else worker.broken(fault.message, self._place)
        return broken if isinstance(broken, EnvironmentFault) else None

    def _with_log(self, fault: AgentFault) -> AgentFault:
        worker = self._engine.worker
        if (
            worker is None
            or (complaint := worker.complaint(self._place, self._session.conversation.id)) is None
        ):
            return fault
        return AgentFault(
            fault.message, where=fault.where, hint=f"what it printed is in {worker.log}", proof=complaint
        )


def _reaching(environment: dict[str, str], url: str) -> dict[str, str]:
    """A worker that is replayed reaches the room, too. It is guarded itself, and needs no proxy to nowhere,
    through which LiveKit would go to its server."""
    allowed = environment.get("SIMULATE_REPLAY_ALLOW")
    if allowed is None:
        return environment
    proxies = {name: "" for name in environment if name.upper().endswith("_PROXY")}
    return {**environment, **proxies, "SIMULATE_REPLAY_ALLOW": f"{allowed},{host_of(url)}"}


def _target(address: str, root: Path) -> tuple[Path | None, str]:
    """File and name of ``livekit:path/to/agent.py`` or ``livekit:agent-name``."""
    target = address.partition(":")[2].strip()
    if not target:
        raise AddressError(
            f"{address!r} names no agent", hint="livekit:agent-name, or livekit:path/to/agent.py"
        )
    if not target.endswith(".py"):
        return None, target
    file = (root / target).resolve()
    if not file.is_file():
        raise AddressError(f"there is no file {file}", where=address)
    return file, file.stem


def _server_given(url: str | None, key: str | None, secret: str | None) -> tuple[str, str, str] | None:
    given = [value or os.environ.get(name) for value, name in zip((url, key, secret), _NEEDED, strict=True)]
    if not given[0]:
        return None
    missing = [name for value, name in zip(given, _NEEDED, strict=True) if not value]
    if missing:
        raise InputError(f"a LiveKit server is named, but {' and '.join(missing)} is not set")
    return str(given[0]), str(given[1]), str(given[2])
