"""What came of one conversation: verdicts, measures, one status, and whose fault it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulate.errors import Side
from simulate.model.explain import explain
from simulate.model.transcript import Conversation, ToolUse
from simulate.model.verdict import Standing, Status, Verdict

if TYPE_CHECKING:
    from simulate.trace.span import Span, Trace

SCHEMA = 1


@dataclass
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
    measures: dict[str, Any] = field(default_factory=dict[str, Any])
    """``turns``, ``duration_seconds``, ``reply_p50_seconds``, ``cost_usd`` … ; None is unknown."""
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
    pins: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the scenario's tools answered, by name, its case filled in."""
    world: str | None = None
    """What answered the other tools."""
    xfail: str | None = None
    """Why the scenario is known to fail."""
    quarantine: str | None = None
    """Why it is not trusted."""
    retried: list[str] = field(default_factory=list[str])
    """Why each attempt before this one failed."""
    fingerprint: dict[str, str] = field(default_factory=dict[str, str])
    """A hash each of what it was made of (scenario, persona, agent, models, options), so that ``--resume``
    runs anew what has changed."""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        # not fields, and underscored: the spans are stored beside the outcome, never in its JSON
        self._trace: Trace | None = None
        self._own_spans: list[Span] = []

    @property
    def trace(self) -> Trace | None:
        """The agent's trace; None on an outcome that was read back from a file."""
        return self._trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._trace = trace

    @property
    def own_spans(self) -> list[Span]:
        """The spans of the caller's and the judge's own model calls, a trace of their own."""
        return self._own_spans

    @own_spans.setter
    def own_spans(self, spans: list[Span]) -> None:
        self._own_spans = spans

    @property
    def passed(self) -> bool:
        return self.status == "passed"

    @property
    def standing(self) -> Standing:
        """What it counts as: ``passed`` is a clean pass, and only ``failed`` makes a run red.

        An error stays one, whatever the scenario excuses: it says nothing of the agent."""
        if self.status not in ("passed", "failed"):
            return self.status
        if self.quarantine is not None:
            return "quarantined"
        if self.xfail is not None:
            return "xpassed" if self.passed else "xfailed"
        return "flaky" if self.passed and self.retried else self.status

    @property
    def clean(self) -> bool | None:
        """Whether its first attempt passed; None where no verdict was reached."""
        return self.passed and not self.retried if self.status in ("passed", "failed") else None

    @property
    def key(self) -> str:
        """``scenario[case]-trial``: one conversation of a run, for people, links and folders."""
        return f"{self.scenario}[{self.case}]-{self.trial}" if self.case else f"{self.scenario}-{self.trial}"

    def explain(self) -> str:
        """Why it came to its status, as plain text that is safe to print."""
        return explain(self)


@dataclass(slots=True)
class Reliability:
    """How often ``k`` trials of one scenario and case all pass, with its interval; the suite computes it."""

    scenario: str
    case: str | None
    trials: int
    passed: int
    k: int
    value: float
    """The estimate of pass^k, between 0 and 1."""
    low: float
    high: float
    confidence: float = 0.95
    method: str = ""
    """How the interval was computed, by its name."""


@dataclass(slots=True)
class RunRecord:
    """What ran: the content of ``run.json``."""

    id: str
    started: str
    """ISO 8601, UTC."""
    agent: str | None = None
    seed: int = 0
    command: list[str] = field(default_factory=list[str])
    """The command line, word by word."""
    ended: str | None = None
    """None while it runs, and for ever if it was killed."""
    versions: dict[str, str] = field(default_factory=dict[str, str])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """Outcomes by status."""
    reliability: list[Reliability] = field(default_factory=list[Reliability])
    flaky: list[str] = field(default_factory=list[str])
    """Scenarios whose trials came out differently."""
    notes: list[str] = field(default_factory=list[str])
    planned: int | None = None
    """How many conversations the run was to have; None where nobody counted them."""
    schema: int = SCHEMA
