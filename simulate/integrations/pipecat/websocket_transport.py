"""A call to a Pipecat bot in another process: its WebSocket transport with the protobuf serializer.

Our end speaks the wire itself, so that nothing of Pipecat's client transport comes between the line's beat
and the bot: raw samples without a WAV header, silence whenever the caller is silent (a bot's turn detection
waits for sound that is quiet, not for none), and an interruption from the bot empties what was not heard yet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import aiohttp
import numpy as np
import pipecat.frames.protobufs.frames_pb2 as protocol

from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.pcm import RATE, Samples, check_rate
from simulate.conversation.voice.resampling import Resampler
from simulate.errors import AgentFault, InputError, NotReached

CONNECT_SECONDS = 10.0
"""How long a bot may be away: some take one call, end, and listen again."""
AGAIN = 0.25
CLOSE_SECONDS = 3.0
NORMAL = (1000, 1001, 1005)
"""Codes of a connection that was ended on purpose (RFC 6455, 7.4.1)."""

_CLOSING: Any = aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS)  # pyright: ignore[reportCallIssue] - an attrs class
_Frame: Any = vars(protocol)["Frame"]  # generated at import, so that no type checker sees it


class SocketWire:
    """Carries one call."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        self.address = address
        self._headers = dict(headers)
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._listening: asyncio.Task[None] | None = None
        self._resamplers: dict[int, Resampler] = {}

    async def open(self, line: AudioBridge) -> None:
        """Connect; a bot that is between two calls is waited for."""
        self._http = aiohttp.ClientSession(headers=self._headers, trust_env=False)
        end = asyncio.get_running_loop().time() + CONNECT_SECONDS
        while True:
            try:
                self._socket = await self._http.ws_connect(
                    self.address, autoping=True, max_msg_size=0, timeout=_CLOSING
                )
                break
            except aiohttp.WSServerHandshakeError as error:
                raise AgentFault(
                    f"{self.address} answers HTTP {error.status} instead of taking a WebSocket",
                    where="connecting",
                ) from error
            except (aiohttp.ClientError, OSError) as error:
                if asyncio.get_running_loop().time() >= end:
                    raise NotReached(
                        f"nothing takes calls at {self.address}: {error}",
                        where="connecting",
                        hint="start the bot, or let [tool.simulate.agents] start it with `command`",
                    ) from error
            await asyncio.sleep(AGAIN)
        self._listening = asyncio.create_task(self._listen(line, self._socket))

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller."""
        if self._socket is None or self._socket.closed:
            return
        message = _Frame()
        message.audio.audio = frame.tobytes()
        message.audio.sample_rate = RATE
        message.audio.num_channels = 1
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):  # the listener tells of it
            await self._socket.send_bytes(message.SerializeToString())

    async def press(self, keys: str) -> bool:
        """Pipecat's protobuf frames know no keys: their tones are sent."""
        return False

    async def hang_up(self) -> None:
        """Close the connection, as a phone does."""
        if self._socket is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._socket.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
        if self._http is not None:
            await self._http.close()

    async def _listen(self, line: AudioBridge, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                try:
                    self._take(line, message.data)
                except InputError as error:
                    line.close(error.message, AgentFault(f"the bot sent {error.message}", hint=error.hint))
                    return
            elif message.type is aiohttp.WSMsgType.TEXT:
                line.close(
                    "the bot sent text",
                    AgentFault(
                        "the bot sent a text message instead of Pipecat's protobuf frames",
                        where=self.address,
                        hint="give its transport serializer=ProtobufFrameSerializer()",
                    ),
                )
                return
        code = socket.close_code
        if code in NORMAL:
            line.close("the agent hung up")
        else:
            reason = f"the bot's connection broke off (code {code})"
            line.close(reason, AgentFault(reason, where=self.address, hint="its own log tells why"))

    def _take(self, line: AudioBridge, data: bytes) -> None:
        try:
            message = _Frame.FromString(data)
        except Exception as error:
            raise InputError(
                "bytes that are not a frame of Pipecat's protobuf serializer",
                hint="ProtobufFrameSerializer()",
            ) from error
        match message.WhichOneof("frame"):
            case "interruption":
                line.flush()
                self._resamplers.clear()
            case "audio":
                audio = message.audio
                rate, channels = int(audio.sample_rate), int(audio.num_channels)
                check_rate(rate, "the bot")
                if channels not in (1, 2):
                    raise InputError(f"{channels} channels", hint="1 or 2 are possible")
                # a server that was told to add a WAV header to each piece
                sound: bytes = audio.audio[44:] if audio.audio[:4] == b"RIFF" else audio.audio
                samples = np.frombuffer(sound[: len(sound) // 2 * 2], "<i2").astype(np.int16)
                if channels == 2:
                    samples = samples.reshape(-1, 2).mean(axis=1).astype(np.int16)
                resample = self._resamplers.setdefault(rate, Resampler(rate, RATE))
                line.incoming(resample(samples, line.now))
            case _:
                pass  # texts and messages for a client with a screen
