"""Another sample rate for sound that comes piece by piece, without clicks where the pieces meet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulate.conversation.voice.pcm import Samples

_TAPS = 95
_HALF: NDArray[np.float32] = (
    np.sinc((np.arange(_TAPS) - _TAPS // 2) * 0.46) * 0.46 * np.hamming(_TAPS)
).astype(np.float32)
"""A low-pass for the lower half of the band: flat up to 0.42 of the lower rate, silent from its half on."""


class Halve:
    """Half the rate; each piece has an even number of samples. Every sample that goes in is out 3 ms later,
    where soxr's streams keep 60 ms of these two rates back until more comes."""

    def __init__(self) -> None:
        self._past = np.zeros(_TAPS - 1, np.float32)

    def __call__(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        both = np.concatenate([self._past, samples.astype(np.float32)])
        self._past = both[-(_TAPS - 1) :]
        return np.convolve(both, _HALF, "valid")[::2].astype(np.float32)


class Double:
    """Twice the rate."""

    def __init__(self) -> None:
        self._past = np.zeros(_TAPS // 2, np.float32)

    def __call__(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        both = np.concatenate([self._past, samples.astype(np.float32)])
        self._past = both[-(_TAPS // 2) :]
        out = np.empty(2 * len(samples), np.float32)
        out[0::2] = np.convolve(both, 2 * _HALF[0::2], "valid")
        out[1::2] = np.convolve(both, 2 * _HALF[1::2], "valid")[-len(samples) :]
        return out


PAUSE = 0.2
"""Seconds after which sound no longer continues what came before."""


class Resampler:
    """From one rate to another; what goes in comes out a few milliseconds later."""

    def __init__(self, source: int, target: int) -> None:
        self._rates = source, target
        self._last: float | None = None
        self._forget()

    def _forget(self) -> None:
        source, target = self._rates
        self._stream: Any = None
        self._filter: Halve | Double | None = None
        if source == 2 * target:
            self._filter = Halve()
        elif target == 2 * source:
            self._filter = Double()
        elif source != target:
            import soxr  # two rates out of three do without

            self._stream = soxr.ResampleStream(source, target, 1, dtype="int16", quality="LQ")

    def __call__(self, samples: Samples, now: float | None = None) -> Samples:
        """``now`` is when it came, in seconds: after a `PAUSE`, the rest of what was cut off is not heard
        before the next words."""
        if now is not None:
            if self._last is not None and now > self._last + PAUSE:
                self._forget()
            self._last = now
        if self._filter is not None and len(samples):
            return np.clip(np.round(self._filter(samples)), -32768, 32767).astype(np.int16)
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(samples), np.int16)
