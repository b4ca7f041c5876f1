"""Any speech service of Pipecat for the caller, by import path: ``package.module:Service``.

The service is made without arguments, so its keys come from where it looks for them itself; for anything else
name a function of one's own that returns it. Each line or stretch of speech runs through a small pipeline of
the service alone, as it would in a bot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transcriptions.language import Language
from pipecat.workers.runner import WorkerRunner

from simulate.conversation.voice.pcm import FRAME, RATE, Pcm, Samples, trimmed
from simulate.errors import AddressError, SimulatorFault
from simulate.load_object import load_object

SECONDS = 30.0
"""How long one line may take."""
SETTLE = 1.0
"""Seconds without another frame after which a service has said or understood all."""


class _Service:
    def __init__(self, path: str, where: str, language: str | None = None) -> None:
        self._path, self._language = path, language
        found: Any = load_object(path, where)
        if not callable(found):
            raise AddressError(f"{path} is a {type(found).__name__}, which makes no service", where=where)
        self.name = path if language is None else f"{path}/{language}"
        self._make: Callable[[], Any] = found

    def service(self) -> Any:
        """A new one, as each pipeline needs."""
        try:
            made = self._make()
            if self._language is not None and hasattr(made, "_settings"):
                made._settings.language = Language(self._language)
            return made
        except Exception as error:
            raise SimulatorFault(f"{self.name} could not be made: {type(error).__name__}: {error}") from error


class PipecatTTS(_Service):
    """Text to speech."""

    def __init__(self, path: str, language: str | None = None) -> None:
        super().__init__(path, "[tool.simulate.speech] tts", language)

    def in_language(self, code: str) -> PipecatTTS:
        """The service with this language in its settings."""
        return PipecatTTS(self._path, code)

    def check(self, voice: str | None) -> None:
        """The service knows its voices; we do not."""

    async def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Pcm:
        """The text, spoken and trimmed, in the service's own voice unless its settings know another."""
        service = self.service()
        if voice is not None and hasattr(service, "_settings"):
            service._settings.voice = voice  # pyright: ignore[reportPrivateUsage] - no public way at run time
        frames = await _through(service, [TTSSpeakFrame(text)], (TTSStoppedFrame,), self.name)
        spoken = [frame for frame in frames if isinstance(frame, TTSAudioRawFrame)]
        if not spoken:
            raise SimulatorFault(f"{self.name} gave no sound for a line", where=f"“{text}”")
        sound = np.frombuffer(b"".join(frame.audio for frame in spoken), np.int16)
        return trimmed(Pcm(sound, spoken[0].sample_rate))


class PipecatSTT(_Service):
    """Speech to text."""

    def __init__(self, path: str, language: str | None = None) -> None:
        super().__init__(path, "[tool.simulate.speech] stt", language)

    def in_language(self, code: str) -> PipecatSTT:
        """The service with this language in its settings."""
        return PipecatSTT(self._path, code)

    async def transcribe(self, pcm: Pcm) -> str:
        """What is said: the final transcriptions, in their order."""
        if pcm.seconds < 0.1:
            return ""
        sound: Samples = pcm.at(RATE).samples
        pieces = [sound[at : at + FRAME] for at in range(0, len(sound), FRAME)]
        audio = [InputAudioRawFrame(piece.tobytes(), RATE, 1) for piece in pieces]
        told = [VADUserStartedSpeakingFrame(), *audio, VADUserStoppedSpeakingFrame()]
        frames = await _through(self.service(), told, (TranscriptionFrame,), self.name)
        return " ".join(frame.text.strip() for frame in frames if isinstance(frame, TranscriptionFrame))


async def _through(service: Any, told: list[Any], last: tuple[type[Any], ...], name: str) -> list[Any]:
    """Send frames through the service; what comes out, until a moment after a frame of ``last``."""
    came: list[Any] = []
    told_of = asyncio.Event()

    class Collector(FrameProcessor):
        """Keeps all that leaves the service."""

        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            came.append(frame)
            if isinstance(frame, last):
                told_of.set()
            await self.push_frame(frame, direction)

    params = PipelineParams(audio_in_sample_rate=RATE)
    worker = PipelineWorker(Pipeline([service, Collector()]), params=params, enable_rtvi=False)
    failed: list[str] = []

    @worker.event_handler("on_pipeline_error")
    async def broken(_: Any, error: ErrorFrame) -> None:
        failed.append(str(error.error))
        told_of.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.ensure_future(runner.run())
    try:
        await worker.queue_frames(told)
        if not await _settled(told_of, came) and not came:
            # frames without a word among them are silence, which is an answer
            failed.append(f"it gave no answer within {SECONDS:g} s")
        await worker.queue_frame(EndFrame())
        await asyncio.wait({running}, timeout=5)
    finally:
        if not running.done():
            running.cancel()
    if failed:
        raise SimulatorFault(f"{name} failed: {failed[0]}")
    return came


async def _settled(begun: asyncio.Event, came: list[Any]) -> bool:
    """Whether frames began to come in time, and then came no more."""
    try:
        async with asyncio.timeout(SECONDS):
            await begun.wait()
            seen = -1
            while seen != len(came):
                seen = len(came)
                await asyncio.sleep(SETTLE / 5)
    except TimeoutError:
        return False
    return True
