"""Every figure of docs/statistics.md, computed."""

from __future__ import annotations

import math
import random
from pathlib import Path
from statistics import fmean

from simulate.model.reliability import pass_hat_k, wilson
from simulate.scoring.gate import statistics as stats

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "statistics.md").read_text("utf-8").split())


def trials(passed: int, count: int) -> list[float]:
    return [1.0] * passed + [0.0] * (count - passed)


def percent(value: float, digits: int = 0) -> str:
    return f"{value:.{digits}%}".replace("%", " %")


def coverage(count: int, rate: float) -> float:
    """How often the interval that is shown holds the true rate, exactly."""
    chances = (math.comb(count, n) * rate**n * (1 - rate) ** (count - n) for n in range(count + 1))
    ends = (wilson(count, n) for n in range(count + 1))
    return sum(chance for chance, (low, high) in zip(chances, ends, strict=True) if low <= rate <= high)


def says(*sentences: str) -> None:
    for sentence in sentences:
        assert sentence in PAGE, sentence


def test_intervals_of_a_rate() -> None:
    for passed, count in ((9, 10), (18, 20), (90, 100), (900, 1000)):
        low, high = wilson(count, passed)
        says(f"| {passed} of {count} | {percent(passed / count)} | {percent(low)} to {percent(high)} |")
    for count in (3, 4, 5, 10, 20, 50):
        covers = [coverage(count, rate / 1000) for rate in range(1, 1000)]
        says(f"| {count} | {percent(fmean(covers))} | {percent(min(covers))} |")
        assert fmean(covers[300:700]) > 0.94  # the worst is near the ends
    widths = [high - low for low, high in (wilson(100, 90), wilson(1000, 900))]
    assert 2.8 < widths[0] / widths[1] < 3.5
    says(f"after 3 of 3 the true rate may be {percent(wilson(3, 3)[0])}")
    says(f"after 30 of 30 still {percent(wilson(30, 30)[0])}")


def test_evidence_against_a_threshold() -> None:
    red, undecided = stats.below(trials(5, 10), 0.9), stats.below(trials(7, 10), 0.9)
    assert red < 0.025 < undecided
    says(f"5 of 10 is red: an agent at 90 % does that in {percent(red, 1)} of runs")
    says(f"7 of 10 is not: it does that in {percent(undecided)}")
    for limit, truth in ((0.9, 0.95), (0.9, 0.8), (0.95, 0.99), (0.9, 1.0)):
        needed = stats.needed_for_threshold(truth, limit)
        says(f"| {percent(limit)} | {percent(truth)} | {needed} |")


def test_once_is_not_every_time() -> None:
    says(f"four in a row {percent(0.9**4)} of the time, and eight {percent(0.9**8)}")
    says(f"From 3 passes in 4 trials, pass^2 is {percent(pass_hat_k(4, 3, 2))}")
    says(f"3 of 4 passed, and pass^4 is {percent(pass_hat_k(4, 3, 4))}")
    says(f"squaring 3/4 says {percent(0.75**2)}")
    says(f"lets an agent through {percent(1 - 0.7**3)} of the time that fails in 7 of 10")


def test_scores_that_are_nearly_all_alike() -> None:
    chance = random.Random(1)
    few, many = ([chance.uniform(0.9, 1) for _ in range(n)] for n in (20, 100))
    says(f"reaches down to about {stats.mean_interval(few).low:.2f}")
    says(f"100 scores bring it to about {stats.mean_interval(many).low:.1f}")


def test_two_runs() -> None:
    def chance(fallen: int) -> float:
        before = {str(n): [1.0] for n in range(fallen)}
        return stats.fell(before, {case: [0.0] for case in before})

    assert chance(5) > 0.025 > chance(6)
    says(f"five that fell and none that rose is chance in {percent(chance(5))} of comparisons")
    says(f"six in {percent(chance(6), 1)}")
    needed = [stats.needed_for_drop(fall, flips) for fall, flips in ((0.1, 0.1), (0.1, 0.15), (0.05, 0.05))]
    says(f"takes about {needed[0]} cases if nothing else changes, and {needed[1]} if another 5 %")
    says(f"a fall of 5 points takes {needed[2]}, or {stats.needed_for_drop(0.05, 0.15)} where 15 % flip")


def test_many_questions() -> None:
    says(f"ten such questions cry wolf in {percent(1 - 0.95**10)} of runs")
    chance, wrong = random.Random(1), 0
    for _ in range(20_000):
        total = 0.0
        for batch in range(1, 11):
            total += chance.gauss(0, 1)
            if abs(total) > 1.96 * math.sqrt(batch):
                wrong += 1
                break
    says(f"is wrong {percent(wrong / 20_000)} of the time instead of 5 %")
