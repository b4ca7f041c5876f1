"""How sure a rate is that was seen in a few trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from simulate.model.outcome import Reliability

METHOD = "Wilson score interval of the pass rate, raised to the power k"


def pass_hat_k(trials: int, passed: int, k: int) -> float:
    """The unbiased estimate of pass^k, that ``k`` fresh trials all pass: C(passed, k) / C(trials, k).

    Source: τ-bench (Yao et al. 2024), equation for pass^k. ``(passed/trials)**k`` would be biased.
    1 ≤ k ≤ trials."""
    return math.comb(passed, k) / math.comb(trials, k)


def wilson(trials: int, passed: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a rate (Wilson 1927). It covers 95 % on average over rates; at rates near
    0 or 1 fewer (`docs/statistics.md` has the exact figures)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = passed / trials
    centre = rate + z * z / (2 * trials)
    spread = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    low = 0.0 if passed == 0 else (centre - spread) / scale
    high = 1.0 if passed == trials else (centre + spread) / scale
    return low, high


def reliability(
    scenario: str, case: str | None, passes: Sequence[bool], ks: Sequence[int] | None = None
) -> list[Reliability]:
    """pass^1 … pass^n of one scenario and case, each with a 95 % interval.

    Raising the ends of the rate's interval to the power k keeps its coverage, since p → p^k is monotone. The
    estimate may lie below (3 of 4 passed: pass^4 is 0), and the interval is widened to hold it.
    Trials that came to no verdict are left out by whoever calls this: they are neither passes nor
    failures."""
    trials, passed = len(passes), sum(passes)
    low, high = wilson(trials, passed)
    found: list[Reliability] = []
    for k in ks or range(1, trials + 1):
        value = pass_hat_k(trials, passed, k)
        ends = min(low**k, value), max(high**k, value)
        found.append(Reliability(scenario, case, trials, passed, k, value, *ends, 0.95, METHOD))
    return found
