"""A diff in ten lines."""

from __future__ import annotations

from collections import Counter

from simulate.diff.change import ORDER, Category, Change, Diff


def summary(diff: Diff, lines: int = 10) -> str:
    """The changes that matter most first, and what was left out, in at most ``lines`` lines (at least 3)."""
    lines = max(lines, 3)
    tail = _tail(diff)
    if not diff.changes:
        return "\n".join([_nothing(diff), *tail][:lines])
    room = lines - len(tail)
    grouped = _grouped(diff.changes)
    if len(grouped) > room:
        shown, left = grouped[: room - 1], grouped[room - 1 :]
        rest = Counter(change.category for change in left)
        tail.insert(0, "… and " + ", ".join(f"{rest[c]} more in {c}" for c in ORDER if rest[c]))
    else:
        shown = grouped
    return "\n".join([*(f"{change.category.value:9}  {change.sentence}" for change in shown), *tail])


def _grouped(changes: list[Change]) -> list[Change]:
    """Cost in one line, and many spans' alike changes in one with their number."""
    from dataclasses import replace

    cost = [change for change in changes if change.category is Category.COST]
    found: list[Change] = []
    count = Counter((change.category, change.path) for change in changes)
    told: set[tuple[Category, str]] = set()
    for change in changes:
        key = (change.category, change.path)
        if change.category is Category.COST:
            if change is cost[0]:
                found.append(replace(change, sentence=", ".join(one.sentence for one in cost)))
            continue
        if key in told:
            continue
        told.add(key)
        more = count[key] - 1
        found.append(
            replace(change, sentence=f"{change.sentence} (and {more} more like it)") if more else change
        )
    return found


def _nothing(diff: Diff) -> str:
    both = f"{len(diff.expected)} and {len(diff.actual)} spans"
    return f"no change in behaviour, content, cost, latency or shape ({both})"


def _tail(diff: Diff) -> list[str]:
    tail: list[str] = list(diff.notes[:2])
    if diff.repeats:
        from simulate.diff.calibrate import rarely

        runs = diff.repeats + 1
        tail.append(
            f"{len(diff.varies)} differences left out that the {diff.repeats} repeats show too; what else "
            f"differs, an unchanged agent would show in at most {rarely(runs):.0%} of runs"
        )
    elif diff.changes and not diff.same:
        tail.append("one run against one: what varies by itself cannot be told apart (--repeat FILE… does)")
    return tail
