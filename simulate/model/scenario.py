"""What happens: who calls whom, for what, with which world pinned, and what is expected."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from simulate.model.expect import Expectation
from simulate.model.persona import Persona, Strict
from simulate.model.units import seconds

Duration = Annotated[float, BeforeValidator(seconds)]
"""Seconds; written ``250ms``, ``1.5s``, ``2m`` or ``1h`` in a file."""


class When(Strict):
    """What a scripted line waits for; all that is given must hold."""

    said: str | None = None
    """Text that the agent has said since the caller's last line, ignoring case."""
    said_matches: str | None = None
    """A regular expression that it has said since then."""
    called: str | None = None
    """A tool that the agent has called."""


class Line(Strict):
    """One scripted line, or another thing the caller does. Exactly one of ``says``, ``dtmf``, ``silent_for``,
    ``backchannel`` and ``hangs_up``."""

    says: str | None = None
    dtmf: str | None = None
    silent_for: Duration | None = None
    backchannel: str | None = None
    hangs_up: bool = False
    when: When | None = None
    waits: Duration | None = None
    """Seconds of hesitation before it."""
    interrupts_after: Duration | None = None
    """Seconds after the agent has begun to speak."""
    interrupts_when: str | None = None
    """Text that, once heard, makes the caller cut in."""


class ToolPin(Strict):
    """What one of the agent's tools answers: always the same, one answer a call, or by arguments."""

    returns: Any = None
    sequence: list[Any] | None = None
    cases: list[ToolCase] | None = None
    error: str | None = None
    delay: Duration = 0.0


class ToolCase(Strict):
    """An answer for calls whose arguments match ``when``."""

    when: dict[str, Any]
    returns: Any = None
    error: str | None = None


class Limits(Strict):
    """Where a conversation is cut off. Reaching one is a finding, not an error."""

    turns: int = Field(default=20, ge=1, le=10_000)
    time: Duration = 300.0
    tokens: int | None = Field(default=None, ge=1)
    cost: float | None = Field(default=None, gt=0)
    reply: Duration = 60.0
    """How long one reply may take."""


class Scenario(Strict):
    """One test: a persona, a goal or a script, pinned tools, expectations, limits."""

    name: str
    description: str | None = None
    tags: list[str] = Field(default_factory=list)
    agent: str | None = None
    persona: str | Persona | None = None
    goal: str | None = None
    medium: Literal["text", "voice"] = "text"
    speaks_first: Literal["caller", "agent"] = "caller"
    opens_with: str | None = None
    script: list[Line] = Field(default_factory=list)
    tools: dict[str, Any] = Field(default_factory=dict)
    expect: list[Expectation] = Field(default_factory=list)
    limits: Limits = Field(default_factory=Limits)
    trials: int = Field(default=1, ge=1, le=1000)
    seed: int | None = None
    cases: list[dict[str, Any]] | str | None = None
