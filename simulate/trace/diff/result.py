"""What a comparison found, and how it is told in ten lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from simulate.model.text import counted, line
from simulate.trace.diff.align import Alignment
from simulate.trace.diff.change import ORDER, Category, Change
from simulate.trace.diff.forest import Forest
from simulate.trace.diff.rates import rarely
from simulate.trace.reading import TraceReading
from simulate.trace.span import Trace

MOST_LACKING = 3
"""Lines about what could not be compared."""
UNKNOWN = "unknown"
"""Stands where a change has its category."""
_TURN = re.compile(r"^turn \d+ |^the opening | in turn \d+$")


@dataclass(slots=True)
class Diff:
    """What changed between two traces, the gravest first.

    ``varies`` holds differences that repeats of the expected run show among themselves too; told, and
    do not count. ``repeats`` is how many there were.
    """

    expected: Trace
    actual: Trace
    changes: list[Change]
    varies: list[Change] = field(default_factory=list[Change])
    repeats: int = 0
    notes: list[str] = field(default_factory=list[str])
    unmet: list[str] = field(default_factory=list[str])
    """Paths to ignore at which nothing differs: perhaps misspelt."""
    not_compared: list[str] = field(default_factory=list[str])
    """What one of the traces does not tell, so that a change of it would not show; one sentence each."""
    alignment: Alignment | None = None
    forests: tuple[Forest, Forest] | None = None
    readings: tuple[TraceReading, TraceReading] | None = None
    """Of both traces, for whoever tells more of them."""

    @property
    def same(self) -> bool:
        """Nothing changed in behaviour or content, as far as could be compared; ``not_compared`` says what
        could not. Cost, latency and shape are told, and do not decide."""
        return not self.of(Category.BEHAVIOUR, Category.CONTENT)

    def of(self, *categories: str) -> list[Change]:
        """The changes of these categories."""
        return [change for change in self.changes if change.category in categories]

    def only(self, categories: Sequence[str]) -> Diff:
        """The same comparison, looked at for these categories alone."""
        return replace(
            self, changes=self.of(*categories), varies=[c for c in self.varies if c.category in categories]
        )

    def summary(self, lines: int = 10) -> str:
        """What changed, in at most so many lines."""
        return _summary(self, lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        pairs = [] if self.alignment is None or self.forests is None else self.alignment.pairs
        return {
            "schema": 1,
            "same": self.same,
            "not_compared": self.not_compared,
            "expected": _named(self.expected),
            "actual": _named(self.actual),
            "repeats": self.repeats,
            "matched_spans": len(pairs),
            "changes": [change.to_dict() for change in self.changes],
            "varies": [change.to_dict() for change in self.varies],
            "notes": self.notes,
            "ignored_nothing": self.unmet,
        }


def _named(trace: Trace) -> dict[str, Any]:
    return {"trace_id": trace.trace_id, "source": trace.source, "spans": len(trace)}


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


def _summary(diff: Diff, lines: int = 10) -> str:
    """What could not be compared, then the changes that matter most, and what was left out; in at most
    ``lines`` lines (at least 3)."""
    lines = max(lines, 3)
    lacking = _lacking(diff, min(MOST_LACKING, lines - 2))
    tail = _tail(diff)[: lines - 1 - len(lacking)]
    if not diff.changes:
        return "\n".join([headline(diff), *lacking, *tail])
    room = lines - len(lacking) - len(tail)
    told = grouped(diff.changes)
    if len(told) > room:
        left = Counter(group.changes[0].category for group in told[max(room - 1, 1) :])
        more = ", ".join(f"{left[category]} more in {category}" for category in ORDER if left[category])
        told = told[: max(room - 1, 1)]
        tail = [f"… and {more}", *tail][: lines - len(lacking) - 1]
    shown = (f"{group.changes[0].category.value:9}  {line(group.sentence, 400)}" for group in told)
    return "\n".join([*lacking, *shown, *tail])


def _lacking(diff: Diff, most: int) -> list[str]:
    """What could not be compared, but for what the headline says."""
    facts = diff.not_compared if diff.changes else diff.not_compared[1:]
    shown = [f"{UNKNOWN:9}  {line(fact, 400)}" for fact in facts[:most]]
    if len(facts) > most:
        more = len(facts) - most
        shown[-1] += f" (and {more} more that could not be compared)"
    return shown


@dataclass(frozen=True, slots=True)
class Group:
    """Changes that are told in one sentence."""

    sentence: str
    changes: list[Change]


def grouped(changes: Sequence[Change]) -> list[Group]:
    """Cost in one; a change that repeats itself, turn after turn, in one with its number and turns; others of
    one path in one with their number."""
    groups: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        groups.setdefault(_key(change), []).append(change)
    return [Group(_sentence(members), members) for members in groups.values()]


def _key(change: Change) -> tuple[str, ...]:
    if change.category is Category.COST:
        return (change.category,)
    if change.path.startswith("answers."):
        return (change.category, "answers", _TURN.sub("", change.sentence))
    return (change.category, change.path)


def _sentence(members: Sequence[Change]) -> str:
    first = members[0]
    if first.category is Category.COST:
        return ", ".join(one.sentence for one in members)
    if len(members) == 1:
        return first.sentence
    if len({_TURN.sub("", one.sentence) for one in members}) == 1:
        turns = sorted({one.turn for one in members if one.turn is not None})
        sentence = re.sub(r" in turn \d+$", "", first.sentence)
        return f"{sentence} (×{len(members):,}{_turns(turns)})"
    return f"{first.sentence} (and {len(members) - 1:,} more like it)"


def _turns(turns: Sequence[int]) -> str:
    """`` in turns 2–4, 7``."""
    if len(turns) < 2:
        return f" in turn {turns[0]}" if turns else ""
    runs: list[list[int]] = []
    for turn in turns:
        if runs and turn == runs[-1][-1] + 1:
            runs[-1].append(turn)
        else:
            runs.append([turn])
    shown = [f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return f" in turns {', '.join(shown[:5])}{' …' if len(shown) > 5 else ''}"


def _tail(diff: Diff) -> list[str]:
    tail = [line(note, 400) for note in diff.notes][:2]
    if diff.repeats:
        runs = diff.repeats + 1
        shows = "repeat shows" if diff.repeats == 1 else "repeats show"
        tail.append(
            f"not counted: {counted(len(diff.varies), 'difference')} that the {diff.repeats} {shows} too"
        )
        if diff.changes:
            tail.append(
                f"what was the same in all {runs} expected runs, an unchanged agent would vary in at most "
                f"{rarely(runs):.0%} of runs (95 % sure)"
            )
    elif not diff.same:
        tail.append("one run against one: what varies by itself cannot be told apart (--repeat FILE… does)")
    return tail
