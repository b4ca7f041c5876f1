"""The tones of a telephone's keys (ITU-T Q.23), for wires that carry nothing but sound."""

from __future__ import annotations

import numpy as np

from simulate.conversation.voice.pcm import RATE, Pcm, Samples

_ROWS = (697, 770, 852, 941)
_COLUMNS = (1209, 1336, 1477, 1633)
_KEYS = ("123A", "456B", "789C", "*0#D")
ON, OFF = 0.12, 0.08
"""Seconds of a tone and of the silence after it; Q.24 asks receivers to take 40 ms of each."""


def tones(keys: str) -> Pcm:
    """The keys one after another."""
    moments = np.arange(int(ON * RATE)) / RATE
    parts: list[Samples] = []
    for key in keys.upper():
        row = next(index for index, keys_of_row in enumerate(_KEYS) if key in keys_of_row)
        low, high = _ROWS[row], _COLUMNS[_KEYS[row].index(key)]
        tone = 0.25 * (np.sin(2 * np.pi * low * moments) + np.sin(2 * np.pi * high * moments))
        parts += [(tone * 32767).astype(np.int16), np.zeros(int(OFF * RATE), np.int16)]
    return Pcm(np.concatenate(parts) if parts else np.zeros(0, np.int16))
