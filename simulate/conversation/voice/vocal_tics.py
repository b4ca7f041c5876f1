"""Sounds that people make and that mean nothing: a cough, a sneeze, a cleared throat."""

from __future__ import annotations

import numpy as np

from simulate.conversation.voice.pcm import RATE, Pcm, from_floats

TICS = {
    "cough": ((0.16, 900.0, 1.0), (0.22, 700.0, 0.7)),
    "sneeze": ((0.25, 2500.0, 0.25), (0.3, 3200.0, 1.0)),
    "throat": ((0.18, 350.0, 0.8), (0.28, 280.0, 1.0)),
}
"""Bursts of each: seconds, middle of the band in Hz, and loudness."""
_BETWEEN = 0.09  # seconds between two bursts
_LEVEL = 0.35


def tic(name: str, seed: int = 0) -> Pcm | None:
    """The sound of one of `TICS`, the same for the same seed; None for any other text, which is spoken."""
    if name.lower() not in TICS:
        return None
    chance = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    for seconds, middle, loudness in TICS[name.lower()]:
        count = int(seconds * RATE)
        spectrum = np.fft.rfft(chance.normal(0, 1, count))
        distance = np.log2(np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20) / middle)
        noise = np.fft.irfft(spectrum * np.exp(-(distance**2)), count)
        shape = np.minimum(np.arange(count) / (0.012 * RATE), 1) * np.exp(-3 * np.arange(count) / count)
        burst = noise * shape
        parts += [burst / np.abs(burst).max() * loudness * _LEVEL, np.zeros(int(_BETWEEN * RATE))]
    return from_floats(np.concatenate(parts[:-1]), RATE)
