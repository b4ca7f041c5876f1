from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from simulate.trace.diff.align import align
from simulate.trace.diff.forest import Forest, plant
from simulate.trace.reading import TraceReading
from simulate.trace.span import Span, Trace


def planted(trace: Trace) -> Forest:
    return plant(trace.spans, [view for _, view in TraceReading(trace)])


def partners(one: Trace, other: Trace) -> dict[str, str]:
    left, right = planted(one), planted(other)
    return {left.spans[i].span_id: right.spans[j].span_id for i, j in align(left, right).pairs}


def tree(shape: list[tuple[str, str | None, str]], seed: int = 0) -> Trace:
    """Rows of (id, parent, name)."""
    spans = [
        Span(
            "t",
            span_id,
            name,
            parent,
            seed + index,
            seed + index + 1,
            attributes={"input.value": f"about {name}"},
        )
        for index, (span_id, parent, name) in enumerate(shape)
    ]
    return Trace("t", spans)


@pytest.mark.parametrize(
    "more", [{}, {"reorder": True}, {"reorder": True, "rename": "billing"}, {"inserted": 0.1, "deleted": 0.1}]
)
def test_generated_pairs_are_matched_as_they_were_made(generator: ModuleType, more: dict[str, Any]) -> None:
    first, second, truth, total = generator.pair(1_500, generator.Edits(**more), seed=11)
    found = {there: here for here, there in partners(first, second).items()}
    wrong = sum(found.get(span_id) != origin for span_id, origin in truth.items())
    assert wrong <= (0.001 if not more.get("inserted") else 0.01) * total


def test_siblings_by_the_thousand_and_a_deep_chain_end(generator: ModuleType) -> None:
    first, second = generator.siblings(3_000)
    assert len(partners(first, second)) == len(second)
    first, second = generator.chain(5_000)
    found = partners(first, second)
    # the chain's second copy kept the ids, so the truth is the id itself
    assert len(found) == len(second)
    assert all(here == there for here, there in found.items())


def test_a_span_that_one_side_wraps_round_others_leaves_them_matched() -> None:
    plain = tree([("a", None, "root"), ("b", "a", "plan"), ("c", "a", "act"), ("d", "a", "tell")])
    wrapped = tree(
        [("A", None, "root"), ("W", "A", "retry"), ("B", "W", "plan"), ("C", "W", "act"), ("D", "A", "tell")]
    )
    assert partners(plain, wrapped) == {"a": "A", "b": "B", "c": "C", "d": "D"}
    assert partners(wrapped, plain) == {"A": "a", "B": "b", "C": "c", "D": "d"}


def test_a_moved_subtree_is_found_where_it_went() -> None:
    one = tree(
        [
            ("r", None, "root"),
            ("x", "r", "left"),
            ("m", "x", "mover"),
            ("n", "m", "inner"),
            ("y", "r", "right"),
        ]
    )
    two = tree(
        [
            ("R", None, "root"),
            ("X", "R", "left"),
            ("Y", "R", "right"),
            ("M", "Y", "mover"),
            ("N", "M", "inner"),
        ]
    )
    assert partners(one, two) == {"r": "R", "x": "X", "m": "M", "n": "N", "y": "Y"}


def test_rings_orphans_and_twice_used_ids_do_not_stop_it() -> None:
    spans = [
        Span("t", "a", "one", "b", 1, 2),
        Span("t", "b", "two", "a", 2, 3),
        Span("t", "c", "three", "gone", 3, 4),
        Span("t", "d", "four", "d", 4, 5),
        Span("t", "d", "four again", "c", 5, 6),
    ]
    forest = planted(Trace("t", spans))
    assert sorted(span.name for span in forest.spans) == ["four", "four again", "one", "three", "two"]
    result = align(forest, forest)
    assert result.left == list(range(5))


def test_an_empty_trace_matches_nothing() -> None:
    empty, one = planted(Trace("t")), planted(tree([("a", None, "root")]))
    assert align(empty, one).pairs == []
    assert align(empty, empty).pairs == []


@pytest.mark.parametrize("seed", range(5))
def test_each_span_has_one_partner_and_it_is_mutual(generator: ModuleType, seed: int) -> None:
    edits = generator.Edits(inserted=0.2, deleted=0.2, reorder=True, arguments=0.6, reworded=0.9)
    first, second, _, _ = generator.pair(300, edits, seed)
    result = align(planted(first), planted(second))
    assert [(i, j) for j, i in enumerate(result.right) if i >= 0] == sorted(
        result.pairs, key=lambda pair: pair[1]
    )
