"""One difference, in a person's words, and how large it has to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from simulate.errors import InputError


class Category(StrEnum):
    """By consequence, the gravest first."""

    BEHAVIOUR = "behaviour"
    CONTENT = "content"
    COST = "cost"
    LATENCY = "latency"
    SHAPE = "shape"


ORDER = tuple(Category)
SECONDARY = frozenset({Category.COST, Category.LATENCY, Category.SHAPE})
"""Told, and do not decide."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One value inside a change; ``path`` is a JSON path below the change's own. None means absent."""

    path: str
    expected: Any = None
    actual: Any = None


@dataclass(slots=True)
class Change:
    """Something that is not as it was.

    ``path`` says what, the same for both directions of a comparison (``tools.issue_refund.count``):
    ``ignore`` patterns and repeats refer to it. ``weight`` orders changes inside a category, the gravest
    first. ``expected`` and ``actual`` are the two values. ``sure`` says what repeats have to say about it.
    """

    category: Category
    path: str
    sentence: str
    weight: float = 50.0
    expected: Any = None
    actual: Any = None
    expected_spans: list[str] = field(default_factory=list[str])
    actual_spans: list[str] = field(default_factory=list[str])
    turn: int | None = None
    details: list[Detail] = field(default_factory=list[Detail])
    sure: str | None = None

    @property
    def rank(self) -> tuple[int, float]:
        """Smaller is graver."""
        return ORDER.index(self.category), self.weight

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "category": self.category.value,
            "path": self.path,
            "sentence": self.sentence,
            "turn": self.turn,
            "expected": self.expected,
            "actual": self.actual,
            "expected_spans": self.expected_spans,
            "actual_spans": self.actual_spans,
            "details": [{"path": d.path, "expected": d.expected, "actual": d.actual} for d in self.details],
            "sure": self.sure,
        }


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two numbers may be apart and still count as the same.

    Relative shares of the larger one, except ``arguments``, which is absolute and 0 by default: a refund of
    42.51 is not one of 42.50. Durations that are less than ``seconds`` apart never count.
    """

    tokens: float = 0.25
    cost: float = 0.25
    latency: float = 0.5
    seconds: float = 0.25
    arguments: float = 0.0
    scores: float = 0.1

    @classmethod
    def of(cls, given: Tolerance | Mapping[str, float] | None) -> Tolerance:
        """From a mapping as scenario files have it. InputError for a name that is not one of ours."""
        if given is None:
            return cls()
        if isinstance(given, Tolerance):
            return given
        known = list(cls.__dataclass_fields__)
        for name, value in given.items():
            if name not in known:
                raise InputError(f"there is no tolerance {name!r}", hint=f"known: {', '.join(known)}")
            if not value >= 0:
                raise InputError(f"the tolerance {name} is {value}; it must be 0 or more")
        return cls(**given)
