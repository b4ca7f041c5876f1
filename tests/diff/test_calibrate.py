from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulate.trace.diff import compare
from simulate.trace.diff.rates import at_most, rarely
from simulate.trace.files import reader
from simulate.trace.span import Trace

TRIALS = Path(__file__).parents[3] / "shared/traces/08_taubench_airline_tasks1_5_x4trials.json"


def test_the_bound_is_the_exact_one() -> None:
    # Clopper and Pearson, one-sided 95 %: 0 of 10 gives 0.2589, 1 of 10 gives 0.3942, 2 of 20 gives 0.2826
    assert rarely(10) == pytest.approx(0.2589, abs=1e-4)
    assert at_most(0, 10) == pytest.approx(rarely(10), abs=1e-9)
    assert at_most(1, 10) == pytest.approx(0.3942, abs=1e-4)
    assert at_most(2, 20) == pytest.approx(0.2826, abs=1e-4)
    assert at_most(5, 5) == 1.0
    # the rule of three
    assert rarely(100) == pytest.approx(0.03, abs=1e-3)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 30), st.integers(1, 30))
def test_the_bound_holds_the_rate_seen(events: int, runs: int) -> None:
    if events <= runs:
        assert events / runs <= at_most(events, runs) <= 1.0


def run(
    scene: Any, seed: int, answer: str, searches: int = 1, tool: str = "lookup", **arguments: Any
) -> Trace:
    story = scene(seed).caller("where is my order?")
    for _ in range(searches):
        story.tool("search", query="orders")
    story.tool(tool, **(arguments or {"id": "4417"}))
    story.model(answer)
    return story.trace


def test_what_varies_among_repeats_is_told_and_not_counted(scene: Any) -> None:
    expected = run(scene, 0, "It is on its way.", searches=1)
    repeats = [run(scene, 1, "On its way to you!", searches=3), run(scene, 2, "It left our house today.")]
    usual = compare(expected, run(scene, 3, "You get it soon.", searches=2), repeats=repeats)
    assert usual.same
    assert {change.path for change in usual.varies} >= {"answers.1", "tools.search.count"}
    assert "not counted: " in usual.summary()

    changed = compare(expected, run(scene, 4, "You get it soon.", tool="cancel"), repeats=repeats)
    assert not changed.same
    assert {change.path for change in changed.of("behaviour")} == {"tools.lookup.count", "tools.cancel.count"}
    assert "the same in all 3 expected runs" in (changed.changes[0].sure or "")


def test_further_than_the_repeats_went_is_a_change(scene: Any) -> None:
    expected = run(scene, 0, "Yes.", searches=1)
    repeats = [run(scene, 1, "Yes.", searches=2)]
    assert compare(expected, run(scene, 2, "Yes.", searches=2), repeats=repeats).same
    far = compare(expected, run(scene, 3, "Yes.", searches=9), repeats=repeats)
    assert [change.path for change in far.of("behaviour")] == ["tools.search.count"]
    assert "never as far" in (far.changes[0].sure or "")


def test_only_the_argument_that_varies_is_free(scene: Any) -> None:
    expected = run(scene, 0, "Yes.", id="4417", note="hello")
    repeats = [run(scene, 1, "Yes.", id="4417", note="hi there")]
    assert compare(expected, run(scene, 2, "Yes.", id="4417", note="good day"), repeats=repeats).same
    assert not compare(expected, run(scene, 3, "Yes.", id="9999", note="good day"), repeats=repeats).same


@pytest.mark.skipif(not TRIALS.exists(), reason="the shared traces are not beside the checkout")
def test_four_real_trials_tell_apart_what_varies_from_what_changed() -> None:
    trials = reader.read(TRIALS)
    first, *rest = trials[1::2]  # the four trials of one task; the other four are of another
    plain = compare(first, rest[0])
    assert not plain.same
    among = compare(first, rest[0], repeats=rest)
    assert among.same, "a run that is one of the repeats shows nothing that they do not"
    assert among.varies
    other = compare(first, trials[2], repeats=rest)
    assert not other.same
    assert other.changes[0].path == "tools.cancel_reservation.count"
    assert "answers.2" in {change.path for change in other.varies}
    assert len(other.summary().splitlines()) <= 10
