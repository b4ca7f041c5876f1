"""How many calls this machine can hold: what is assumed, and what a caller costs here, measured."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass

import numpy as np

from simulate.conversation.voice.pcm import FRAME, RATE, Samples
from simulate.conversation.voice.speech_services import find_stt, find_tts
from simulate.conversation.voice.vad import Detector, Silero

SENTENCE = "Hello, my order number is seven two nine one, and it never came."
SHARE = 0.5
"""Share of all processors that callers may take before their frames come late (`benchmarks.livekit load`)."""
SPEAKS = 0.5
"""Share of a call in which each side is taken to speak; the more, the dearer."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """``caller`` is processor time a second of call, in seconds, with speech spoken and recognised."""

    caller: float
    processors: int

    @property
    def elsewhere(self) -> int:
        """Calls at once to agents on other machines."""
        return max(1, int(SHARE * self.processors / self.caller))


async def measure() -> Capacity:
    """Speak a sentence, hear it, and follow it frame by frame; takes some seconds for loading the models."""
    voice, hears = find_tts(None), find_stt(None)
    sound = (await voice.say(SENTENCE)).at(RATE)
    await hears.transcribe(sound)
    began = time.process_time()
    await hears.transcribe(sound)
    hearing = (time.process_time() - began) / sound.seconds
    following = await asyncio.to_thread(_following, sound.samples)
    return Capacity(following + SPEAKS * hearing, os.cpu_count() or 1)


def _following(samples: Samples) -> float:
    detector = Detector(Silero())
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    detector.push(np.zeros(FRAME, np.int16), 0.0)
    began = time.process_time()
    for number, frame in enumerate(frames):
        detector.push(frame, number * FRAME / RATE)
    return (time.process_time() - began) / (len(samples) / RATE)
