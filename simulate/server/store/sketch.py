"""Quantiles of what is counted in bins of a constant ratio (DDSketch, Masson et al., VLDB 2019).

Any quantile is right to one part in a hundred. Sketches merge by adding the counts of their bins, which a
database does as well as anybody, and what was added can be taken away again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

_GAMMA = 1.01 / 0.99
_LOG = math.log(_GAMMA)
SMALLEST = 1e-9
"""What is nearer to zero is zero."""
ZERO = -10_000


def bin_of(value: float) -> int:
    """The bin of a value that is not negative."""
    return ZERO if value < SMALLEST else math.ceil(math.log(value) / _LOG)


def value_of(place: int) -> float:
    """What stands for every value of a bin."""
    return 0.0 if place == ZERO else 2 * _GAMMA**place / (_GAMMA + 1)


def quantile(bins: Iterable[tuple[int, int]], share: float) -> float | None:
    """The value below which ``share`` of what was counted lies; ``bins`` are places with their counts. None
    where nothing was counted."""
    counted = sorted((place, count) for place, count in bins if count > 0)
    rank = share * (sum(count for _, count in counted) - 1)
    seen = 0
    for place, count in counted:
        seen += count
        if seen > rank:
            return value_of(place)
    return None
