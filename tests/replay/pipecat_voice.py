"""Pipecat's own service for Cartesia in a pipeline of its own. It warns when imported: do so in a test."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from pipecat.frames.frames import EndFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame, TTSStoppedFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.workers.runner import WorkerRunner

from simulate.integrations.pipecat import recording


class Heard(FrameProcessor):
    """What comes out of the voice."""

    def __init__(self) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self.sound = b""
        self.over = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.sound += frame.audio
        if isinstance(frame, TTSStoppedFrame):
            self.over.set()
        await self.push_frame(frame, direction)


async def say(text: str, base: str) -> bytes:
    """What Pipecat's own service for Cartesia gives for a sentence."""
    recording.know_services()
    settings = CartesiaTTSService.Settings(voice="v")
    voice = CartesiaTTSService(api_key="-", url=f"{base}/tts/websocket", settings=settings)
    heard = Heard()
    worker = PipelineWorker(Pipeline([voice, heard]), enable_rtvi=False)

    async def lead() -> None:
        await worker.queue_frames([TTSSpeakFrame(text)])
        with suppress(TimeoutError):  # where the service refuses the sentence
            await asyncio.wait_for(heard.over.wait(), 2)
        await worker.queue_frames([EndFrame()])

    leading = asyncio.create_task(lead())
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    await leading
    return heard.sound
