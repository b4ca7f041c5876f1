"""The tree: every span is there once, in its place, and what was guessed is marked."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulate.trace.span import Link, Span
from simulate.trace.tree import Tree, build

S = 10**9
NOON = 1_780_000_000 * S


def span(key: str, parent: str | None = None, start: int = 0, end: int | None = 100, **more: object) -> Span:
    ends = None if end is None else NOON + end * S
    return Span("t", key, f"name {key}", parent, NOON + start * S, ends, **more)  # type: ignore[arg-type]


def placed(tree: Tree) -> dict[str, tuple[str | None, str | None]]:
    return {
        node.span.span_id: (node.parent.span.span_id if node.parent else None, node.placement)
        for node in tree
    }


def test_spans_in_any_order_make_the_same_tree() -> None:
    spans = [span("r"), span("a", "r", 1, 9), span("b", "r", 2, 9), span("c", "b", 3, 4)]
    expected = placed(build(spans))
    assert [node.span.span_id for node in build(spans)] == ["r", "a", "b", "c"]
    for seed in range(5):
        random.Random(seed).shuffle(spans)
        assert placed(build(spans)) == expected


def test_several_roots_stay_several() -> None:
    assert [root.span.span_id for root in build([span("b", start=5), span("a")]).roots] == ["a", "b"]


def test_an_orphan_goes_where_its_link_points() -> None:
    tree = build([span("r"), span("a", "r", 1, 50), span("o", "lost", 60, 70, links=[Link("t", "a")])])
    assert placed(tree)["o"] == ("a", "link")
    assert "placed by a link: name o" in tree.notes[0]


def test_an_orphan_that_serves_goes_under_the_call_of_the_other_service() -> None:
    near = span("in", "r", 2, 9, resource={"service.name": "one"})
    call = span("call", "r", 1, 10, otel_kind="client", resource={"service.name": "one"})
    served = span("o", "lost", 3, 8, otel_kind="server", resource={"service.name": "two"})
    tree = build([span("r", resource={"service.name": "one"}), call, near, served])
    assert placed(tree)["o"] == ("call", "remote parent")


def test_an_orphan_goes_into_the_smallest_span_around_it() -> None:
    tree = build([span("r"), span("a", "r", 1, 50), span("o", "lost", 10, 20), span("child", "o", 11, 12)])
    assert placed(tree) == {"r": (None, None), "a": ("r", None), "o": ("a", "time"), "child": ("o", None)}


def test_orphans_that_lack_the_same_parent_are_siblings_not_nested() -> None:
    tree = build([span("a", "lost", 0, 100), span("b", "lost", 10, 20)])
    assert placed(tree) == {"a": (None, "orphan"), "b": (None, "orphan")}
    assert len(tree.roots) == 2


def test_a_circle_is_cut_once_and_marked() -> None:
    tree = build(
        [span("r"), span("a", "c", 1), span("b", "a", 2), span("c", "b", 3), span("self", "self", 9)]
    )
    assert placed(tree)["a"] == (None, "cycle")
    assert placed(tree)["c"] == ("b", None)
    assert placed(tree)["self"] == (None, "cycle")
    assert "2 circles" in tree.notes[0]


def test_the_same_span_twice_is_one_and_a_later_state_completes_it() -> None:
    early = span("a", "r", 1, None, attributes={"x": 1})
    late = span("a", "r", 1, 5, attributes={"x": 1, "y": 2})
    for order in ([early, late], [late, early], [late, late, early]):
        tree = build([span("r"), *order])
        found = tree.get("a")
        assert found is not None and found.span.duration == 4
        assert found.span.attributes == {"x": 1, "y": 2}
        assert len(tree) == 2
        assert any("joined" in note for note in tree.notes)
    assert early.attributes == {"x": 1}  # what came is never written over


def test_two_spans_with_one_id_are_both_kept_each_under_its_own() -> None:
    spans = [span("r"), span("a", "r", 1, 5), span("a", "r", 6, 9), span("in it", "a", 7, 8)]
    tree = build(spans)
    first, second = tree.roots[0].children
    assert (first.span.span_id, first.children) == ("a", [])
    assert second.span.span_id != "a" and [node.span.span_id for node in second.children] == ["in it"]
    assert "1 span had the id of another span" in tree.notes[0]
    assert spans[2].span_id == "a"  # what came is never written over


def test_a_span_that_follows_another_stands_beside_it_or_below_a_root() -> None:
    tree = build(
        [
            span("r", None, 0, 5),
            span("a", "r", 1, 2),
            span("after a", None, 3, 4, links=[Link("t", "a")]),
            span("late", None, 9, 10, links=[Link("t", "r")]),
            span("elsewhere", None, 2, 3, links=[Link("u", "a")]),
        ]
    )
    assert placed(tree)["after a"] == ("r", "follows")
    assert placed(tree)["late"] == ("r", "follows")
    assert placed(tree)["elsewhere"] == (None, None)


def test_a_span_without_a_start_moves_no_clock_and_comes_last() -> None:
    untimed = Span("t", "u", "redirect", "r", resource={"service.name": "pay"})
    tree = build([span("r"), untimed, span("a", "r", 5)])
    assert [node.span.span_id for node in tree] == ["r", "a", "u"]
    assert tree.notes == ["1 span without a start time: redirect"]
    assert tree.duration == 100 and untimed.duration is None


def test_the_clock_of_another_service_is_corrected_for_display_only() -> None:
    call = span("call", None, 100, 110, otel_kind="client", resource={"service.name": "one"})
    serve = span("serve", "call", 90, 94, otel_kind="server", resource={"service.name": "two"})
    inner = span("inner", "serve", 91, 92, resource={"service.name": "two"})
    tree = build([call, serve, inner])
    assert [(node.start_ns // S, (node.end_ns or 0) // S) for node in tree] == [
        (NOON // S + 100, NOON // S + 110),
        (NOON // S + 103, NOON // S + 107),
        (NOON // S + 104, NOON // S + 105),
    ]
    assert serve.start_ns == NOON + 90 * S
    assert tree.notes == ["the clock of two is at least 13,000.0 ms behind that of one; shown corrected"]


def test_a_span_that_never_ended_is_told() -> None:
    assert build([span("r", end=None)]).notes == ["1 span never ended: name r"]


def test_ten_thousand_deep_and_ten_thousand_wide() -> None:
    chain = [span(f"s{i}", f"s{i - 1}" if i else None) for i in range(10_000)]
    assert max(node.depth for node in build(chain)) == 9_999
    wide = [span(f"s{i}", "s0" if i else None) for i in range(10_000)]
    assert len(build(wide).roots[0].children) == 9_999


ids = st.sampled_from("abcdefgh")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(
            span,
            ids,
            st.none() | ids | st.just("lost"),
            st.integers(0, 20),
            st.none() | st.integers(0, 40),
            links=st.lists(st.builds(Link, st.just("t"), ids), max_size=1),
            otel_kind=st.sampled_from(["internal", "server", "client"]),
            resource=st.sampled_from([{"service.name": "one"}, {"service.name": "two"}]),
        ),
        max_size=12,
    )
)
def test_whatever_comes_every_span_is_in_the_tree_once(spans: list[Span]) -> None:
    tree = build(spans)
    nodes = list(tree)
    assert len(nodes) == len(tree) == len({id(node) for node in nodes})
    assert len({node.span.span_id for node in nodes}) == len(nodes)
    assert {node.span.span_id for node in nodes} >= {each.span_id for each in spans}
    for node in nodes:
        assert all(child.parent is node and child.depth == node.depth + 1 for child in node.children)
        assert (node.placement is None) == (node.span.parent_id == (node.parent and node.parent.span.span_id))


def test_a_root_that_links_to_its_own_child_stays_a_root() -> None:
    tree = build([span("child", "root"), span("root", None, links=[Link("t", "child")])])
    assert [(node.span.span_id, node.placement) for node in tree] == [("root", None), ("child", None)]
    assert tree.notes == []


def test_a_span_that_ends_before_it_starts_is_told() -> None:
    tree = build([Span("t", "a", "chat", None, 2_000, 1_000)])
    assert tree.notes == ["1 span ended before starting: chat"]
