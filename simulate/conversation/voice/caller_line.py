"""A line of the caller's as sound: where its words are in it, and how much of it was played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from simulate.conversation.call_facts import Span
from simulate.conversation.callers.caller import Say
from simulate.conversation.voice import effects
from simulate.conversation.voice.audio_bridge import AudioBridge, Wire
from simulate.conversation.voice.background import hold_music
from simulate.conversation.voice.pcm import RATE, Pcm, joined
from simulate.conversation.voice.senses import Senses
from simulate.conversation.voice.speech import TTS
from simulate.conversation.voice.speech_segments import stretches
from simulate.conversation.voice.two_channels import caller_lines
from simulate.conversation.voice.vocal_tics import tic
from simulate.model.persona import Persona, Voice
from simulate.model.scenario import Line as ScriptLine
from simulate.model.transcript import Kind


def line_of(wire: Wire, voice: Voice, seed: int, senses: Senses) -> AudioBridge:
    """The line of a call in which the caller sounds like this."""
    return AudioBridge(
        wire,
        detector=senses.detector(),
        spoils=effects.outgoing(voice, seed, senses.root),
        dims=effects.incoming(voice, seed),
        out=effects.Delay(voice.delay),
        back=effects.Delay(voice.delay),
        returns=effects.returning(voice),
    )


def sounds_of(sound: Pcm, start: float, until: float) -> list[Span]:
    """Where somebody speaks in ``sound``, which was played from ``start`` and broke off at ``until``."""
    samples = sound.at(RATE).samples
    # silence around it, which is what loudness is held against
    silence = np.zeros(RATE, np.int16)
    found = stretches(np.concatenate([silence, samples, silence]), RATE)
    moved = [(start + one.start - 1.0, start + one.end - 1.0) for one in found]
    return [(max(start, begin), min(end, until)) for begin, end in moved if begin < until]


def words_within(text: str, share: float) -> str:
    """The words that fit into this share of the time that all of them take."""
    words = text.split()
    ends = np.cumsum([len(word) + 1 for word in words]) if words else np.zeros(0)
    return " ".join(word for word, end in zip(words, ends, strict=True) if end <= share * ends[-1])


PATIENCE = {"none": 0.4, "low": 0.6, "medium": 0.9, "high": 1.6}
"""By the persona's ``voice.waits``: seconds of the agent's silence before the caller takes its turn."""
UNASKED_SECONDS: dict[Kind, float] = {"backchannel": 10.0, "vocal_tic": 2.5, "aside": 2.5, "hold_music": 2.5}
"""How long the caller lets the agent go on, or answer what it should not, after what asks for no answer."""
PACES = {"slow": 0.85, "normal": 1.0, "fast": 1.2}
"""By the persona's ``speaks.pace``: times the voice's own ``speed``."""


def speed_of(persona: Persona) -> float:
    """How fast the persona speaks; 1 is the voice's own speed."""
    return persona.voice.speed * PACES[persona.speaks.pace or "normal"]


def recorded_lines(file: Path, lines: Sequence[ScriptLine]) -> dict[str, Pcm]:
    """What the caller says in a script, by its text, as a recording has it."""
    texts = [line.says for line in lines if line.says]
    return dict(zip(texts, caller_lines(file, len(texts)), strict=True))


async def sound_of(
    line: Say, recorded: Mapping[str, Pcm], tts: TTS, voice: str | None, speed: float, seed: int
) -> Pcm:
    """The line as sound: ``recorded``, spoken with its pauses for breath, or the sound that it stands for."""
    if line.kind == "speech" and (own := recorded.get(line.text)) is not None:
        return own
    if line.hold_music:
        return hold_music(line.hold_music)
    if line.vocal_tic and (made := tic(line.text, seed)) is not None:
        return made
    parts = [part for part in line.text.split("…") if part.strip(" .")] if line.pauses else [line.text]
    pieces = [await tts.say(part, voice, speed) for part in parts]
    return pieces[0] if len(pieces) == 1 else joined(pieces, line.pauses, pieces[0].rate)
