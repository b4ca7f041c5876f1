"""Every planted fault is found and blamed on the right side, and nothing is found where nothing was
planted."""

from __future__ import annotations

import asyncio

import pytest

from fixtures.faults.catalogue import CATALOGUE
from fixtures.faults.fault import MAST, TAU2, TRAIL, Fault
from fixtures.faults.play import Played, play_all

CLEAN = 2


@pytest.fixture(scope="module")
def played() -> dict[str, Played]:
    """All of them in one process, side by side, with the clean controls between them."""
    outcomes = asyncio.run(play_all(CATALOGUE, CLEAN, jobs=24))
    named = {each.fault.name: each for each in outcomes if each.fault is not None}
    clean = [each for each in outcomes if each.fault is None]
    return named | {f"clean {each.scenario} {number}": each for number, each in enumerate(clean)}


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.name)
def test_found_on_the_right_side(fault: Fault, played: dict[str, Played]) -> None:
    each = played[fault.name]
    assert each.manifested, "the planted fault never showed itself: it proves nothing"
    assert each.verdict in ("found", "other check"), each.outcome.explain()


def test_by_the_check_that_is_meant_for_it(played: dict[str, Played]) -> None:
    assert [name for name, each in played.items() if each.verdict == "other check"] == []


def test_a_reader_is_told_where_the_agent_failed(played: dict[str, Played]) -> None:
    """One of the failed checks names a turn or a span; a check of one's own tells what it likes, and of a
    span that is not there nobody can say where."""
    nowhere: list[str] = []
    for name, each in played.items():
        failed = [one for one in each.outcome.verdicts if one.status == "failed"]
        told = [one for one in failed if one.check not in ("python", "span")]
        if told and all(one.turn is None and one.span_id is None for one in told):
            nowhere.append(name)
    assert nowhere == []


def test_no_false_alarm(played: dict[str, Played]) -> None:
    clean = [each for each in played.values() if each.fault is None]
    assert len(clean) == CLEAN * len({fault.control for fault in CATALOGUE})
    alarms = [each.outcome.explain() for each in clean if each.verdict != "clean"]
    assert not alarms, "\n".join(alarms)


def test_every_kind_of_the_known_taxonomies_is_planted() -> None:
    tags = {tag for fault in CATALOGUE for tag in fault.taxonomy}
    known = (
        {f"MAST {mode}" for mode in MAST}
        | {f"TRAIL {leaf}" for leaf in TRAIL}
        | {f"τ² {tag}" for tag in TAU2}
    )
    assert tags == known


def test_the_catalogue_is_as_large_as_it_claims() -> None:
    sides = [fault.side for fault in CATALOGUE]
    assert len(CATALOGUE) >= 60
    assert all(
        sides.count(side) >= least for side, least in (("simulator", 14), ("environment", 12), ("agent", 60))
    )
