"""PipecatEngine: voice, with an unmodified Pipecat bot in this process, or in another one over WebSocket."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulate.conversation.engine import TrialSession
from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.call import CallWire, VoiceCall
from simulate.conversation.voice.pcm import Samples
from simulate.conversation.voice.senses import CallerSpeech
from simulate.conversation.voice.speech import quiet
from simulate.errors import AddressError, AgentFault, MissingExtra
from simulate.load_object import load_object
from simulate.model.identity import ConversationStart
from simulate.model.scenario import Scenario
from simulate.replay.session import current
from simulate.user_code import meant_for_us

if TYPE_CHECKING:
    from simulate.integrations.pipecat.memory_transport import MemoryTransport

CONNECT_SECONDS = 30.0
"""How long a bot may take from its start to the first frame: models are loaded in it."""
LEAVE_SECONDS = 3.0
"""How long a bot has to notice by itself that the caller hung up; production's servers wait no longer."""
END_SECONDS = 5.0

Bot = Callable[..., Awaitable[Any]]


class PipecatEngine:
    """Carries calls to a bot: ``pipecat:module:function`` or ``ws://host:port``.

    In the process, the bot is a coroutine function as Pipecat's runner knows it: it takes a transport, or a
    transport and runner arguments, or runner arguments alone, which it gives to ``create_transport``."""

    name = "pipecat"

    def __init__(
        self, agent: str, *, stt: str | None = None, tts: str | None = None, root: Path | None = None
    ) -> None:
        if importlib.util.find_spec("pipecat") is None:
            raise MissingExtra("pipecat-ai, which carries calls by voice,", "voice")
        self.address = agent
        self.outside = not agent.startswith("pipecat:")
        with quiet():
            importlib.import_module("pipecat")
            self._bot: Bot | None = None if self.outside else load_bot(agent, root)
        self._speech = CallerSpeech(stt, tts, root)

    def prepare(self, scenario: Scenario) -> None:
        """Refuse, before anything runs, a voice, a noise or a speech service that there is not."""
        self._speech.prepare(scenario)

    async def converse(self, session: TrialSession) -> None:
        """Call the bot; returns when one side has hung up or a limit is reached."""
        wire: CallWire
        if self._bot is not None:
            wire = MemoryWire(self._bot, self.address, session)
        else:
            # imports Pipecat, which takes seconds and greets on stderr
            from simulate.integrations.pipecat.websocket_transport import ProtobufWire

            wire = ProtobufWire(self.address, session.headers)
        await VoiceCall(session, wire, self._speech.of(session.scenario)).carry()

    async def aclose(self) -> None:
        """Nothing outlives a call."""


class MemoryWire:
    """A call to a bot that runs in this process, as a task of its own."""

    def __init__(self, bot: Bot, address: str, session: TrialSession) -> None:
        self._bot = bot
        self._address = address
        self._session = session
        self._transport: MemoryTransport | None = None
        self._running: asyncio.Task[Any] | None = None
        self._ready = asyncio.Event()
        self._over: Callable[[], None] = lambda: None

    async def open(self, line: AudioBridge) -> None:
        """Start the bot and wait until it takes calls."""
        # imports Pipecat
        from simulate.integrations.pipecat.memory_transport import MemoryTransport
        from simulate.integrations.pipecat.virtual_time import let_frames_ask  # likewise

        let_frames_ask()
        if (cassette := current()) is not None:
            self._replayed(cassette)
        line.tells_cuts = True
        self._transport = transport = MemoryTransport(line)
        register: Any = getattr(transport, "add_event_handler")  # noqa: B009 - partially typed there
        register("on_client_connected", self._answered)
        self._running = asyncio.create_task(self._run(transport), name=f"bot {self._address}")
        waiting = asyncio.create_task(self._ready.wait())
        await asyncio.wait(
            {waiting, self._running}, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()
        if self._ready.is_set():
            return
        if line.failure is not None:
            raise line.failure
        how = "returned" if self._running.done() else f"took more than {CONNECT_SECONDS:g} s"
        raise AgentFault(
            f"{self._address} {how} before its pipeline took the call",
            where="connecting",
            hint="the bot has to run a pipeline that begins with transport.input()",
        )

    def _replayed(self, cassette: Any) -> None:
        """The bot's speech goes into the call's cassette, or comes from it; with the pace that it had."""
        from simulate.integrations.pipecat import recording  # imports Pipecat

        recording.know_services()
        if cassette.replaying:
            cassette.pace = "recorded"
        self._over = recording.finish

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller."""
        if self._transport is not None:
            await self._transport.input().hear(frame)

    async def press(self, keys: str) -> bool:
        """Keys reach a bot as frames of their own, as from a telephony provider."""
        if self._transport is not None:
            for key in keys:
                await self._transport.input().pressed(key)
        return True

    async def hang_up(self) -> None:
        """Tell the bot, as its transport would; one that goes on is ended, and that is noted."""
        running = self._running
        if running is None or self._transport is None:
            return
        if not running.done() and self._transport.line.closed is None:
            await self._transport.hung_up()
        await asyncio.wait({running}, timeout=LEAVE_SECONDS)
        if not running.done():
            self._session.notes.append(
                f"the bot went on for {LEAVE_SECONDS:g} s after the caller had hung up, and was ended "
                "(its on_client_disconnected should cancel the pipeline)"
            )
            await self._transport.input().end()
            await asyncio.wait({running}, timeout=END_SECONDS)
        if not running.done():
            running.cancel()
            await asyncio.wait({running}, timeout=END_SECONDS)
        self._over()

    async def _answered(self, *_: Any) -> None:
        self._ready.set()

    async def _run(self, transport: MemoryTransport) -> None:
        """The bot, to its end; what it raises is the agent's fault."""
        try:
            with quiet():
                await call_bot(self._bot, transport, self._session.start)
        except BaseException as error:
            if meant_for_us(error):
                raise
            text = f"{type(error).__name__}: {error}"
            failure = AgentFault(f"the bot raised {text}", where=self._address)
            failure.__cause__ = error
            transport.line.close(text, failure)
        else:
            transport.ended("the agent's pipeline ended")


async def call_bot(bot: Bot, transport: Any, call: ConversationStart) -> None:
    """Call it with what its signature asks for."""
    from simulate.integrations.pipecat.runner import arguments, wants_transport  # imports Pipecat

    given = arguments(transport, call)
    if wants_transport(bot):
        await (bot(transport, given) if _positional(bot) > 1 else bot(transport))
    else:
        await bot(given)


def load_bot(address: str, root: Path | None) -> Bot:
    """The function behind ``pipecat:module:function`` or ``pipecat:path/to/file.py:function``."""
    target = address.removeprefix("pipecat:")
    found = load_object(target, address, root)
    if not inspect.iscoroutinefunction(found) or not 1 <= _positional(found) <= 2:
        given = inspect.signature(found) if callable(found) else f" is a {type(found).__name__}"
        raise AddressError(
            f"{target} cannot be called as a bot: {target.rpartition(':')[2]}{given}",
            where=address,
            hint="a bot is `async def bot(transport)`, `async def bot(transport, runner_args)` or "
            "`async def bot(runner_args)`",
        )
    return found


def _positional(bot: Bot) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = [each for each in inspect.signature(bot).parameters.values() if each.kind in kinds]
    return len([each for each in found if each.default is each.empty]) or len(found)
