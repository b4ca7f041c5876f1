"""Voices of flite and espeak-ng: programs that Debian and others package, and for espeak-ng also a library.

They are robotic, which some turn detectors do not take for finished sentences; use them as a second voice.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import numpy as np

from simulate.conversation.voice.espeak_library import RATE, command, has_library, has_voice
from simulate.conversation.voice.pcm import Pcm, read_wav, trimmed
from simulate.conversation.voice.speech import ENGLISH
from simulate.errors import InputError, SimulatorFault
from simulate.model.persona import Gender

PROGRAMS = {"flite": "flite", "espeak": "espeak-ng"}
VOICES = {"flite": "rms", "espeak": "en-us"}
"""Each program's voice where none is named."""
WORDS_A_MINUTE = 175
"""What espeak-ng calls its own speed."""
ACCENTS = {
    "american": "en-us", "british": "en-gb", "english": "en-gb", "scottish": "en-gb-scotland",
    "northern": "en-gb-x-gbclan", "received": "en-gb-x-rp", "midlands": "en-gb-x-gbcwmd",
    "caribbean": "en-029", "mexican": "es-419", "latin": "es-419", "brazilian": "pt-br", "belgian": "fr-be",
    "swiss": "fr-ch",
}  # fmt: skip
"""espeak-ng's voice by a word of ``speaks.accent``."""
OLD = 60
"""Years from which a voice is an old one."""


class Program:
    """Speaks through a program on PATH, or espeak-ng's library."""

    def __init__(self, name: str, language: str = ENGLISH) -> None:
        if name == "flite" and language != ENGLISH:
            raise InputError(
                f"flite speaks English alone, and the persona speaks {language!r}",
                where="persona, speaks.language",
                hint='set tts = "espeak" under [tool.simulate.speech], or voice: {name: "espeak:…"}',
            )
        self.name = name if language == ENGLISH else f"{name}/{language}"
        self._program = name
        self._voice = VOICES[name] if language == ENGLISH else language
        self._path = shutil.which(PROGRAMS[name])
        if self._path is None and not (name == "espeak" and has_library()):
            library = "pip install 'simulate-agents[languages]', " if name == "espeak" else ""
            raise InputError(
                f"the voice {name} needs the program {PROGRAMS[name]}, which is not on PATH",
                hint=f"{library}apt install {PROGRAMS[name]}, or choose another voice",
            )
        if self._path is None:
            self._check_library(self._voice)

    def in_language(self, code: str) -> Program:
        """The program with a voice of this language."""
        return Program(self._program, code)

    def check(self, voice: str | None) -> None:
        """The program itself tells of voices that it does not have, as does the library at once."""
        if voice is not None and self._path is None:
            self._check_library(voice)

    def _check_library(self, voice: str) -> None:
        if not has_voice(voice):
            raise InputError(
                f"espeak-ng has no voice {voice!r}",
                where="persona, speaks.language or voice.name",
                hint="a voice is a language's code (es, de, en-gb); +f1 to +f5 and +m1 to +m8 vary it",
            )

    def voice_like(self, gender: Gender | None, age: int | None, accent: str | None) -> str | None:
        """The voice that is nearest to a person; None for the usual one."""
        if self._program == "flite":
            return {"female": "slt", "male": "rms", None: None}[gender]
        words = (accent or "").lower().split()
        voice = next((ACCENTS[word] for word in words if word in ACCENTS), self._voice)
        old = age is not None and age >= OLD
        child = age is not None and age < 13
        if gender is None and not (old or child):
            return None if voice == self._voice else voice
        female = gender == "female" or (gender is None and child)
        variant = ("f5" if child else "f4" if old else "f2") if female else ("m8" if old else "m3")
        return f"{voice}+{variant}"

    async def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Pcm:
        """The text, spoken and trimmed."""
        chosen = voice or self._voice
        if self._path is None:
            spoken = await self._run(command(chosen, round(WORDS_A_MINUTE * speed)), chosen, text.encode())
            return trimmed(Pcm(np.frombuffer(spoken, np.int16), RATE))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "line.wav"
            await self._run(self._command(text, chosen, speed, file), chosen)
            return trimmed(read_wav(file))

    async def _run(self, line: list[str], voice: str, given: bytes = b"") -> bytes:
        """What it writes. Raises SimulatorFault where it cannot speak."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*line, stdin=pipe, stdout=pipe, stderr=pipe)
        spoken, said = await process.communicate(given)
        if process.returncode != 0:
            reason = said.decode(errors="replace").strip()[:300]
            raise SimulatorFault(f"{self.name} could not speak with the voice {voice}: {reason}")
        return spoken

    def _command(self, text: str, voice: str, speed: float, file: Path) -> list[str]:
        if self._program == "flite":
            stretch = f"duration_stretch={1 / speed:g}"
            return [str(self._path), "-voice", voice, "--setf", stretch, "-t", text, "-o", str(file)]
        rate = str(round(WORDS_A_MINUTE * speed))
        return [str(self._path), "-v", voice, "-s", rate, "-w", str(file), "--", text]
