"""A diff in ten lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from simulate.model.text import line
from simulate.trace.diff.change import ORDER, Category, Change
from simulate.trace.diff.rates import rarely

if TYPE_CHECKING:
    from simulate.trace.diff.result import Diff


def headline(diff: Diff) -> str:
    """The gravest change, or that there is none."""
    if diff.changes:
        return line(diff.changes[0].sentence, 300)
    both = f"{len(diff.expected):,} and {len(diff.actual):,} spans"
    if diff.not_compared:
        return line(
            f"not all could be compared, and no change in the rest ({both}): {diff.not_compared[0]}", 400
        )
    return f"no change in behaviour, content, cost, latency or shape ({both})"


def summary(diff: Diff, lines: int = 10) -> str:
    """The changes that matter most first, and what was left out, in at most ``lines`` lines (at least 3)."""
    lines = max(lines, 3)
    tail = _tail(diff)[: lines - 1]
    if not diff.changes:
        return "\n".join([headline(diff), *tail])
    room = lines - len(tail)
    grouped = _grouped(diff.changes)
    if len(grouped) > room:
        left = Counter(change.category for change in grouped[max(room - 1, 1) :])
        more = ", ".join(f"{left[category]} more in {category}" for category in ORDER if left[category])
        grouped = grouped[: max(room - 1, 1)]
        tail = [f"… and {more}", *tail][: lines - 1]
    return "\n".join(
        [*(f"{change.category.value:9}  {line(change.sentence, 400)}" for change in grouped), *tail]
    )


def _grouped(changes: list[Change]) -> list[Change]:
    """Cost in one line, and changes of one path in one with their number."""
    cost = [change for change in changes if change.category is Category.COST]
    count = Counter((change.category, change.path) for change in changes)
    told: set[tuple[Category, str]] = set()
    found: list[Change] = []
    for change in changes:
        key = (change.category, change.path if change.category is not Category.COST else "cost")
        if key in told:
            continue
        told.add(key)
        if change.category is Category.COST:
            found.append(replace(change, sentence=", ".join(one.sentence for one in cost)))
        else:
            more = count[key] - 1
            sentence = f"{change.sentence} (and {more:,} more like it)" if more else change.sentence
            found.append(replace(change, sentence=sentence))
    return found


def _tail(diff: Diff) -> list[str]:
    lacking = diff.not_compared if diff.changes else diff.not_compared[1:]
    tail = [line(note, 400) for note in (*lacking, *diff.notes)][:3]
    if diff.repeats:
        runs = diff.repeats + 1
        shows = "repeat shows" if diff.repeats == 1 else "repeats show"
        count = f"{len(diff.varies)} difference{'' if len(diff.varies) == 1 else 's'}"
        tail.append(f"not counted: {count} that the {diff.repeats} {shows} too")
        if diff.changes:
            tail.append(
                f"what was the same in all {runs} expected runs, an unchanged agent would vary in at most "
                f"{rarely(runs):.0%} of runs (95 % sure)"
            )
    elif not diff.same:
        tail.append("one run against one: what varies by itself cannot be told apart (--repeat FILE… does)")
    return tail
