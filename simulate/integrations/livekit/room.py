"""A room of the call's own: opened, an agent called into it, left and taken down again.

What LiveKit's API tells of a failure is little; each is told apart here by what is measured in
``docs/livekit.md``: no server, wrong keys, nobody who takes the call, an agent that broke before or after it
came in, a process that is dead, a server that went away in the middle of the call."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from simulate.errors import AgentFault, EnvironmentFault, Fault, MissingExtra, NotReached
from simulate.integrations.livekit.events import room_hears_its_own
from simulate.integrations.livekit.server import redacted

try:
    from livekit import api, rtc
except ImportError as error:  # the extra is named instead of a module
    raise MissingExtra("the LiveKit client", "livekit") from error

TAKEN_SECONDS = 8.0
"""Seconds in which a worker should take a job, asked twice. It takes one in 0.2 s; a server tells of a job
that ended at once only after 5."""
JOINED_SECONDS = 30.0
"""Seconds in which an agent that took a job should be in the room: a process may have to be started for it,
and to load its models."""
HEARD_SECONDS = 3.0
"""Seconds in which an agent that came in should take up the caller's microphone."""
LEAVING_SECONDS = 3.0
"""Seconds that an agent gets to leave by itself once the caller has hung up, as it would in production."""
BACK_SECONDS = 3.0
"""Seconds in which a connection that broke off must be back; LiveKit's own client tries for twenty."""
CALLER = "caller"
_AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


@dataclass(frozen=True, slots=True)
class Server:
    """Where rooms are opened."""

    url: str
    key: str
    secret: str = field(repr=False)
    ended: Callable[[], str | None] = lambda: None
    """Why a server of ours is no longer there."""

    @property
    def http(self) -> str:
        return self.url.replace("ws", "http", 1) if self.url.startswith("ws") else self.url


@dataclass
class Room:
    """One call: the room, the caller in it, the agent that was called."""

    server: Server
    name: str
    agent_name: str
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    phone: str = "+15555550100"
    """The caller's number, as agents that serve telephone callers expect one."""
    died: Callable[[], Fault | None] = lambda: None
    """Asked while waiting: whether the agent's own process is gone."""
    notes: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        # its event methods are not fully typed
        self.room: Any = rtc.Room()
        self.agent: rtc.RemoteParticipant | None = None
        self.left: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()
        """Done once the other side is gone: None where it hung up, else whose fault it was."""
        self._api: Any = None
        self._dispatch = ""
        self._arrived = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._leaving = False
        self._broken: asyncio.TimerHandle | None = None

    async def enter(self) -> None:
        """Open the room, with the agent called into it, and join it; ``leave`` always follows.

        Raises EnvironmentFault for a server that is not there or refuses our keys."""
        self._api = api.LiveKitAPI(self.server.http, self.server.key, self.server.secret)
        await self._create()
        await self._join()

    async def leave(self) -> None:
        """Hang up and take the room down; quiet about one that was never opened, or is gone."""
        if self._api is None:
            return
        try:
            await self._hang_up()
        finally:
            await self._api.aclose()
            self._api = None

    async def answered(self) -> None:
        """Wait until the agent is in the room and hears us.

        Raises EnvironmentFault where no worker takes the call, and AgentFault for an agent that took it and
        never came."""
        if not await self._taken():
            await self._call_again()
            if not await self._taken():
                raise self._nobody()
        await self._joined()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARD_SECONDS):
                await self._subscribed.wait()
        others = [one for one in self._agents() if one is not self.agent]
        if others:
            self.notes.append(
                f"{len(others)} other agents came into the room: workers without a name are called into "
                "every room of their server; give them an agent_name, or use a server of the run's own"
            )

    # -- opening

    async def _create(self) -> None:
        # the agent is named in the room itself: a server calls workers without a name only into rooms that
        # name none
        wanted = api.RoomAgentDispatch(
            agent_name=self.agent_name, metadata=self.metadata, attributes=dict(self.attributes)
        )
        request = api.CreateRoomRequest(
            name=self.name, empty_timeout=30, departure_timeout=2, agents=[wanted]
        )
        with self._told_apart():
            await self._api.room.create_room(request)

    async def _join(self) -> None:
        token = (
            api.AccessToken(self.server.key, self.server.secret)
            .with_identity(CALLER)
            .with_name("Caller")
            .with_kind("sip")
            .with_attributes(
                {"sip.phoneNumber": self.phone, "sip.callStatus": "active", "sip.callID": self.name}
            )
            .with_grants(api.VideoGrants(room_join=True, room=self.name, can_update_own_metadata=True))
        )
        self._listen()
        with self._told_apart():
            await self.room.connect(self.server.url, token.to_jwt(), rtc.RoomOptions(auto_subscribe=True))
            room_hears_its_own(self.room)
        for participant in self.room.remote_participants.values():
            self._came(participant)

    def _listen(self) -> None:
        on = self.room.on
        on("participant_connected", self._came)
        on("participant_disconnected", self._went)
        on("disconnected", self._cut_off)
        on("reconnecting", self._broke_off)
        on("reconnected", self._is_back)
        on("local_track_subscribed", self._took_up)

    def _came(self, participant: rtc.RemoteParticipant) -> None:
        if participant.kind == _AGENT and self.agent is None:
            self.agent = participant
            self._arrived.set()

    def _took_up(self, _: Any) -> None:
        self._subscribed.set()

    def _agents(self) -> list[rtc.RemoteParticipant]:
        return [one for one in self.room.remote_participants.values() if one.kind == _AGENT]

    # -- waiting for the agent

    async def _arrives(self, seconds: float) -> bool:
        """Whether the agent comes in within this time; raises at once what makes waiting vain."""
        end = time.monotonic() + seconds
        while not self._arrived.is_set():
            if (fault := self.died()) is not None:
                raise fault
            if self.left.done() and (lost := self.left.result()) is not None:
                raise lost
            if (left := end - time.monotonic()) <= 0:
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), min(left, 0.25))
        return True

    async def _taken(self) -> bool:
        """Whether a worker has taken the call within the time that one should need for it."""
        began = time.monotonic()
        while not await self._arrives(0.5):
            if await self._jobs():
                return True
            if time.monotonic() >= began + TAKEN_SECONDS:
                return False
        return True

    async def _joined(self) -> None:
        if await self._arrives(JOINED_SECONDS):
            return
        failed = next((job for job in await self._jobs() if job.state.error), None)
        said = f": {redacted(failed.state.error)}" if failed is not None else ""
        raise AgentFault(
            f"the agent took the call and was not in the room {JOINED_SECONDS:g} s later{said}",
            where=f"agent {self.agent_name}",
            hint="its entrypoint raised or never connected; the worker's log says more",
        )

    def _nobody(self) -> EnvironmentFault:
        return NotReached(
            f"no worker took the call: none is registered as {self.agent_name!r}, or each is busy",
            where=f"LiveKit at {self.server.url}",
            hint="start the worker, check its agent_name, and give it load_fnc=lambda *_: 0.0 where it "
            "takes this machine for loaded; both cases look the same from outside",
        )

    async def _jobs(self) -> list[Any]:
        """Jobs of our dispatch: none where no worker has taken it."""
        with self._told_apart():
            found = await self._api.agent_dispatch.list_dispatch(self.name)
        mine = [one for one in found if one.agent_name == self.agent_name]
        self._dispatch = mine[-1].id if mine else ""
        return [job for one in mine for job in one.state.jobs]

    async def _call_again(self) -> None:
        """A server never asks a second time; a worker that was busy for a moment is asked again, once."""
        with self._told_apart():
            if self._dispatch:
                await self._api.agent_dispatch.delete_dispatch(self._dispatch, self.name)
            made = await self._api.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(
                    agent_name=self.agent_name,
                    room=self.name,
                    metadata=self.metadata,
                    attributes=dict(self.attributes),
                )
            )
        self._dispatch = made.id
        self.notes.append("no worker took the call at first; it was called a second time")

    # -- the other side goes

    def _went(self, participant: rtc.RemoteParticipant) -> None:
        if participant is not self.agent and (self.agent is None or participant.sid != self.agent.sid):
            return
        if self._broken is not None:
            return  # it is we who lost the room
        reason = _reason(participant.disconnect_reason or 0)
        if reason == "CONNECTION_TIMEOUT":
            self._lost(
                AgentFault("the agent's process is gone: its connection timed out in the middle of the call")
            )
        elif reason in ("AGENT_ERROR", "MEDIA_FAILURE", "JOIN_FAILURE"):
            self._lost(AgentFault(f"the agent left the call with an error ({reason})"))
        else:
            self._lost(None)

    def _cut_off(self, reason: Any = None) -> None:
        name = _reason(reason)
        if name in ("ROOM_DELETED", "ROOM_CLOSED", "PARTICIPANT_REMOVED"):
            self._lost(None)  # how agents hang up: they delete the room
            return
        ended = self.server.ended()
        self._lost(
            EnvironmentFault(
                f"the caller was cut off from the room in the middle of the call ({name})",
                where=f"LiveKit at {self.server.url}",
                hint=ended or "the server or the network went away",
            )
        )

    def _broke_off(self) -> None:
        if self._broken is None:
            loop = asyncio.get_running_loop()
            self._broken = loop.call_later(BACK_SECONDS, self._cut_off, f"not back after {BACK_SECONDS:g} s")

    def _is_back(self) -> None:
        if self._broken is not None:
            self._broken.cancel()
            self._broken = None
            self.notes.append("the caller's connection broke off for a moment: what was said then is lost")

    def _lost(self, fault: Fault | None) -> None:
        if not self._leaving and not self.left.done():
            self.left.set_result(fault)

    async def crashed(self) -> str | None:
        """After the agent left: the error of its job, if LiveKit knows of one."""
        with contextlib.suppress(Fault):
            for job in await self._jobs():
                if job.state.error:
                    return redacted(job.state.error)
                if job.state.status == 3:  # JS_FAILED
                    return "its job failed"
        return None

    # -- hanging up

    async def _hang_up(self) -> None:
        """Leave first and let the agent leave by itself, so that it closes as it would in production."""
        self._leaving = True
        if self._broken is not None:
            self._broken.cancel()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.room.disconnect(), 5)
        # the server closes a room two seconds after its last caller has left; until then the agent winds up
        waits = self.agent is not None and not self.left.done()
        end = time.monotonic() + (LEAVING_SECONDS if waits else 0.0)
        while (is_open := await self._is_open()) and time.monotonic() < end:  # noqa: ASYNC110 - we have left
            await asyncio.sleep(0.1)
        if not is_open:
            return
        with contextlib.suppress(Fault):
            await self._jobs()
        # the dispatch first: an agent that has not come yet would open the room again
        with contextlib.suppress(api.TwirpError, aiohttp.ClientError, TimeoutError):
            if self._dispatch:
                await self._api.agent_dispatch.delete_dispatch(self._dispatch, self.name)
        with contextlib.suppress(api.TwirpError, aiohttp.ClientError, TimeoutError):
            await self._api.room.delete_room(api.DeleteRoomRequest(room=self.name))

    async def _is_open(self) -> bool:
        """Whether our room is still there. Asked of the server and not of the room, which after it is gone
        lets one wait three seconds for an answer."""
        try:
            found = await self._api.room.list_rooms(api.ListRoomsRequest(names=[self.name]))
        except (api.TwirpError, aiohttp.ClientError, TimeoutError):
            return False
        return bool(found.rooms)

    @contextlib.contextmanager
    def _told_apart(self) -> Generator[None]:
        """LiveKit's errors as ours, without the token that some of them repeat whole."""
        where = f"LiveKit at {self.server.url}"
        try:
            yield
        except api.TwirpError as error:
            if error.status == 401 or error.code == "unauthenticated":
                raise _refused(where) from None
            raise EnvironmentFault(f"LiveKit refused: {redacted(error.message)}", where=where) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotReached(
                f"no LiveKit server answers: {redacted(error) or type(error).__name__}",
                where=where,
                hint=self.server.ended() or "is LIVEKIT_URL right, and the server up?",
            ) from None
        except rtc.ConnectError as error:
            text = redacted(error)
            if "invalid token" in text or "401" in text or "unauthorized" in text.lower():
                raise _refused(where) from None
            raise EnvironmentFault(
                f"the caller cannot join the room: {text}", where=where, hint=self.server.ended()
            ) from None


def _reason(value: Any) -> str:
    names: Any = rtc.DisconnectReason
    return str(names.Name(value)) if isinstance(value, int) else str(value)


def _refused(where: str) -> EnvironmentFault:
    return NotReached(
        "LiveKit refuses our keys",
        where=where,
        hint="are LIVEKIT_API_KEY and LIVEKIT_API_SECRET this server's?",
    )
