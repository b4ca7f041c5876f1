"""The tree itself: spans that only one side has, wraps, spans that stand elsewhere. The least of changes."""

from __future__ import annotations

from collections import Counter

from simulate.model.text import counted
from simulate.trace.diff.align import Alignment
from simulate.trace.diff.behaviour import Story
from simulate.trace.diff.change import Category, Change
from simulate.trace.diff.forest import Forest
from simulate.trace.diff.wording import listed


def shape_changes(one: Story, other: Story, alignment: Alignment) -> list[Change]:
    """At most four changes, however many spans they are about."""
    left, right = one.forest, other.forest
    gone = [i for i, j in enumerate(alignment.left) if j < 0]
    come = [j for j, i in enumerate(alignment.right) if i < 0]
    before = _wraps(gone, alignment.left, left, right)
    after = _wraps(come, alignment.right, right, left)
    changes = _counted(gone, come, left, right)
    for wraps, verb, mine, holder in (
        (before, "no longer wraps", left, "was"),
        (after, "now wraps", right, "now"),
    ):
        if wraps:
            names = Counter(f"{mine.spans[n].name} {verb} {mine.spans[c].name}" for n, c in wraps.items())
            spans = [mine.spans[n].span_id for n in wraps]
            change = Change(Category.SHAPE, "shape.wraps", listed(names, 2), 81)
            if holder == "was":
                change.expected, change.expected_spans = len(wraps), spans
            else:
                change.actual, change.actual_spans = len(wraps), spans
            changes.append(change)
    wrapped = {c for n in before for c in left.children(n)}
    wrapped |= {alignment.right[c] for n in after for c in right.children(n)}
    moved = [
        (i, j) for i, j in alignment.pairs if left.parent[i] >= 0 and right.parent[j] >= 0
        and alignment.left[left.parent[i]] != right.parent[j] and i not in wrapped
    ]  # fmt: skip
    if moved:
        names = Counter(left.spans[i].name for i, _ in moved)
        changes.append(
            Change(
                Category.SHAPE, "shape.places",
                f"{counted(len(moved), 'span')} under another parent ({listed(names)})", 82,
                expected_spans=[left.spans[i].span_id for i, _ in moved],
                actual_spans=[right.spans[j].span_id for _, j in moved],
            )
        )  # fmt: skip
    return changes


def _counted(gone: list[int], come: list[int], left: Forest, right: Forest) -> list[Change]:
    if not gone and not come:
        return []
    parts = [
        f"{counted(len(nodes), 'span')} {word} ({listed(Counter(forest.spans[n].name for n in nodes))})"
        for nodes, word, forest in ((gone, "missing", left), (come, "added", right))
        if nodes
    ]
    return [
        Change(
            Category.SHAPE, "shape.spans", ", ".join(parts), 80, len(gone), len(come),
            [left.spans[i].span_id for i in gone], [right.spans[j].span_id for j in come],
        )
    ]  # fmt: skip


def _wraps(alone: list[int], partner: list[int], mine: Forest, theirs: Forest) -> dict[int, int]:
    """Spans of one side alone that stand between a matched parent and its matched child; with that child."""
    found: dict[int, int] = {}
    for node in alone:
        above = mine.parent[node]
        if above < 0 or partner[above] < 0:
            continue
        for child in mine.children(node):
            if partner[child] >= 0 and theirs.parent[partner[child]] == partner[above]:
                found[node] = child
                break
    return found
