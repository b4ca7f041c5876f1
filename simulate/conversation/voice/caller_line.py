"""A line of the caller's as sound: where its words are in it, and how much of it was played."""

from __future__ import annotations

import numpy as np

from simulate.conversation.call_facts import Span
from simulate.conversation.callers.caller import Say
from simulate.conversation.voice.pcm import RATE, Pcm, joined
from simulate.conversation.voice.speech import TTS
from simulate.conversation.voice.speech_segments import stretches


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


async def breathed(tts: TTS, line: Say, voice: str | None, speed: float) -> Pcm:
    """The line as sound, with its pauses for breath."""
    parts = [part for part in line.text.split("…") if part.strip(" .")] if line.pauses else [line.text]
    pieces = [await tts.say(part, voice, speed) for part in parts]
    return pieces[0] if len(pieces) == 1 else joined(pieces, line.pauses, pieces[0].rate)
