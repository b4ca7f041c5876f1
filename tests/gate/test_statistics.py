"""The formulas against scipy, and their promises against simulated runs."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean

import pytest

from simulate.model.reliability import reliability
from simulate.scoring.gate import statistics as stats
from simulate.scoring.gate.numbers import beta_cdf, beta_quantile, t_quantile

scipy = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1, 1), (3, 18.5), (200, 4), (1500, 2500), (0.5, 40)])
@pytest.mark.parametrize("x", [0.0, 1e-6, 0.03, 0.2, 0.5, 0.81, 0.999, 1.0])
def test_beta_as_scipy_has_it(a: float, b: float, x: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(scipy.beta.cdf(x, a, b), abs=1e-10)


@pytest.mark.parametrize("p", [0.001, 0.025, 0.5, 0.975])
@pytest.mark.parametrize(("a", "b"), [(1, 20), (18, 3), (0.7, 90), (500, 500)])
def test_quantiles_as_scipy_has_them(p: float, a: float, b: float) -> None:
    assert beta_quantile(p, a, b) == pytest.approx(scipy.beta.ppf(p, a, b), abs=1e-9)
    assert t_quantile(0.975, a) == pytest.approx(scipy.t.ppf(0.975, a), rel=1e-6)


@pytest.mark.parametrize(("passed", "trials"), [(0, 4), (18, 20), (20, 20), (97, 100), (1, 1)])
def test_rates_get_the_exact_interval_and_test(passed: int, trials: int) -> None:
    values = [1.0] * passed + [0.0] * (trials - passed)
    wanted = scipy.binomtest(passed, trials).proportion_ci(0.95, method="exact")
    found = stats.mean_interval(values)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    tail = scipy.binomtest(passed, trials, 0.9, alternative="less").pvalue
    assert stats.below(values, 0.9) == pytest.approx(tail, abs=1e-9)


def test_the_bound_of_pass_hat_holds_for_cases_that_differ() -> None:
    chance, rates, k = random.Random(3), (0.5, 0.9, 0.97, 1.0), 3
    truth = fmean(rate**k for rate in rates)
    runs = 600
    beyond = sum(
        stats.pass_hat_low(
            {str(rate): [float(chance.random() < rate) for _ in range(20)] for rate in rates}, k
        )
        > truth
        for _ in range(runs)
    )
    assert beyond / runs <= 0.025
    same = {str(n): [1.0] * 50 for n in range(4)}
    assert stats.pass_hat_low(same, k) == pytest.approx(0.025 ** (k / 200), abs=1e-3)


def test_one_trial_a_case_is_mcnemar_and_one_case_is_fisher() -> None:
    lost, won, same = 9, 2, 30
    before = {f"l{n}": [1.0] for n in range(lost)} | {f"w{n}": [0.0] for n in range(won)}
    after = {f"l{n}": [0.0] for n in range(lost)} | {f"w{n}": [1.0] for n in range(won)}
    for n in range(same):
        before[f"s{n}"] = after[f"s{n}"] = [float(n % 2)]
    mcnemar = scipy.binomtest(lost, lost + won, 0.5, alternative="greater").pvalue
    assert stats.fell(before, after) == pytest.approx(mcnemar)
    one, two = [1.0] * 17 + [0.0] * 3, [1.0] * 9 + [0.0] * 11
    fisher = scipy.fisher_exact([[17, 3], [9, 11]], alternative="greater")[1]
    assert stats.fell({"a": one}, {"a": two}) == pytest.approx(fisher)


def test_strata_are_tested_together() -> None:
    """Three cases, each a little worse: none would convince alone, together they do."""
    before = {case: [1.0] * 9 + [0.0] for case in "abc"}
    after = {case: [1.0] * 6 + [0.0] * 4 for case in "abc"}
    alone = stats.fell({"a": before["a"]}, {"a": after["a"]})
    assert alone > 0.1 > 0.025 > stats.fell(before, after)


def test_signs_of_scores_are_exact_for_few_and_drawn_for_many() -> None:
    falls = [0.1, 0.2, 0.05, 0.3, -0.02, 0.15]
    before, after = {str(n): [0.5 + f] for n, f in enumerate(falls)}, {str(n): [0.5] for n in range(6)}
    wanted = scipy.permutation_test(
        (falls,), fmean, permutation_type="samples", alternative="greater", n_resamples=10_000
    ).pvalue
    assert stats.fell(before, after) == pytest.approx(wanted)
    many = {str(n): [0.6 + n / 1000] for n in range(30)}
    assert stats.fell(many, {case: [0.5] for case in many}) == pytest.approx(1e-4)


def test_amounts_by_students_t() -> None:
    values = [0.011, 0.013, 0.012, 0.019, 0.010]
    wanted = scipy.ttest_1samp(values, 0.01, alternative="greater")
    assert stats.above(values, 0.01) == pytest.approx(wanted.pvalue, rel=1e-6)
    found = stats.amount_interval(values)
    both = scipy.ttest_1samp(values, 0.01).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((both.low, both.high), rel=1e-6)


def test_holm() -> None:
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([]) == []


def test_how_many_would_be_needed() -> None:
    """The published example: a 5-point drop with 15 % discordant cases needs 469 pairs."""
    assert stats.needed_for_drop(0.05, 0.15) == 469
    assert stats.needed_for_drop(0.0, 0.1) is None
    assert stats.needed_for_threshold(0.9, 0.9) is None
    needed = stats.needed_for_threshold(0.8, 0.9)
    assert needed is not None and 70 < needed < 120


def coin(chance: random.Random, rate: float, n: int) -> list[float]:
    return [float(chance.random() < rate) for _ in range(n)]


def test_the_interval_of_cases_that_differ_is_not_too_narrow() -> None:
    chance = random.Random(7)
    rates = [0.99, 0.95, 0.9, 0.6, 0.3]
    hits = 0
    for _ in range(1500):
        values = [value for rate in rates for value in coin(chance, rate, 8)]
        found = stats.mean_interval(values)
        hits += found.low <= fmean(rates) <= found.high
    assert hits / 1500 >= 0.95


def test_a_run_against_itself_is_no_fall() -> None:
    chance = random.Random(3)
    rates = {str(n): 0.5 + n / 40 for n in range(20)}
    alarms = 0
    for _ in range(400):
        before, after = ({case: coin(chance, rate, 3) for case, rate in rates.items()} for _ in range(2))
        alarms += stats.fell(before, after) < 0.025
    assert alarms / 400 <= 0.05


def test_the_interval_of_a_fall_covers_it() -> None:
    chance = random.Random(5)
    hits = 0
    for _ in range(600):
        before = {str(n): coin(chance, 0.9, 1) for n in range(40)}
        after = {str(n): coin(chance, 0.75, 1) for n in range(40)}
        found = stats.drop_interval(before, after)
        hits += found.low <= 0.15 <= found.high
    assert hits / 600 >= 0.93


def test_ratios() -> None:
    before = {str(n): [1.0 + n / 10] for n in range(12)}
    after = {case: [values[0] * (1.3 + 0.01 * (int(case) % 3))] for case, values in before.items()}
    found = stats.rise_interval(before, after)
    assert found.low < 0.31 < found.high and found.low > 0.29
    assert stats.rose(before, after) < 0.001
    assert stats.rise_interval({"a": [1.0]}, {"a": [2.0]}).high == math.inf


SCORES: dict[str, tuple[Callable[[random.Random], float], float]] = {
    "a few are 0": (lambda chance: 0.0 if chance.random() < 0.02 else chance.uniform(0.9, 1), 0.98 * 0.95),
    "a few are half": (lambda chance: 0.5 if chance.random() < 0.05 else 1.0, 0.975),
    "a few are 1": (lambda chance: 1.0 if chance.random() < 0.04 else chance.uniform(0, 0.1), 0.088),
    "three values": (lambda chance: chance.choices([0.0, 0.5, 1.0], [1, 5, 44])[0], 0.93),
    "spread": (lambda chance: chance.betavariate(8, 2), 0.8),
}
"""How scores fall, with their true mean."""


@pytest.mark.parametrize("shape", SCORES)
@pytest.mark.parametrize("n", [3, 6, 10, 20, 60])
def test_the_interval_of_a_mean_holds_for_scores_of_any_shape(shape: str, n: int) -> None:
    chance = random.Random(n)
    draw, truth = SCORES[shape]
    runs = 300
    found = [stats.mean_interval([draw(chance) for _ in range(n)]) for _ in range(runs)]
    assert sum(each.low > truth for each in found) <= 0.025 * runs
    assert sum(each.high < truth for each in found) <= 0.025 * runs
    assert all(each.low <= each.value <= each.high for each in found)


def test_the_interval_of_a_mean_narrows_and_its_test_agrees() -> None:
    chance = random.Random(2)
    values = [chance.uniform(0.6, 0.8) for _ in range(400)]
    found = stats.mean_interval(values)
    assert 0.67 < found.low < 0.7 < found.high < 0.73
    assert stats.below(values, found.high + 0.001) < 0.025 < stats.below(values, found.high - 0.001)


def test_a_fall_that_few_cases_take_far_is_inside_its_interval() -> None:
    chance, truth, runs = random.Random(4), 0.05 * 0.9, 300
    outside = 0
    for _ in range(runs):
        before = {str(n): [0.95] for n in range(20)}
        after = {
            case: [0.95 - 0.9 * (chance.random() < 0.05) + chance.uniform(-0.04, 0.04)] for case in before
        }
        outside += stats.drop_interval(before, after).high < truth
    assert outside <= 0.025 * runs


def test_an_estimate_lies_inside_its_interval() -> None:
    for trials in range(2, 9):
        for passed in range(trials + 1):
            for each in reliability("s", None, [True] * passed + [False] * (trials - passed)):
                assert each.low <= each.value <= each.high
