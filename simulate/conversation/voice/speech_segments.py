"""When somebody spoke, from the waveform alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from simulate.conversation.voice.recording import Samples

HOP = 0.005
"""Seconds between two looks at the loudness; each looks at twice as much sound."""
PAUSE = 0.2
"""Seconds of silence inside a stretch that do not end it: the stops of words, breath between words."""
SHORTEST = 0.06
"""Seconds; anything shorter is a click."""
_FLOOR_DB, _CEILING_DB = -62.0, -30.0  # how quiet and how loud the loudness may be that counts as silence
_ONSET, _SURE = 6.0, 12.0  # decibels above silence at which sound begins, and at which it is surely speech
_RANGE = 36.0  # decibels below the loud parts that still count as speech: breath and reverberation do not
_REACH = 0.15  # seconds by which a sure sound may begin earlier or end later, as long as it stays audible


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound from ``start`` to ``end``, in seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


def loudness(samples: Samples, rate: int) -> NDArray[np.float64]:
    """Root mean square in decibels of full scale, one value each `HOP`, over a window of two hops."""
    return _decibels(_powers(samples, rate))


def _powers(samples: Samples, rate: int) -> NDArray[np.float64]:
    """Mean squares, one each `HOP`."""
    hop = round(HOP * rate)
    count = len(samples) // hop
    if count == 0:
        return np.zeros(0)
    # in pieces, so that half an hour of sound needs no half hour of floats
    return np.concatenate(
        [
            np.square(samples[at * hop : (at + 4096) * hop][: (count - at) * hop].astype(np.float64))
            .reshape(-1, hop)
            .mean(axis=1)
            for at in range(0, count, 4096)
        ]
    )


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(power):
        return power
    both = (power + np.append(power[1:], power[-1])) / 2
    return 10 * np.log10(np.maximum(both, 1e-3) / 32768.0**2)


def stretches(samples: Samples, rate: int) -> list[Stretch]:
    """Where one side spoke.

    A stretch is sound that is somewhere surely louder than the channel's silence, from the moment it rises
    out of it until it falls back; the silence is the tenth percentile of the channel's own loudness, so that
    a noisy line is not speech. `tests/voice/test_panel.py` holds the error against made audio with known
    times; `benchmarks/panel.py` prints it."""
    return _stretches(loudness(samples, rate))


class SpeechLevels:
    """How loud one side is, frame by frame as it comes: enough to tell where it spoke, without the sound."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._powers: list[NDArray[np.float64]] = []

    def push(self, frame: Samples) -> None:
        """The next 20 ms."""
        self._powers.append(_powers(frame, self._rate))

    def stretches(self, seconds: float) -> list[Stretch]:
        """Where it spoke up to then."""
        powers = np.concatenate(self._powers) if self._powers else np.zeros(0)
        return _stretches(_decibels(powers[: round(seconds / HOP)]))


def _stretches(loud: NDArray[np.float64]) -> list[Stretch]:
    if not len(loud):
        return []
    peak = float(np.percentile(loud, 98)) if float(loud.max()) > _FLOOR_DB else float(loud.max())
    peak = max(peak, float(loud.max()) - 12)
    quiet = float(np.clip(np.percentile(loud, 10), _FLOOR_DB, _CEILING_DB))
    quiet = min(quiet, peak - 2 * _ONSET)
    low, high = max(quiet + _ONSET, peak - _RANGE), max(quiet + _SURE, peak - _RANGE + _ONSET)
    reach = round(_REACH / HOP)
    found: list[Stretch] = []
    for begin, end in _runs(loud > high, round(PAUSE / HOP)):
        if loud[begin:end].max() < _FLOOR_DB + _SURE:
            continue
        first, last = max(0, begin - reach), min(len(loud), end + reach)
        while begin > first and loud[begin - 1] > low:
            begin -= 1
        while end < last and loud[end] > low:
            end += 1
        # a window reaches one hop beyond its place
        found.append(Stretch((begin + 1) * HOP, end * HOP))
    return _joined([one for one in found if one.seconds >= SHORTEST])


def _runs(flags: NDArray[np.bool_], pause: int) -> list[tuple[int, int]]:
    """Begin and end of each run of True; runs that are closer than ``pause`` are one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    runs: list[tuple[int, int]] = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if runs and begin - runs[-1][1] < pause:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((begin, end))
    return runs


def _joined(found: Sequence[Stretch]) -> list[Stretch]:
    joined: list[Stretch] = []
    for one in found:
        if joined and one.start - joined[-1].end < PAUSE:
            joined[-1] = Stretch(joined[-1].start, max(one.end, joined[-1].end))
        else:
            joined.append(one)
    return joined
