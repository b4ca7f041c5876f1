"""The one definition of a percentile: numpy's default, linear interpolation between the two nearest ranks."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor
from typing import overload


@overload
def percentile(values: Iterable[float], percent: float, default: float) -> float: ...
@overload
def percentile(values: Iterable[float], percent: float, default: None = None) -> float | None: ...
def percentile(values: Iterable[float], percent: float, default: float | None = None) -> float | None:
    """The value that ``percent`` (0 to 100) of the values lie below, as ``numpy.percentile`` gives it; the
    ``default`` where there are no values.

    >>> percentile([1, 2, 3, 4], 50)
    2.5
    >>> percentile([3.0], 99)
    3.0
    """
    ranked = sorted(values)
    if not ranked:
        return default
    place = percent / 100 * (len(ranked) - 1)
    below, above = ranked[floor(place)], ranked[ceil(place)]
    return below + (above - below) * (place - floor(place))
