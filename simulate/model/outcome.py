"""What came of one conversation: verdicts, measures, one status, and whose fault it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from simulate.errors import Side
from simulate.model.conversation import Conversation, ToolUse

Status = Literal["passed", "failed", "error", "not_run"]
SCHEMA = 1


@dataclass(slots=True)
class Verdict:
    """What one expectation came to. ``error`` has a side; ``not_run`` has a reason and is never a pass."""

    check: str
    """The word under ``expect:``, or ``limit``, ``agent``, ``simulator`` for what the harness found itself."""
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


@dataclass(slots=True)
class Outcome:
    """One conversation with an agent, judged."""

    scenario: str
    agent: str
    status: Status
    conversation: Conversation
    case: str | None = None
    trial: int = 1
    side: Side | None = None
    reason: str | None = None
    """Why it is not ``passed``, in one line."""
    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    tool_uses: list[ToolUse] = field(default_factory=list[ToolUse])
    measures: dict[str, float | int | str | None] = field(default_factory=dict[str, Any])
    """``turns``, ``duration_seconds``, ``reply_p50_seconds``, ``input_tokens``, ``cost_usd`` … ; None is unknown."""
    notes: list[str] = field(default_factory=list[str])
    """What a reader should know and nobody failed: spans lost, a tool pinned and never offered."""
    persona: dict[str, Any] = field(default_factory=dict[str, Any])
    """The persona as it was played, with what Faker filled in."""
    seed: int = 0
    tags: list[str] = field(default_factory=list[str])
    source: str | None = None
    """``file:line`` of the scenario."""
    started: str = ""
    """ISO 8601, UTC."""
    folder: str | None = None
    recording: str | None = None
    """Path of the two-channel WAV, for voice."""
    trace_id: str | None = None
    schema: int = SCHEMA

    @property
    def passed(self) -> bool:
        return self.status == "passed"
