"""A call as Twilio brings it to an agent: Media Streams, JSON over a WebSocket, µ-law at 8 kHz.

The messages are those of https://www.twilio.com/docs/voice/media-streams/websocket-messages: we are Twilio,
with ``connected``, ``start``, ``media``, ``dtmf``, ``mark`` and ``stop``; the agent sends ``media``, ``mark``
and ``clear``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson

from simulate.conversation.voice import g711
from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.pcm import RATE, Samples
from simulate.conversation.voice.resampling import Resampler
from simulate.conversation.voice.socket_wire import SocketWire
from simulate.errors import InputError
from simulate.integrations.sockets.messages import as_base64, parsed, sound_of
from simulate.model.shapes import object_of

ENCODING = {"encoding": "audio/x-mulaw", "sampleRate": g711.RATE, "channels": 1}


class TwilioWire(SocketWire):
    """Carries one call.

    Args:
        url: Of the agent's WebSocket.
        headers: Of the connection; ``traceparent`` and ``baggage`` also go into the custom parameters, where
            an agent behind Twilio would look for what is special about a call.
        call: 32 hex digits, of which the call's and the stream's ids are made.
        parameters: Further custom parameters, as of TwiML's ``<Parameter>``.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], call: str, parameters: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(url, headers)
        self._account, self._call, self._stream = f"AC{call}", f"CA{call}", f"MZ{call}"
        told = {name: value for name, value in headers.items() if name in ("traceparent", "baggage")}
        self._parameters = {**told, **{name: str(value) for name, value in (parameters or {}).items()}}
        self._line: AudioBridge | None = None
        self._down, self._up = Resampler(RATE, g711.RATE), Resampler(g711.RATE, RATE)
        self._messages = self._chunks = 0
        self._came = 0
        """Samples of the agent so far."""
        self._marks: deque[tuple[int, Any]] = deque()
        """Marks that wait until so many samples were heard."""

    async def begin(self, line: AudioBridge) -> None:
        """A call comes in."""
        self._line = line
        await self.put(orjson.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}).decode())
        start = {
            "accountSid": self._account,
            "streamSid": self._stream,
            "callSid": self._call,
            "tracks": ["inbound"],
            "mediaFormat": ENCODING,
            "customParameters": self._parameters,
        }
        await self._tell("start", start=start)

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller, and the marks up to which the caller has heard the agent."""
        self._chunks += 1
        media = {
            "track": "inbound",
            "chunk": str(self._chunks),
            "timestamp": str(20 * (self._chunks - 1)),
            "payload": as_base64(g711.to_mu_law(self._down(frame))),
        }
        await self._tell("media", media=media)
        line = self._line
        heard = self._came - (0 if line is None else round(line.waiting * RATE))
        while self._marks and self._marks[0][0] <= heard:
            await self._tell("mark", mark={"name": self._marks.popleft()[1]})

    async def press(self, keys: str) -> bool:
        """A message for each key."""
        for key in keys:
            await self._tell("dtmf", dtmf={"track": "inbound_track", "digit": key})
        return True

    async def end(self) -> None:
        """The caller hangs up."""
        await self._tell("stop", stop={"accountSid": self._account, "callSid": self._call})

    async def take(self, line: AudioBridge, message: str | bytes) -> None:
        """Sound, a mark in it, or that what was not heard is taken back."""
        if isinstance(message, bytes):
            raise InputError(
                "bytes instead of Twilio's JSON messages",
                hint="give its transport serializer=TwilioFrameSerializer(…), or call it at ws:…",
            )
        told = parsed(message)
        stream = told.get("streamSid")
        if stream != self._stream:
            raise InputError(
                f"a message for the stream {stream!r}, where this call's is {self._stream!r}",
                hint="take `streamSid` from the message `start`",
            )
        match told.get("event"):
            case "media":
                payload = object_of(told.get("media")).get("payload")
                samples = self._up(g711.from_mu_law(sound_of(payload, "`media`")), line.now)
                self._came += len(samples)
                line.incoming(samples)
            case "clear":
                line.flush()
            case "mark":
                self._marks.append((self._came, object_of(told.get("mark")).get("name")))
            case event:
                raise InputError(
                    f"an event {event!r}, which Twilio does not know", hint="media, mark or clear"
                )

    async def _tell(self, event: str, **content: Any) -> None:
        self._messages += 1
        told = {"event": event, "sequenceNumber": str(self._messages), "streamSid": self._stream, **content}
        await self.put(orjson.dumps(told).decode())
