"""Real speech without a download: Hibari speaks and Moonshine listens, both from their PyPI packages.

Both are used in the one way in which they give the same answer every time: Hibari with one thread and a
fixed seed, Moonshine without its own voice detection, whose state otherwise goes on from call to call.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import numpy as np

from simulate.conversation.voice.pcm import RATE, Pcm, from_floats, joined, trimmed
from simulate.conversation.voice.speech import Worker, needed
from simulate.errors import InputError, SimulatorFault

SHORTEST = 0.1
"""Seconds of sound below which there is no word in it."""
BETWEEN = 0.35
"""Seconds between two sentences of one line. Hibari pads each sentence, and the 0.8 s that this makes
would be the end of the turn to most agents."""
DOWNLOADS = "SIMULATE_DOWNLOAD_VOICES"
"""Set in the environment, it lets Hibari download the voices that its package does not hold."""
NO_WHEEL = (
    "its wheel exists for Linux (x86_64, aarch64), Windows and macOS on Apple silicon; elsewhere set "
    '`stt = "openai"` or a Pipecat service under [tool.simulate.speech]'
)


class Hibari:
    """Text to speech; its voices beside ``heart`` are downloaded by its package, where that is allowed."""

    name = "hibari"

    def __init__(self) -> None:
        needed("hibari", "hibari-tts (speech synthesis)")
        self._worker = Worker("hibari")
        self._voices: dict[str, Any] = {}

    def check(self, voice: str | None) -> None:
        """Refuse a voice that Hibari does not have."""
        package = needed("hibari.voices", "hibari-tts (speech synthesis)")
        voices: dict[str, Any] = package.VOICES
        if voice is not None and voice not in voices:
            raise InputError(
                f"Hibari has no voice {voice!r}",
                where="persona, voice.name",
                hint=f"it has {', '.join(voices)}; also flite:rms or espeak:en-gb where these are installed",
            )

        if voice is not None and not os.environ.get(DOWNLOADS):
            try:
                package.voice_path(voice, download_missing=False)
            except FileNotFoundError as error:
                raise InputError(
                    f"Hibari's voice {voice!r} is not on this machine, and nothing is downloaded unasked",
                    where="persona, voice.name",
                    hint=f"set {DOWNLOADS}=1 to let Hibari download it once; heart is in its package",
                ) from error

    async def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Pcm:
        """The text, spoken and trimmed, at 24 kHz."""
        return await self._worker.run(self._say, text, voice or "heart", speed)

    def _say(self, text: str, voice: str, speed: float) -> Pcm:
        try:
            if voice not in self._voices:
                self._voices[voice] = needed("hibari", "hibari-tts").Hibari(voice=voice, threads=1)
            model = self._voices[voice]
            rate = int(model.sample_rate)
            sentences = [trimmed(from_floats(np.asarray(one), rate)) for one in model.stream(text, speed, 0)]
        except Exception as error:
            raise SimulatorFault(
                f"the caller's line could not be spoken: {error}", where=f"“{text}”"
            ) from error
        return joined(sentences, BETWEEN / speed, rate)


class Moonshine:
    """Speech to text."""

    name = "moonshine"

    def __init__(self) -> None:
        needed("moonshine_voice", f"moonshine-voice (speech recognition: {NO_WHEEL})")
        self._worker = Worker("moonshine")

    @property
    def waiting(self) -> int:
        """Jobs under way or in the queue."""
        return self._worker.waiting

    async def transcribe(self, pcm: Pcm) -> str:
        """What is said."""
        return await self._worker.run(self._transcribe, pcm)

    def _transcribe(self, pcm: Pcm) -> str:
        if pcm.seconds < SHORTEST:
            return ""
        # without a little silence around them it doubles or drops the outermost words
        around = (np.zeros(RATE // 10, np.int16), pcm.at(RATE).samples, np.zeros(3 * RATE // 10, np.int16))
        heard = np.concatenate(around).astype(np.float32) / 32768.0
        try:
            result = self._model.transcribe_without_streaming(heard, RATE)
        except Exception as error:
            raise SimulatorFault(f"what the agent said could not be recognised: {error}") from error
        return " ".join(line.text.strip() for line in result.lines if line.text.strip())

    @cached_property
    def _model(self) -> Any:
        package = needed("moonshine_voice", "moonshine-voice (speech recognition)")
        transcriber = needed("moonshine_voice.transcriber", "moonshine-voice").Transcriber
        path = package.get_model_path("tiny-en")
        return transcriber(str(path), package.ModelArch.TINY, options={"vad_threshold": "0.0"})
