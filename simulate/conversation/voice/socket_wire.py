"""A call over a WebSocket, whatever is said on it: who connects, who waits, who hung up and who broke off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import aiohttp

from simulate.conversation.agents.status_faults import handshake_fault
from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.pcm import Samples
from simulate.errors import AgentFault, Fault, HarnessFault, InputError, NotReached

CONNECT_SECONDS = 10.0
"""How long a bot may be away: some take one call, end, and listen again."""
AGAIN = 0.25
CLOSE_SECONDS = 3.0
NORMAL = (1000, 1001, 1005)
"""Codes of a connection that was ended on purpose (RFC 6455, 7.4.1)."""

_CLOSING: Any = aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS)  # pyright: ignore[reportCallIssue] - an attrs class


class SocketWire:
    """Carries one call. A protocol is a subclass, with `begin`, `send`, `take` and perhaps `end`."""

    tells_cuts = True
    """Whether the agent tells in this protocol when its speech is cut off."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.address = url
        self._headers = dict(headers)
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._listening: asyncio.Task[None] | None = None

    # -- what a protocol says

    async def begin(self, line: AudioBridge) -> None:
        """The connection is there: say what comes before the first sound."""

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller."""
        raise NotImplementedError

    async def take(self, line: AudioBridge, message: str | bytes) -> None:
        """What the agent sent. Raises InputError where it is none of the protocol's messages."""
        raise NotImplementedError

    async def end(self) -> None:
        """The caller hangs up: say what comes last."""

    async def press(self, keys: str) -> bool:
        """False: the protocol knows no keys, so that their tones are sent."""
        return False

    # -- the connection

    async def open(self, line: AudioBridge) -> None:
        """Connect; a bot that is between two calls is waited for."""
        line.tells_cuts = self.tells_cuts
        self._http = aiohttp.ClientSession(headers=self._headers, trust_env=False)
        end = asyncio.get_running_loop().time() + CONNECT_SECONDS
        while True:
            try:
                self._socket = await self._http.ws_connect(
                    self.address, autoping=True, max_msg_size=0, timeout=_CLOSING
                )
                break
            except aiohttp.WSServerHandshakeError as error:
                fault = handshake_fault(self.address, error)
                fault.where = "connecting"
                raise fault from error
            except (aiohttp.ClientError, OSError) as error:
                if asyncio.get_running_loop().time() >= end:
                    raise NotReached(
                        f"nothing takes calls at {self.address}: {error}",
                        where="connecting",
                        hint="start the bot, or let [tool.simulate.agents] start it with `command`",
                    ) from error
            await asyncio.sleep(AGAIN)
        await self.begin(line)
        self._listening = asyncio.create_task(self._listen(line, self._socket))

    async def put(self, message: str | bytes) -> None:
        """Send a message, if the connection is still there; the listener tells of it where it is not."""
        if self._socket is None or self._socket.closed:
            return
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)

    async def hang_up(self) -> None:
        """Close the connection, as a phone does."""
        if self._socket is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self.end()
                    await self._socket.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
        if self._http is not None:
            await self._http.close()

    async def _listen(self, line: AudioBridge, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                continue
            try:
                await self.take(line, message.data)
            except InputError as error:
                fault = AgentFault(f"the bot sent {error.message}", where=self.address, hint=error.hint)
                line.close(error.message, fault)
                return
            except Fault as fault:
                line.close(fault.message, fault)
                return
            except Exception as error:  # noqa: BLE001 - silence would be held against the agent
                fault = HarnessFault(f"reading what the bot sent raised {type(error).__name__}: {error}")
                line.close(fault.message, fault)
                return
        code = socket.close_code
        if code in NORMAL:
            line.close("the agent hung up")
        else:
            reason = f"the bot's connection broke off (code {code})"
            line.close(reason, AgentFault(reason, where=self.address, hint="its own log tells why"))
