from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulate.trace.diff.sequence import common, heaviest, increasing, myers

symbols = st.lists(st.integers(0, 4), max_size=14)


def longest(left: list[int], right: list[int]) -> int:
    """The textbook table, to check against."""
    row = [0] * (len(right) + 1)
    for one in left:
        above, row = row, [0]
        for j, other in enumerate(right):
            row.append(above[j] + 1 if one == other else max(above[j + 1], row[j]))
    return row[-1]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(symbols, symbols)
def test_pairs_are_equal_and_rise_on_both_sides(left: list[int], right: list[int]) -> None:
    pairs = common(left, right)
    assert all(left[i] == right[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
    assert len(common(left, left)) == len(left)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(symbols, symbols)
def test_myers_finds_the_longest(left: list[int], right: list[int]) -> None:
    pairs = myers(left, right)
    assert len(pairs) == longest(left, right)
    assert all(left[i] == right[j] for i, j in pairs)


def test_long_lists_with_many_differences_keep_most() -> None:
    chance = random.Random(3)
    left = [chance.randrange(5) for _ in range(6_000)]
    right = [symbol for symbol in left if chance.random() > 0.1]
    assert len(common(left, right)) > 0.5 * len(right)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), max_size=12))
def test_the_heaviest_run_is_as_heavy_as_any(items: list[tuple[int, int]]) -> None:
    pairs = [(index, right) for index, (right, _) in enumerate(items)]
    weights = [float(weight) for _, weight in items]
    chosen = heaviest(pairs, weights)
    best = [0.0] * len(pairs)
    for i in range(len(pairs)):
        best[i] = weights[i] + max((best[k] for k in range(i) if pairs[k][1] < pairs[i][1]), default=0.0)
    assert sum(weights[i] for i in chosen) == max(best, default=0.0)
    assert all(pairs[a][1] < pairs[b][1] for a, b in pairwise(chosen))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 9), max_size=12))
def test_increasing_is_the_longest(values: list[int]) -> None:
    chosen = increasing(list(enumerate(values)))
    length = [1] * len(values)
    for i in range(len(values)):
        length[i] = 1 + max((length[k] for k in range(i) if values[k] < values[i]), default=0)
    assert len(chosen) == max(length, default=0)
