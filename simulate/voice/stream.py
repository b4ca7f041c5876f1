"""Another sample rate for sound that comes piece by piece, without clicks where the pieces meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulate.voice.pcm import Samples


class Resampler:
    """From one rate to another; what goes in comes out a few milliseconds later."""

    def __init__(self, source: int, target: int) -> None:
        self._stream: Any = None
        if source != target:
            import soxr

            self._stream = soxr.ResampleStream(source, target, 1, dtype="int16", quality="LQ")

    def __call__(self, samples: Samples) -> Samples:
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(samples), np.int16)
