"""What an evaluator found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from simulate.errors import Side

Status = Literal["scored", "not_run", "error"]


@dataclass(slots=True)
class Part:
    """One thing that was looked at on the way to a value: a claim, a call, a document, a turn."""

    what: str
    """The thing itself, shortened for people."""
    value: float | None = None
    """Between 0 and 1; None where it could not be decided."""
    label: str | None = None
    reason: str | None = None
    evidence: list[str] = field(default_factory=list[str])
    span_id: str | None = None
    calls: int = 0
    """Calls of the judge's model for it."""
    counts: bool = True
    """False for what is worth nothing either way: a courtesy is not a claim."""


@dataclass(slots=True)
class Result:
    """A score with all that it takes to believe it, or the reason why there is none.

    ``value`` lies between 0 and 1, and 1 is good, for every evaluator. It is None unless ``status`` is
    ``scored``: ``not_run`` lacks something (``explanation`` says what), ``error`` is somebody's fault
    (``side``), never the agent's.
    """

    evaluator: str
    version: str
    status: Status
    explanation: str
    value: float | None = None
    label: str | None = None
    threshold: float | None = None
    """The least value that passes."""
    trace_id: str | None = None
    span_id: str | None = None
    """The span that produced the answer; where several did, the one that lost most."""
    evidence: list[str] = field(default_factory=list[str])
    parts: list[Part] = field(default_factory=list[Part])
    judge: str | None = None
    """The model that judged; None for a deterministic score."""
    prompt: str | None = None
    """The file with the question that the judge was asked, without its ending."""
    side: Side | None = None
    hint: str | None = None
    calls: int = 0
    """Calls of the judge's model."""
    low: float = 0.0
    high: float = 1.0
    """The range that values of this evaluator may take."""

    @property
    def direction(self) -> Literal["higher is better"]:
        """The same for all."""
        return "higher is better"

    @property
    def passed(self) -> bool | None:
        """Whether the value reaches the threshold; None where there is no value or no threshold."""
        if self.status != "scored" or self.value is None or self.threshold is None:
            return None
        return self.value >= self.threshold

    @property
    def annotator(self) -> Literal["CODE", "LLM"]:
        """Who scored, in the words of the score APIs."""
        return "CODE" if self.judge is None else "LLM"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with ``passed`` and ``direction``."""
        return {**asdict(self), "passed": self.passed, "direction": self.direction}
