"""How the caller of a voice call speaks and hears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simulate.conversation.voice import effects
from simulate.conversation.voice.speech import ENGLISH, STT, TTS, in_language
from simulate.conversation.voice.tts_cache import CachedTTS
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

    def for_persona(self, scenario: Scenario) -> Senses:
        """In the language that the scenario's persona speaks. Raises InputError where they cannot."""
        persona = _persona(scenario)
        return self.in_language(persona.speaks.language[:2].lower(), persona.voice.name)

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


def prepare(scenario: Scenario, senses: Senses) -> None:
    """Refuse, before anything runs, what the persona's voice asks for and there is not."""
    persona = _persona(scenario)
    senses.for_persona(scenario).tts.check(persona.voice.name)
    effects.check(persona.voice, senses.root)
