"""An agent elsewhere whose spans are late, lost or misdated is judged by what they tell, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import simulate.evidence
from fixtures.faults.elsewhere import CASES
from fixtures.faults.play_elsewhere import Told, play
from simulate.trace.capture import capture

SETTLE = 1.5
"""Seconds that are waited for spans here; the cases that come in time take at most half a second."""


@pytest.fixture(scope="module")
def told() -> Iterator[dict[tuple[str, bool], Told]]:
    """Every case, side by side."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture, "SETTLE_OUTSIDE", SETTLE)
        patch.setattr(simulate.evidence, "SETTLE_OUTSIDE", SETTLE)
        yield {(each.case.name, each.wrong): each for each in asyncio.run(play())}


@pytest.mark.parametrize("name", CASES)
def test_a_right_agent_is_never_blamed(name: str, told: dict[tuple[str, bool], Told]) -> None:
    each = told[name, False]
    assert each.mistake is None, f"{each.mistake}: {each.outcome.explain()}"


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_agent_never_passes(name: str, told: dict[tuple[str, bool], Told]) -> None:
    each = told[name, True]
    assert each.mistake is None, f"{each.mistake}: {each.outcome.explain()}"


def test_most_of_it_is_decided(told: dict[tuple[str, bool], Told]) -> None:
    """Whoever decides nothing is never wrong."""
    right = [each.outcome.status for each in told.values() if not each.wrong]
    wrong = [each.outcome.status for each in told.values() if each.wrong]
    assert len(CASES) >= 140
    assert right.count("passed") >= 0.5 * len(CASES) and wrong.count("failed") >= 0.5 * len(CASES)
