"""Voices of programs that Debian and others package: flite and espeak-ng.

They are robotic, which some turn detectors do not take for finished sentences; use them as a second voice.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from simulate.conversation.voice.pcm import Pcm, read_wav, trimmed
from simulate.conversation.voice.speech import ENGLISH
from simulate.errors import InputError, SimulatorFault

PROGRAMS = {"flite": "flite", "espeak": "espeak-ng"}
VOICES = {"flite": "rms", "espeak": "en-us"}
"""Each program's voice where none is named."""
WORDS_A_MINUTE = 175
"""What espeak-ng calls its own speed."""


class Program:
    """Speaks through a program on PATH."""

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
        if self._path is None:
            raise InputError(
                f"the voice {name} needs the program {PROGRAMS[name]}, which is not on PATH",
                hint=f"apt install {PROGRAMS[name]}, or choose another voice",
            )

    def in_language(self, code: str) -> Program:
        """The program with a voice of this language."""
        return Program(self._program, code)

    def check(self, voice: str | None) -> None:
        """The program itself tells of voices that it does not have."""

    async def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Pcm:
        """The text, spoken and trimmed."""
        chosen = voice or self._voice
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "line.wav"
            command = self._command(text, chosen, speed, file)
            process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
            )
            _, said = await process.communicate()
            if process.returncode != 0 or not file.is_file():
                reason = said.decode(errors="replace").strip()[:300]
                raise SimulatorFault(f"{self.name} could not speak with the voice {chosen}: {reason}")
            return trimmed(read_wav(file))

    def _command(self, text: str, voice: str, speed: float, file: Path) -> list[str]:
        if self._program == "flite":
            stretch = f"duration_stretch={1 / speed:g}"
            return [str(self._path), "-voice", voice, "--setf", stretch, "-t", text, "-o", str(file)]
        rate = str(round(WORDS_A_MINUTE * speed))
        return [str(self._path), "-v", voice, "-s", rate, "-w", str(file), "--", text]
