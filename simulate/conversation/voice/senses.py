"""How the caller of a voice call speaks and hears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from simulate.conversation.voice import effects
from simulate.conversation.voice.speech import ENGLISH, STT, TTS, in_language
from simulate.conversation.voice.speech_services import find_stt, find_tts
from simulate.conversation.voice.tts_cache import CachedTTS
from simulate.conversation.voice.two_channels import caller_lines
from simulate.conversation.voice.vad import Detector, Silero
from simulate.errors import InputError
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Senses:
    """How the caller speaks and hears."""

    tts: TTS
    stt: STT
    detector: Callable[[], Detector] = lambda: Detector(Silero())
    root: Path | None = None
    """Files of noise are relative to it."""

    def file(self, name: str) -> Path:
        """A file that a persona's voice names."""
        return (self.root or Path()) / name

    def for_persona(self, scenario: Scenario) -> Senses:
        """In the language that the scenario's persona speaks. Raises InputError where they cannot."""
        persona = _persona(scenario)
        return self.in_language(scenario.language, persona.voice.name)

    def voice_name(self, persona: Persona) -> str | None:
        """The voice that the persona names, or the one of this speech that is nearest to it."""
        voice = persona.voice
        if voice.name or not isinstance(self.tts, CachedTTS):
            return voice.name
        return self.tts.voice_like(voice.gender, voice.age, persona.speaks.accent)

    def in_language(self, code: str, voice: str | None = None) -> Senses:
        """The same in a language; ``voice`` may name a program that speaks it, whatever ``tts`` is. Raises
        InputError with all that does not know it."""
        if code == ENGLISH:
            return self
        found: dict[str, Any] = {}
        refused: list[InputError] = []
        for key, service in (("tts", self.tts), ("stt", self.stt)):
            try:
                spoken = key == "tts" and CachedTTS.names_espeak(voice)
                found[key] = service if spoken else in_language(service, code, key)
            except InputError as error:
                refused.append(error)
        if refused:
            messages = "; ".join(error.message for error in refused)
            hints = "; ".join(error.hint for error in refused if error.hint)
            raise InputError(messages, where=refused[0].where, hint=hints)
        return replace(self, **found)


def _persona(scenario: Scenario) -> Persona:
    return scenario.persona if isinstance(scenario.persona, Persona) else Persona()


class CallerSpeech:
    """What an engine's callers speak and listen with, by the names that ``[tool.simulate.speech]`` gives;
    made when the first of them needs it. Files of noise are relative to ``root``."""

    def __init__(self, stt: str | None, tts: str | None, root: Path | None) -> None:
        self._stt, self._tts, self._root = stt, tts, root

    @cached_property
    def senses(self) -> Senses:
        """Raises InputError for a name that is none, and MissingExtra."""
        return Senses(find_tts(self._tts), find_stt(self._stt), root=self._root)

    def prepare(self, scenario: Scenario) -> None:
        """Refuse, before anything runs, what the persona's voice asks for and there is not."""
        prepare(scenario, self.senses)

    def of(self, scenario: Scenario) -> Senses:
        """For the scenario's persona, in its language."""
        return self.senses.for_persona(scenario)


def prepare(scenario: Scenario, senses: Senses) -> None:
    """Refuse, before anything runs, what the persona's voice asks for and there is not."""
    persona = _persona(scenario)
    if persona.voice.recording is not None:
        _check_recording(scenario, senses.file(persona.voice.recording))
    own = senses.for_persona(scenario)
    own.tts.check(own.voice_name(persona))
    effects.check(persona.voice, senses.root)


def _check_recording(scenario: Scenario, file: Path) -> None:
    lines = [line for line in scenario.script if line.says]
    if not lines:
        raise InputError("a `recording` is played line by line, and the script has none", where=str(file))
    caller_lines(file, len(lines))
