"""The evidence, and how every expectation of a scenario gets its verdict."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from simulate.errors import Fault
from simulate.model.expect import Expectation, Times
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, ToolUse
from simulate.model.verdict import Status, Verdict
from simulate.scoring.evaluators.attach import attach_to
from simulate.trace.reading import ToolCall, TraceReading
from simulate.trace.span import Trace

if TYPE_CHECKING:
    from simulate.scoring.evaluators.result import Result
    from simulate.scoring.judge import Judge

E = TypeVar("E", bound=Expectation)
CheckType = TypeVar("CheckType", bound="type[Check[Any]]")


@dataclass(slots=True)
class Evidence:
    """All that a check may look at once the conversation is over and its trace is in."""

    scenario: Scenario
    conversation: Conversation
    reading: TraceReading
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])
    """Those of the trace, and those that only the tools themselves saw, in the order of their beginning."""
    no_tools_because: str | None = None
    """Why the trace says nothing about tools; None where it does, be it that none was called."""
    observed: bool = False
    """Whether the agent left no spans, so that the trace is only what we saw of it from outside."""
    writes: list[str] | None = None
    """The tools that the scenario or its project lists as those that write; None where neither does."""
    judge: Judge | None = None
    measures: dict[str, Any] = field(default_factory=dict[str, Any])
    folder: Path | None = None
    """Paths in the scenario are relative to it."""
    project: Path | None = None
    """The project's folder, where modules of one's own are looked for; None is the working directory."""
    recording: str | None = None
    state: tuple[Any, Any] | None = None
    """What the world's ``state()`` gave before and after the conversation; None without a world."""
    delays: dict[int, float] = field(default_factory=dict[int, float])
    """By turn: seconds in which the machine, or other conversations, could have kept the answer waiting."""
    replayed: bool = False
    """Whether a recording answered for the agent's model, at a pace of its own."""
    outages: dict[int, str] = field(default_factory=dict[int, str])
    """By turn: why the agent's own model could not answer, where the last of the turn's calls failed."""
    update_snapshots: bool = False
    """Whether ``snapshot:`` writes its file instead of comparing with it."""
    scores: list[Result] = field(default_factory=list["Result"])
    """What evaluators found; they land on the trace once every expectation is judged."""

    @property
    def tool_uses(self) -> list[ToolUse]:
        """``tool_calls`` as plain data, as an outcome's file has them."""
        return [call.plain() for call in self.tool_calls]

    @property
    def trace(self) -> Trace:
        """The agent's spans."""
        return self.reading.trace


class Check(Generic[E]):
    """Judges one expectation."""

    def __init__(self, expectation: E) -> None:
        self.expectation = expectation

    def describe(self) -> str:
        """The expectation, as a person would say it."""
        raise NotImplementedError

    async def judge(self, evidence: Evidence) -> Verdict:
        """The verdict. Raises a Fault where somebody else than the agent made it impossible."""
        raise NotImplementedError

    async def verdicts(self, evidence: Evidence) -> list[Verdict]:
        """One verdict, for every word but those that hold several expectations in one."""
        return [await self.judge(evidence)]

    def verdict(self, status: Status, fact: str, **details: Any) -> Verdict:
        """A verdict of this check; a failed one is the agent's."""
        side = "agent" if status == "failed" else None
        return Verdict(self.expectation.word, self.describe(), status, fact, side=side, **details)


CHECKS: dict[type[Expectation], type[Check[Any]]] = {}
"""Which class judges which word."""
BY_DEFAULT: list[Callable[[Sequence[Expectation], Evidence], list[Verdict]]] = []
"""What is judged though no word asks for it; each says nothing where nothing is wrong."""

_MODULES = (
    "tools",
    "writes",
    "speech",
    "claims",
    "clean_text",
    "snapshot",
    "amounts",
    "spans",
    "traces",
    "voice",
    "scores",
    "complete",
    "state",
)
"""Imported when the first expectation is judged, so that reading scenarios stays cheap."""


def judges(expectation: type[Expectation]) -> Callable[[CheckType], CheckType]:
    """Register the class that judges a word."""

    def register(check: CheckType) -> CheckType:
        CHECKS[expectation] = check
        return check

    return register


async def check_all(expectations: Sequence[Expectation], evidence: Evidence) -> list[Verdict]:
    """One verdict an expectation (``scores:`` has one an evaluator), in the scenario's order; judges are
    asked side by side. Scores are put on the trace last, so that no check sees what another one changed."""
    _import_all()
    found = await asyncio.gather(*(_one(each, evidence) for each in expectations))
    found += [check(expectations, evidence) for check in BY_DEFAULT]
    if evidence.scores:
        attach_to(evidence.trace, evidence.scores)
    return [verdict for verdicts in found for verdict in verdicts]


def describe(expectation: Expectation) -> str:
    """The expectation, as a person would say it."""
    _import_all()
    return CHECKS[type(expectation)](expectation).describe()


def _import_all() -> None:
    for module in _MODULES:
        importlib.import_module(f"simulate.scoring.checks.{module}")


async def _one(expectation: Expectation, evidence: Evidence) -> list[Verdict]:
    check = CHECKS[type(expectation)](expectation)
    try:
        return await check.verdicts(evidence)
    except Fault as fault:
        proof = [] if fault.proof is None else [fault.proof]
        return [
            Verdict(
                expectation.word,
                check.describe(),
                "error",
                fault.message,
                side=fault.side,
                evidence=proof,
                hint=fault.hint,
            )
        ]


def at_span(call: ToolCall) -> dict[str, Any]:
    """Where a tool call happened, for a verdict."""
    return {"turn": call.turn, "span_id": call.span_id}


def allowed_times(times: int | Times | None) -> tuple[int, int | None]:
    """Least and most, both included; by default at least once."""
    if times is None:
        return 1, None
    if isinstance(times, int):
        return times, times
    return times.at_least, times.at_most


def say_times(times: int | Times | None) -> str:
    """``exactly 2 times``, for a sentence; empty for the default."""
    if times is None:
        return ""
    least, most = allowed_times(times)
    if least == most:
        return f" exactly {least} time{'s' * (least != 1)}"
    return f" at least {least} times" if most is None else f" {least} to {most} times"
