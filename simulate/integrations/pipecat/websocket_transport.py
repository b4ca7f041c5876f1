"""A call to a Pipecat bot in another process: its WebSocket transport with the protobuf serializer.

Our end speaks the wire itself, so that nothing of Pipecat's client transport comes between the line's beat
and the bot: raw samples without a WAV header, silence whenever the caller is silent (a bot's turn detection
waits for sound that is quiet, not for none), and an interruption from the bot empties what was not heard yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pipecat.frames.protobufs.frames_pb2 as protocol

from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.pcm import RATE, Samples, check_rate
from simulate.conversation.voice.resampling import Resampler
from simulate.conversation.voice.socket_wire import SocketWire
from simulate.errors import InputError

_Frame: Any = vars(protocol)["Frame"]  # generated at import, so that no type checker sees it


class ProtobufWire(SocketWire):
    """Carries one call. Pipecat's protobuf frames know no keys: their tones are sent."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        super().__init__(address, headers)
        self._resamplers: dict[int, Resampler] = {}

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller."""
        message = _Frame()
        message.audio.audio = frame.tobytes()
        message.audio.sample_rate = RATE
        message.audio.num_channels = 1
        await self.put(message.SerializeToString())

    async def take(self, line: AudioBridge, message: str | bytes) -> None:
        """A frame of the bot: sound, or that it takes back what was not heard."""
        if isinstance(message, str):
            raise InputError(
                "a text message instead of Pipecat's protobuf frames",
                hint="give its transport serializer=ProtobufFrameSerializer()",
            )
        try:
            frame = _Frame.FromString(message)
        except Exception as error:
            raise InputError(
                "bytes that are not a frame of Pipecat's protobuf serializer",
                hint="ProtobufFrameSerializer()",
            ) from error
        match frame.WhichOneof("frame"):
            case "interruption":
                line.flush()
                self._resamplers.clear()
            case "audio":
                audio = frame.audio
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
