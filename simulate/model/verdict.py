"""What one expectation came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from simulate.errors import Side

Status = Literal["passed", "failed", "error", "not_run"]
Standing = Status | Literal["flaky", "xfailed", "xpassed", "quarantined"]
"""What an outcome counts as in its run: its status, unless its scenario has excused it."""


@dataclass(slots=True)
class Verdict:
    """What one expectation came to. ``error`` has a side; ``not_run`` has a reason and is never a pass."""

    check: str
    """The word of ``expect:``, or ``limit``, ``agent``, ``simulator`` for what the harness found itself."""
    expectation: str
    """What was expected, as a person would say it."""
    status: Status
    fact: str
    """What happened instead, or what was found."""
    side: Side | None = None
    turn: int | None = None
    span_id: str | None = None
    evidence: list[str] = field(default_factory=list[str])
    hint: str | None = None
    """How to mend it, or how to allow it."""
    score: float | None = None
    threshold: float | None = None
    expected: Any = None
    actual: Any = None
