"""Lines that were spoken once are kept: by the hash of who said what, in the user's cache folder."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from simulate.conversation.voice.pcm import Pcm, read_wav
from simulate.conversation.voice.program_voices import PROGRAMS, Program
from simulate.conversation.voice.speech import TTS, in_language
from simulate.errors import EnvironmentFault, InputError
from simulate.model.persona import Gender
from simulate.model.whole_file import write_whole

VERSION = "2"
"""Raised when the same text would be made into another sound."""


def cache_folder() -> Path:
    """``SIMULATE_CACHE``, or the folder that this system keeps for caches of a user."""
    if given := os.environ.get("SIMULATE_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "simulate"


class CachedTTS:
    """Speech that says each line once; several callers who want the same one wait for it together."""

    def __init__(self, tts: TTS, folder: Path | None = None) -> None:
        self.tts = tts
        self.name = tts.name
        self.folder = folder or cache_folder() / "speech"
        self.spoken = 0
        """Lines that were not there yet."""
        self._memory: dict[str, Pcm] = {}

    def check(self, voice: str | None) -> None:
        """As the service itself."""
        self._named(voice)[0].check(self._named(voice)[1])

    def voice_like(self, gender: Gender | None, age: int | None, accent: str | None) -> str | None:
        """The service's voice that is nearest to a person; None for its usual one, or its only one."""
        choose: Any = getattr(self.tts, "voice_like", None)
        found: str | None = None if choose is None else choose(gender, age, accent)
        return found

    def in_language(self, code: str) -> CachedTTS:
        """The service in another language, its lines kept beside this one's. Raises InputError."""
        return CachedTTS(in_language(self.tts, code, "tts"), self.folder)

    @staticmethod
    def names_espeak(voice: str | None) -> bool:
        """Whether a voice is one of espeak-ng's, such as ``espeak:es``, which knows many languages."""
        return (voice or "").partition(":")[0] == "espeak"

    def _named(self, voice: str | None) -> tuple[TTS, str | None]:
        """``flite:rms`` names another program and its voice."""
        program, _, inner = (voice or "").partition(":")
        if program in PROGRAMS and program != self.tts.name:
            return Program(program), inner or None
        return self.tts, (inner or None) if program == self.tts.name and voice else voice

    async def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Pcm:
        """From memory, from disk, or from the service."""
        tts, voice = self._named(voice)
        key = "\x1f".join((VERSION, tts.name, voice or "", f"{speed:g}", text))
        name = hashlib.sha256(key.encode()).hexdigest()
        known = self._memory.get(name)
        if known is not None:
            return known
        file = self.folder / name[:2] / f"{name}.wav"
        found = await asyncio.to_thread(_read, file)
        if found is None:
            found = await tts.say(text, voice, speed)
            self.spoken += 1
            await asyncio.to_thread(_write, file, found)
        self._memory[name] = found
        return found


def _read(file: Path) -> Pcm | None:
    if not file.is_file():
        return None
    try:
        return read_wav(file)
    except InputError:  # half a file of a full disk, or another program's: it is spoken again
        return None


def _write(file: Path, pcm: Pcm) -> None:
    """A cache that cannot be written costs time, never the call."""
    with contextlib.suppress(EnvironmentFault):
        write_whole(file, pcm.wav())
