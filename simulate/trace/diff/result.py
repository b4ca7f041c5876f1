"""What a comparison found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from simulate.trace.diff.align import Alignment
from simulate.trace.diff.change import Category, Change
from simulate.trace.diff.forest import Forest
from simulate.trace.diff.summary import summary
from simulate.trace.span import Trace


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
        return summary(self, lines)

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
