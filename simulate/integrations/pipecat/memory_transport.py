"""A Pipecat transport within one process: the bot's end of a `simulate.conversation.voice.audio_bridge.Line`.

To the bot it is a transport like any other: input starts, a client connects, sound comes in at the bot's
rate, and what it writes is played at the speed of sound, so that an interruption takes back what was not
heard yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    CancelFrame,
    ClientConnectedFrame,
    EndFrame,
    EndWorkerFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.pcm import RATE, Samples
from simulate.conversation.voice.resampling import Resampler
from simulate.errors import AgentFault

CONNECTED = ("on_client_connected", "on_first_participant_joined", "on_participant_connected")
"""What transports call a caller who is there; bots are written for one of them."""
DISCONNECTED = ("on_client_disconnected", "on_participant_left", "on_participant_disconnected")
OTHERS = (
    "on_session_timeout",
    "on_websocket_ready",
    "on_joined",
    "on_left",
    "on_connected",
    "on_disconnected",
)
SILENT_FRAMES, AT_ONCE = 50, 5
"""After that many silent frames of the caller, silence comes that many frames at once, as codecs send less of
it (discontinuous transmission). Speech is never held back; a bot's share of a call's work becomes half."""


class MemoryInput(BaseInputTransport):
    """The caller's voice comes in here."""

    def __init__(self, transport: MemoryTransport, params: TransportParams, **kwargs: Any) -> None:
        super().__init__(params, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        self._memory = transport
        self._resample: Resampler | None = None
        self._open = False
        self._silent = 0
        self._held: list[Samples] = []

    async def start(self, frame: StartFrame) -> None:
        """The pipeline runs: from now on there is a caller."""
        await super().start(frame)
        if self._open:
            return
        self._resample = Resampler(RATE, self.sample_rate)
        await self.set_transport_ready(frame)
        self._open = True
        await self._memory.connected()
        await self.push_frame(ClientConnectedFrame())

    async def hear(self, samples: Samples) -> None:
        """20 ms of the caller."""
        if not self._open or self._resample is None:
            return
        self._held.append(samples)
        self._silent = 0 if samples.any() else self._silent + 1
        if self._silent > SILENT_FRAMES and len(self._held) < AT_ONCE:
            return
        sound = self._resample(samples if len(self._held) == 1 else np.concatenate(self._held))
        self._held.clear()
        if len(sound):
            await self.push_audio_frame(InputAudioRawFrame(sound.tobytes(), self.sample_rate, 1))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Errors of the bot's services come up to here on their way out of its pipeline."""
        if isinstance(frame, ErrorFrame):
            self._memory.failed(frame)
        await super().process_frame(frame, direction)

    async def pressed(self, key: str) -> None:
        """One key of the caller's telephone."""
        await self.push_frame(InputDTMFFrame(button=KeypadEntry(key)))

    async def end(self) -> None:
        """Ask the pipeline to end as if the bot had wanted it."""
        await self.push_frame(EndWorkerFrame(reason="the caller hung up"))


class MemoryOutput(BaseOutputTransport):
    """The bot's voice goes out here."""

    def __init__(self, transport: MemoryTransport, params: TransportParams, **kwargs: Any) -> None:
        super().__init__(params, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        self._memory = transport
        self._resample: Resampler | None = None

    async def start(self, frame: StartFrame) -> None:
        """The pipeline runs."""
        await super().start(frame)
        if self._resample is None:
            self._resample = Resampler(self.sample_rate, RATE)
            await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """The bot ends the call, once its last words are out."""
        await super().stop(frame)
        self._memory.ended("the agent hung up")

    async def cancel(self, frame: CancelFrame) -> None:
        """The bot ends the call at once."""
        await super().cancel(frame)
        self._memory.ended("the agent's pipeline was cancelled")

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """An interruption takes back what the caller has not heard."""
        if isinstance(frame, InterruptionFrame):
            self._memory.line.flush()
            if self._resample is not None:  # nor the few milliseconds on their way
                self._resample = Resampler(self.sample_rate, RATE)
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Returns when the caller is about to have heard it."""
        if self._resample is None or self._memory.line.closed is not None:
            return False
        samples = np.frombuffer(frame.audio, np.int16)
        if frame.num_channels > 1:
            samples = samples.reshape(-1, frame.num_channels).mean(axis=1).astype(np.int16)
        line = self._memory.line
        await line.accept(self._resample(samples, line.now))
        return True


# private names of Pipecat are used: tests/test_private_names.py lists them, with the version tried
class MemoryTransport(BaseTransport):
    """Both directions, and the events that bots wait for."""

    def __init__(self, line: AudioBridge, params: TransportParams | None = None) -> None:
        super().__init__()
        self.line = line
        self._params = _adopted(params)
        self._input: MemoryInput | None = None
        self._output: MemoryOutput | None = None
        self._hung_up = False
        self._broken: AgentFault | None = None
        """A part of its pipeline that can no longer do its work."""
        for event in (*CONNECTED, *DISCONNECTED, *OTHERS):
            self._register_event_handler(event)

    def adopt(self, params: TransportParams) -> None:
        """Take over what the bot asks of its transport; only before ``input`` and ``output``."""
        self._params = _adopted(params)

    def input(self) -> MemoryInput:
        """Where the bot's pipeline begins."""
        if self._input is None:
            self._input = MemoryInput(self, self._params, name=self._input_name)
        return self._input

    def output(self) -> MemoryOutput:
        """Where it ends."""
        if self._output is None:
            self._output = MemoryOutput(self, self._params, name=self._output_name)
        return self._output

    async def connected(self) -> None:
        """The caller is there."""
        for event in CONNECTED:
            await self._call_event_handler(event, self)  # pyright: ignore[reportUnknownMemberType]

    async def hung_up(self) -> None:
        """The caller is gone."""
        self._hung_up = True
        for event in DISCONNECTED:
            await self._call_event_handler(event, self)  # pyright: ignore[reportUnknownMemberType]

    def failed(self, error: ErrorFrame) -> None:
        """A part of the bot's pipeline raised, or says that it cannot go on."""
        part = "" if error.processor is None else f"{error.processor}: "
        text = error.error if error.error.startswith(part) else f"{part}{error.error}"
        self.line.errors.append(f"at {self.line.now:.1f} s: {text}")
        self._broken = AgentFault(f"the bot's pipeline ended with an error: {text}")
        if error.fatal:
            self.line.close(text, self._broken)
        elif error.processor is None or error.processor.is_usable:
            self._broken = None  # it goes on

    def ended(self, reason: str) -> None:
        """The bot's pipeline is over."""
        if not self._hung_up:
            self.line.close(reason, self._broken)


def _adopted(params: TransportParams | None) -> TransportParams:
    """What the bot asks for, as far as it is about sound."""
    asked = {} if params is None else {name: getattr(params, name) for name in params.model_fields_set}
    known = {name: value for name, value in asked.items() if name in TransportParams.model_fields}
    # the two seconds of silence that transports send at the end would only make a goodbye longer
    fixed = {"audio_in_enabled": True, "audio_out_enabled": True, "audio_out_end_silence_secs": 0}
    return TransportParams.model_validate({**known, **fixed})
