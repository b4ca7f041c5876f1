"""What an agent gets to hear that is not meant for it: somebody else who talks, many who do, hold music."""

from __future__ import annotations

import random

import numpy as np

from simulate.conversation.voice.pcm import RATE, Pcm, Samples, from_floats, joined
from simulate.conversation.voice.speech import TTS

SPOKEN = {"voice": (0.86,), "babble": (0.8, 0.88, 0.95, 1.08, 1.18, 1.28)}
"""Noises made of speech: for each voice in it, how much faster and higher it is than the caller's own."""
SENTENCES = (
    "And then she told me that the meeting was moved again.",
    "Did you see where I left the keys for the car?",
    "We could go on Saturday, if the weather is any good.",
    "He said he would bring the ladder back after lunch.",
    "I still think the blue one looked better in the hall.",
    "They are fixing the road in front of the school this week.",
    "Put the soup on, please, it takes twenty minutes.",
    "My sister called, and they have found a new flat.",
)
_BETWEEN = 0.5  # seconds between two sentences
_CHORDS = ((261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7))
_CHORD_SECONDS = 1.0
_MUSIC_LEVEL = 0.12


async def spoken_noise(name: str, tts: TTS, voice: str | None, seed: int) -> Samples:
    """One of `SPOKEN`, in the voices that ``tts`` has; the same for the same seed, and without a seam."""
    chance = random.Random(seed)
    said = [await tts.say(text, voice) for text in SENTENCES]
    voices: list[Samples] = []
    for faster in SPOKEN[name]:
        mine = chance.sample(said, len(said))
        whole = joined(mine, _BETWEEN, mine[0].rate)
        samples = Pcm(whole.samples, round(whole.rate * faster)).at(RATE).samples
        voices.append(np.roll(samples, 0 if name == "voice" else chance.randrange(len(samples))))
    longest = max(len(each) for each in voices)
    total = sum(np.resize(each, longest).astype(np.float64) for each in voices)
    return (np.asarray(total) / np.abs(total).max() * 20_000).astype(np.int16)


def hold_music(seconds: float) -> Pcm:
    """Soft chords, one a second, as a telephone system plays them."""
    moments = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros(len(moments))
    for number in range(int(seconds // _CHORD_SECONDS) + 1):
        here = (moments >= number * _CHORD_SECONDS) & (moments < (number + 1) * _CHORD_SECONDS)
        since = moments[here] - number * _CHORD_SECONDS
        fading = np.minimum(since / 0.02, 1) * np.exp(-1.2 * since)
        for hertz in _CHORDS[number % len(_CHORDS)]:
            for overtone, loudness in ((1, 1.0), (2, 0.4), (3, 0.2)):
                sound[here] += fading * loudness * np.sin(2 * np.pi * hertz * overtone * since)
    return from_floats(sound / 3 * _MUSIC_LEVEL * 2, RATE)
