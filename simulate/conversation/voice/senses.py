"""How the caller of a voice call speaks and hears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulate.conversation.voice import effects
from simulate.conversation.voice.speech import STT, TTS
from simulate.conversation.voice.vad import Detector, Silero
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


def prepare(scenario: Scenario, senses: Senses) -> None:
    """Refuse, before anything runs, what the persona's voice asks for and there is not."""
    persona = scenario.persona if isinstance(scenario.persona, Persona) else Persona()
    senses.tts.check(persona.voice.name)
    effects.check(persona.voice, senses.root)
