"""The gate's promises, by simulation: how often an interval covers the truth, and how often a gate cries
for nothing.

    python -m benchmarks.gate [--runs 4000]

Reports show Wilson's interval of a rate, whose coverage is to lie between 94 and 96.5 %. The gate decides
with the exact one, which covers at least what it promises, and for few trials more; the rows by size show how
much.
"""

from __future__ import annotations

import argparse
import functools
import random
import sys
import time
from collections.abc import Callable

from simulate.model.reliability import wilson
from simulate.scoring.gate import Gate, Measured, decide
from simulate.scoring.gate import statistics as stats


def coin(chance: random.Random, rate: float, n: int) -> list[float]:
    """``n`` trials that pass at ``rate``."""
    return [float(chance.random() < rate) for _ in range(n)]


@functools.cache
def intervals(n: int, passed: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """The one that is shown, and the one that decides."""
    exact = stats.mean_interval([1.0] * passed + [0.0] * (n - passed))
    return wilson(n, passed), (exact.low, exact.high)


def coverage(runs: int) -> tuple[float, float]:
    """Binomial trials with rates drawn between 0.05 and 0.95, as suites have them; least and most coverage of
    the interval that is shown."""
    print(f"{'interval of a rate':<44}{'trials':>8}{'covers':>9}")
    found: list[float] = []
    for n in (10, 20, 50, 100, 400, 1000):
        chance = random.Random(n)
        shown = gating = 0
        for _ in range(runs):
            rate = chance.uniform(0.05, 0.95)
            one, other = intervals(n, sum(chance.random() < rate for _ in range(n)))
            shown += one[0] <= rate <= one[1]
            gating += other[0] <= rate <= other[1]
        print(f"{'Wilson (shown in reports, pass^k)':<44}{n:>8}{shown / runs:>9.2%}")
        print(f"{'Clopper–Pearson (decides in the gate)':<44}{n:>8}{gating / runs:>9.2%}")
        found.append(shown / runs)
    return min(found), max(found)


def at_the_limit(runs: int) -> float:
    """How often an agent that is exactly as good as asked for is called too bad; the worst of all."""
    print(f"\n{'an agent exactly at its limit of 90 %':<44}{'trials':>8}{'red':>9}")
    gate, worst = Gate.model_validate({"pass_rate": 0.9}), 0.0
    for n in (10, 50, 200, 1000):
        chance, red = random.Random(n), 0
        verdicts: dict[int, bool] = {}
        for _ in range(runs):
            passed = sum(chance.random() < 0.9 for _ in range(n))
            if passed not in verdicts:
                now = Measured("a run", total=n, passes={"a": [1.0] * passed + [0.0] * (n - passed)})
                verdicts[passed] = decide(gate, now).exit_code == 1
            red += verdicts[passed]
        print(f"{'':<44}{n:>8}{red / runs:>9.2%}")
        worst = max(worst, red / runs)
    return worst


def scores(runs: int) -> None:
    """Scores between 0 and 1 that are not all 0 or 1."""
    print(f"\n{'interval of a mean score':<44}{'trials':>8}{'covers':>9}")
    kinds: dict[str, Callable[[random.Random], float]] = {
        "spread around 0.8 (beta 8, 2)": lambda chance: chance.betavariate(8, 2),
        "mostly 1, some 0.5": lambda chance: 1.0 if chance.random() < 0.8 else 0.5,
        "0, 1 and between": lambda chance: chance.choice([0.0, 1.0, 1.0, 1.0, 0.66]),
    }
    truths = {"spread around 0.8 (beta 8, 2)": 0.8, "mostly 1, some 0.5": 0.9, "0, 1 and between": 3.66 / 5}
    for name, draw in kinds.items():
        for n in (10, 40, 200):
            chance = random.Random(n)
            hits = 0
            for _ in range(runs):
                found = stats.mean_interval([draw(chance) for _ in range(n)])
                hits += found.low <= truths[name] <= found.high
            print(f"{name:<44}{n:>8}{hits / runs:>9.2%}")


def drops(runs: int) -> None:
    """The paired interval of a fall, and the power to see it."""
    print(f"\n{'fall of 10 points, one trial a case':<44}{'cases':>8}{'covers':>9}{'seen':>9}")
    for cases in (20, 50, 100, 200):
        chance = random.Random(cases)
        hits = seen = 0
        for _ in range(runs // 4):
            before = {str(n): coin(chance, 0.95, 1) for n in range(cases)}
            after = {str(n): coin(chance, 0.85, 1) for n in range(cases)}
            found = stats.drop_interval(before, after)
            hits += found.low <= 0.1 <= found.high
            seen += stats.fell(before, after) < 0.025
        print(f"{'':<44}{cases:>8}{hits / (runs // 4):>9.2%}{seen / (runs // 4):>9.2%}")


GATE = Gate.model_validate(
    {
        "pass_rate": {"may_drop": 0.02},
        "scores": {
            name: {"may_drop": 0.02} for name in ("Groundedness", "TaskCompletion", "TrajectoryScore")
        },
        "latency": {"may_grow": "5%"},
        "cost": {"may_grow": "5%"},
    }
)
"""Six comparisons with minimum effects so small that nearly nothing but the tests holds them back."""


def run(chance: random.Random, rates: dict[str, float], trials: int) -> Measured:
    """One run of a suite whose cases have these rates; nothing but chance differs between two."""
    found = Measured("a run", total=len(rates) * trials)
    for case, rate in rates.items():
        found.passes[case] = coin(chance, rate, trials)
        found.latency[case] = [chance.lognormvariate(rate, 0.4) for _ in range(trials)]
        found.cost[case] = [chance.lognormvariate(-4 + rate, 0.3) for _ in range(trials)]
        for name in ("Groundedness", "TaskCompletion"):
            values = [min(1.0, max(0.0, chance.gauss(rate, 0.15))) for _ in range(trials)]
            found.scores.setdefault(name, {})[case] = values
        found.scores.setdefault("TrajectoryScore", {})[case] = coin(chance, rate, trials)
    return found


def a_a(runs: int) -> float:
    """The share of red gates among pairs of runs of one and the same agent; the worst of all suites."""
    print(f"\n{'A/A: two runs of the same agent, 6 rules':<44}{'trials':>8}{'red':>9}")
    worst = 0.0
    for cases, trials in ((10, 1), (20, 4), (60, 1), (5, 20)):
        chance = random.Random(cases)
        rates = {str(n): chance.uniform(0.3, 1.0) for n in range(cases)}
        red = 0
        for _ in range(runs // 8):
            red += decide(GATE, run(chance, rates, trials), run(chance, rates, trials)).exit_code == 1
        worst = max(worst, red / (runs // 8))
        print(f"{f'{cases} cases':<44}{trials:>8}{red / (runs // 8):>9.2%}")
    return worst


def main() -> int:
    """Exit code 1 where more than 5 % are false alarms, or a shown interval covers too little or too much."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=4000)
    args = parser.parse_args()
    began = time.perf_counter()
    least, most = coverage(args.runs)
    scores(args.runs)
    drops(args.runs)
    worst = max(at_the_limit(args.runs), a_a(args.runs))
    print(f"\ncoverage of what is shown {least:.2%} to {most:.2%} (asked for: 94 % to 96.5 %)")
    print(f"worst false alarm {worst:.2%} (asked for: at most 5 %); {time.perf_counter() - began:.0f} s")
    return int(worst > 0.05 or least < 0.94 or most > 0.965)


if __name__ == "__main__":
    sys.exit(main())
