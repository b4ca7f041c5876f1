"""µ-law as telephones send it (ITU-T G.711): 8 bits a sample, 8000 samples a second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulate.conversation.voice.pcm import Samples

RATE = 8000
_BIAS, _CLIP = 33, 8158
"""Of samples of 14 bits."""


def to_mu_law(samples: Samples) -> bytes:
    """One byte for each sample."""
    values = samples.astype(np.int32) >> 2
    sign = np.where(values < 0, 0x80, 0)
    size = np.minimum(np.abs(values), _CLIP) + _BIAS
    exponent = np.floor(np.log2(size)).astype(np.int32) - 5
    mantissa = (size >> (exponent + 1)) & 0x0F
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()


def _decoded() -> Samples:
    codes: NDArray[Any] = ~np.arange(256, dtype=np.int32) & 0xFF
    size = (((((codes & 0x0F) << 1) + _BIAS) << ((codes >> 4) & 0x07)) - _BIAS) << 2
    return np.where(codes & 0x80, -size, size).astype(np.int16)


_SAMPLES = _decoded()


def from_mu_law(data: bytes) -> Samples:
    """The other way."""
    return _SAMPLES[np.frombuffer(data, np.uint8)]
