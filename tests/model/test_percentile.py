"""One percentile for latencies, pacing, costs and sampling."""

from __future__ import annotations

import random

import numpy as np
import pytest

from simulate.model.percentile import percentile


@pytest.mark.parametrize("count", [1, 2, 3, 10, 20, 100, 101])
def test_it_is_numpys(count: int) -> None:
    chance = random.Random(count)
    values = [chance.uniform(-5, 50) for _ in range(count)]
    for percent in (0, 1, 33.3, 50, 95, 99, 100):
        assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)))


def test_of_no_values_there_is_none() -> None:
    assert percentile([], 99) is None
    assert percentile([], 99, 0.0) == 0.0
