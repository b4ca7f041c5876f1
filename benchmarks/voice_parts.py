"""What the voice benchmarks hold the harness against: sentences, wires and speech that cost nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.pcm import FRAME, RATE, Pcm, Samples, level_db

SENTENCES = [
    "Hello, my order number is seven two nine one, and it never came.",
    "The tracking code is four four one seven eight.",
    "I would like a refund for order nine zero three six two.",
    "Could you check the status of order six eight one five, please?",
    "My customer number is three one four one five nine.",
    "The reference on the letter is eight zero two seven.",
    "It is order five five zero one, the blue one.",
    "Please cancel order two six four eight right away.",
    "My postal code is one zero one one five.",
    "The card ends in nine four three two.",
    "Order one seven three nine arrived damaged this morning.",
    "I was charged twice for order eight three two zero.",
    "The invoice number is six six four one two.",
    "Please send it to room two zero four, not to the front desk.",
    "My booking is number seven seven one three.",
    "The gift card number begins with four zero one two.",
    "I called yesterday about ticket five nine eight six.",
    "Order three eight four seven should have come on Tuesday.",
    "The last four digits are one nine zero five.",
    "How long do I have to send it back if I do not like it?",
]
_IDS = [
    *("7291", "44178", "90362", "6815", "314159", "8027", "5501", "2648", "10115", "9432", "1739", "8320"),
    *("66412", "204", "7713", "4012", "5986", "3847", "1905"),
]
ID_SENTENCES = dict(enumerate(_IDS))
"""By the number of a sentence: the id in it."""


class Echoing:
    """A wire that sends back what it gets."""

    line: AudioBridge

    async def send(self, frame: Samples) -> None:
        self.line.incoming(frame)

    async def press(self, keys: str) -> bool:
        return False


class Recorded:
    """An agent that is a recording: after each turn of the caller, the next of its lines."""

    def __init__(self, lines: list[Pcm]) -> None:
        self._lines = list(lines)
        self._quiet = 0
        self._asked = False
        self._line: AudioBridge | None = None

    async def open(self, line: AudioBridge) -> None:
        self._line = line

    async def send(self, frame: Samples) -> None:
        if level_db(frame) > -45:
            self._quiet, self._asked = 0, True
            return
        self._quiet += 1
        if self._asked and self._quiet == 35 and self._lines and self._line is not None:
            self._asked = False
            self._line.incoming(self._lines.pop(0).at(RATE).samples)

    async def press(self, keys: str) -> bool:
        return False

    async def hang_up(self) -> None: ...


class Humming:
    """A mouth without a model: a hum as long as the text."""

    name = "humming"

    @staticmethod
    def sound(seconds: float) -> Pcm:
        moments = np.arange(int(seconds * RATE)) / RATE
        hum = 8000 * np.sin(2 * np.pi * 220 * moments) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * moments))
        return Pcm(hum.astype(np.int16))

    def check(self, voice: str | None) -> None: ...

    async def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Pcm:
        return self.sound(0.06 * len(text))


class Unhearing:
    """An ear without a model."""

    name = "unhearing"

    async def transcribe(self, pcm: Pcm) -> str:
        return f"{pcm.seconds:.2f} seconds of sound" if pcm.seconds > 0.1 else ""


def idle_bot(lines: list[Pcm]) -> Any:
    """A Pipecat bot whose one processor answers each turn of the caller with the next line."""
    from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
    from pipecat.workers.runner import WorkerRunner

    class Answering(FrameProcessor):
        def __init__(self) -> None:
            super().__init__()
            self._quiet, self._asked, self._left = 0.0, False, list(lines)

        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if not isinstance(frame, InputAudioRawFrame):
                await self.push_frame(frame, direction)
                return
            sound = np.frombuffer(frame.audio, np.int16)
            if level_db(sound) > -45:
                self._quiet, self._asked = 0.0, True
                return
            self._quiet += len(sound) / FRAME * 0.02
            if self._asked and self._quiet >= 0.7 and self._left:
                self._asked = False
                answer = self._left.pop(0).at(RATE).samples
                await self.push_frame(OutputAudioRawFrame(answer.tobytes(), RATE, 1))

    async def bot(transport: Any) -> None:
        params = PipelineParams(audio_out_sample_rate=RATE)
        parts = [transport.input(), Answering(), transport.output()]
        worker = PipelineWorker(Pipeline(parts), params=params, enable_rtvi=False, idle_timeout_secs=None)

        @transport.event_handler("on_client_disconnected")
        async def gone(*_: Any) -> None:
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await asyncio.ensure_future(runner.run())

    return bot
