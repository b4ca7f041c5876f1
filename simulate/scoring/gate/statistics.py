"""How sure the gate may be: intervals, tests and the number of runs that would be needed.

Two kinds of question, and `docs/statistics.md` explains both to people:

- *is it good enough?* – one mean between 0 and 1 against a threshold;
- *is it worse than before?* – two runs of the same cases, compared case by case.

The cases are fixed, the trials are chance: what is asked is how these cases would go in fresh trials. Trials
of cases that differ in difficulty vary less than as many throws of one coin (Hoeffding 1956), so that
intervals made for the coin are never too narrow for them.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import getitem
from statistics import fmean, variance

from simulate.scoring.gate.numbers import beta_cdf, beta_quantile, normal_quantile, t_quantile

POWER = 0.8
"""Chance to see an effect that is there, for the numbers that "would be needed"."""
EXACT = 12
"""Up to so many cases that differ, all their signs are tried; beyond, as many as `SHUFFLES`."""
SHUFFLES = 9_999
Cases = Mapping[str, Sequence[float]]
"""Case → the values of its trials."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the interval that covers the truth in ``confidence`` of all such runs."""

    value: float
    low: float
    high: float
    method: str


BETS = ((1.0, 0.5), (0.5, 0.25), (0.2, 0.125), (0.07, 0.125))
"""Shares of the capital that are staked on each value, and the weight of each in the mixture."""


def _log_capital(values: Mapping[float, int], mean: float) -> float:
    """The logarithm of what one unit became by betting, at fair odds, that the true mean is above ``mean``.

    Were it not, the expected capital would be at most 1, also for independent values whose means differ (the
    product of 1 + stake · (value/mean - 1) is largest, in expectation, where they are all alike)."""
    wins: list[float] = []
    for stake, weight in BETS:
        total = math.log(weight)
        for value, times in values.items():
            left = 1 - stake + stake * value / mean
            total += times * math.log(left) if left > 0 else -math.inf
        wins.append(total)
    most = max(wins)
    return most + math.log(sum(math.exp(win - most) for win in wins))


def _lower_bound(values: Sequence[float], alpha: float) -> float:
    """The largest mean against which betting won 1/alpha: at most alpha of runs have it above the truth."""
    counted, low, high = Counter(values), 0.0, fmean(values)
    if high == 0:
        return 0.0
    for _ in range(40):
        middle = (low + high) / 2
        if _log_capital(counted, middle) >= -math.log(alpha):
            low = middle
        else:
            high = middle
    return low


def _binary(values: Sequence[float]) -> bool:
    return all(value in (0, 1) for value in values)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The interval of a mean of values between 0 and 1.

    Zeros and ones: Clopper–Pearson (1934). Other scores: by betting (Waudby-Smith & Ramdas 2024) with stakes
    fixed in advance, which holds for any number of values of any shape, however few of them are low."""
    n, mean, alpha = len(values), fmean(values), 1 - confidence
    if _binary(values):
        passed = sum(values)
        low = beta_quantile(alpha / 2, passed, n - passed + 1)
        return Interval(mean, low, beta_quantile(1 - alpha / 2, passed + 1, n - passed), "Clopper–Pearson")
    high = 1 - _lower_bound([1 - value for value in values], alpha / 2)
    return Interval(mean, _lower_bound(values, alpha / 2), high, "betting")


def below(values: Sequence[float], threshold: float) -> float:
    """The p-value of a mean this low or lower, were the true mean at ``threshold``: the binomial tail, or for
    other scores than 0 and 1 what betting against it won."""
    n, passed = len(values), sum(values)
    if threshold >= 1:
        return 0.0 if fmean(values) < 1 else 1.0
    if not _binary(values):
        won = _log_capital(Counter(1 - value for value in values), 1 - threshold)
        return math.exp(-max(0.0, won))
    return 1.0 if passed >= n else 1 - beta_cdf(threshold, passed + 1, n - passed)


def pass_hat_low(cases: Cases, k: int, confidence: float = 0.95) -> float:
    """A lower bound of the mean over cases of pass^k, from all their trials together.

    The mean of powers is at least the power of the mean (Jensen), so the exact bound of the pass rate to the
    power k holds, whatever the cases. Each case counts with as many trials as the shortest has."""
    least = min(map(len, cases.values()))
    pooled = [value for values in cases.values() for value in values[:least]]
    return mean_interval(pooled, confidence).low ** k


def amount_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The interval of a mean of amounts (dollars, seconds), by Student's t; without end from one value."""
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, -math.inf, math.inf, "one value")
    half = t_quantile(0.5 + confidence / 2, len(values) - 1) * math.sqrt(variance(values) / len(values))
    return Interval(mean, mean - half, mean + half, "Student's t")


def above(values: Sequence[float], threshold: float) -> float:
    """The p-value of a mean of amounts this high or higher, were the true mean at ``threshold`` (Student)."""
    n = len(values)
    if n < 2:
        return 1.0
    error = math.sqrt(variance(values) / n)
    gap = fmean(values) - threshold
    if error == 0:
        return 1.0 if gap <= 0 else 0.0
    return _t_tail(gap / error, n - 1)


def _t_tail(t: float, freedom: float) -> float:
    """P(T ≥ t)."""
    half = beta_cdf(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
    return half if t >= 0 else 1 - half


# --- two runs of the same cases --------------------------------------------------------------------


def paired(before: Cases, after: Cases) -> list[tuple[str, Sequence[float], Sequence[float]]]:
    """The cases that both runs have values of, in order."""
    return [
        (case, before[case], after[case]) for case in before if case in after and before[case] and after[case]
    ]


def drop(before: Cases, after: Cases) -> float:
    """By how much the mean over cases fell; negative where it rose."""
    return fmean(fmean(was) - fmean(now) for _, was, now in paired(before, after))


def drop_interval(before: Cases, after: Cases, confidence: float = 0.95) -> Interval:
    """The interval of that drop, over cases.

    Bonett & Price (2012): two cases are added, one that fell by 1 and one that rose by 1, so that cases which
    all agree do not look like certainty, nor scores of which one in twenty falls far."""
    falls = [fmean(was) - fmean(now) for _, was, now in paired(before, after)]
    value, m = fmean(falls), len(falls)
    middle = sum(falls) / (m + 2)
    spread = (sum(fall * fall for fall in falls) + 2) / (m + 2) - middle * middle
    half = normal_quantile(0.5 + confidence / 2) * math.sqrt(spread / (m + 2))
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return Interval(value, min(low, value), max(high, value), "Bonett–Price over cases")


def fell(before: Cases, after: Cases, seed: int = 0) -> float:
    """The p-value of a fall this large, were the two runs alike: one-sided, paired by case.

    Zeros and ones: exact, over all ways in which each case's passes could have fallen to the two runs. With
    one trial a case that is McNemar's exact test; with one case, Fisher's. Other values: the signs of the
    cases' differences are tried out, all of them up to 12 cases and 9,999 drawn ones beyond (Fisher 1935)."""
    pairs = paired(before, after)
    if all(value in (0, 1) for _, was, now in pairs for value in (*was, *now)):
        return _stratified(pairs)
    return _signs([fmean(was) - fmean(now) for _, was, now in pairs], seed)


def _stratified(pairs: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> float:
    """P(sum over cases of weighted passes before ≥ seen), each case hypergeometric given its passes in
    both runs."""
    chances: dict[float, float] = {0.0: 1.0}
    seen = 0.0
    for _, was, now in pairs:
        n, m, passes = len(was), len(now), int(sum(was) + sum(now))
        seen = round(seen + sum(was) / n - sum(now) / m, 9)
        total = math.comb(n + m, passes)
        ways = [
            (round(k / n - (passes - k) / m, 9), math.comb(n, k) * math.comb(m, passes - k) / total)
            for k in range(max(0, passes - m), min(n, passes) + 1)
        ]
        if len(ways) == 1:
            seen = round(seen - ways[0][0], 9)
            continue
        spread: dict[float, float] = {}
        for at, chance in chances.items():
            for step, share in ways:
                place = round(at + step, 9)
                spread[place] = spread.get(place, 0.0) + chance * share
        chances = spread
    return min(1.0, sum(chance for at, chance in chances.items() if at >= seen - 1e-7))


def _signs(falls: Sequence[float], seed: int) -> float:
    falls = [fall for fall in falls if fall != 0]
    seen = sum(falls) - 1e-12
    if len(falls) <= EXACT:
        sums = _signed(falls)
        return sum(total >= seen for total in sums) / len(sums)
    # a byte draws the signs of eight cases at once
    tables = [_signed(falls[at : at + 8]) for at in range(0, len(falls), 8)]
    tables = [table * (256 // len(table)) for table in tables]
    chance, many = random.Random(seed), len(tables)
    hits = sum(sum(map(getitem, tables, chance.randbytes(many))) >= seen for _ in range(SHUFFLES))
    return (hits + 1) / (SHUFFLES + 1)


def _signed(values: Sequence[float]) -> list[float]:
    """The sums of the values under all choices of their signs."""
    sums = [0.0]
    for value in values:
        sums = [total + sign * value for total in sums for sign in (1, -1)]
    return sums


def logs(cases: Cases) -> dict[str, list[float]]:
    """Amounts as logarithms, so that a difference is a ratio; cases with an amount of 0 are left out."""
    return {case: [math.log(value) for value in values] for case, values in cases.items() if min(values) > 0}


def rise_interval(before: Cases, after: Cases, confidence: float = 0.95) -> Interval:
    """By which share amounts grew: the ratio of geometric means over cases less 1, by Student's t."""
    rises = [fmean(now) - fmean(was) for _, was, now in paired(logs(before), logs(after))]
    found = amount_interval(rises, confidence)
    low = -1.0 if found.low == -math.inf else math.expm1(found.low)
    return Interval(math.expm1(found.value), low, _expm1(found.high), "ratio, Student's t over cases")


def _expm1(value: float) -> float:
    return math.inf if value > 700 else math.expm1(value)


def rose(before: Cases, after: Cases, seed: int = 0) -> float:
    """The p-value of a growth this large, were the two runs alike (signs of the cases' log ratios)."""
    return _signs([fmean(now) - fmean(was) for _, was, now in paired(logs(before), logs(after))], seed)


# --- many rules at once, and how many runs ----------------------------------------------------------


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being many (Holm 1979): the chance of any false alarm among all stays below
    the level."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = worst
    return adjusted


def needed_for_threshold(value: float, threshold: float, confidence: float = 0.95) -> int | None:
    """Trials until a true mean of ``value`` is told from ``threshold`` in 4 of 5 runs (one sample, normal
    approximation); None where no number would do, since they are the same."""
    if value == threshold:
        return None
    z, beta = normal_quantile(0.5 + confidence / 2), normal_quantile(POWER)
    spread = z * math.sqrt(threshold * (1 - threshold)) + beta * math.sqrt(value * (1 - value))
    return max(2, math.ceil((spread / (value - threshold)) ** 2))


def needed_for_drop(effect: float, discordant: float, confidence: float = 0.95) -> int | None:
    """Cases until a drop of ``effect`` is seen in 4 of 5 comparisons, where a share ``discordant`` of the
    cases comes out differently in two runs (Connor 1987)."""
    if effect <= 0:
        return None
    psi = max(discordant, effect)
    z, beta = normal_quantile(0.5 + confidence / 2), normal_quantile(POWER)
    spread = z * math.sqrt(psi) + beta * math.sqrt(max(0.0, psi - effect * effect))
    return math.ceil((spread / effect) ** 2)
