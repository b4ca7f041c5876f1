"""How rarely something may happen that so many runs have not shown.

The expected run and its n repeats are n + 1 runs of the same program. Something that stayed as it was in
all of them may still vary rarely. The exact upper bound, at 95 % confidence, on how often it does is
1 - 0.05 ** (1 / (n + 1)), about 3 / (n + 1): the "rule of three" (J. A. Hanley and A. Lippman-Hand, "If
nothing goes wrong, is everything all right?", JAMA 249, 1983), which is the binomial interval of Clopper
and Pearson (1934) for no event in n + 1 trials.
"""

from __future__ import annotations

from math import comb

CONFIDENCE = 0.95


def rarely(runs: int) -> float:
    """The greatest share of runs in which something may vary that varied in none of ``runs``."""
    return 1.0 - (1.0 - CONFIDENCE) ** (1.0 / runs)


def at_most(events: int, runs: int) -> float:
    """The exact (Clopper-Pearson) upper bound on the rate of something seen ``events`` times in ``runs``."""
    if events >= runs:
        return 1.0
    low, high = events / runs, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(events, runs, middle) > 1.0 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _at_most(events: int, runs: int, rate: float) -> float:
    return sum(comb(runs, k) * rate**k * (1 - rate) ** (runs - k) for k in range(events + 1))
