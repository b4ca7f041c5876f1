"""What an engine is given, and what it promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.conversation.callers.caller import Caller
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, Utterance


@dataclass(slots=True)
class Usage:
    """What the agent's own model calls took so far; None where its trace does not say."""

    tokens: int | None = None
    cost: float | None = None


@dataclass(slots=True)
class Exchange:
    """One conversation to be carried: who calls, whom, within which limits.

    The engine writes into ``conversation`` as it goes, so that a fault leaves what was said until then.
    """

    scenario: Scenario
    caller: Caller
    conversation: Conversation
    tools: PinnedTools
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """``traceparent`` and ``baggage`` for the agent."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """What an agent's process is started with, so that its spans reach our receiver."""
    usage: Callable[[], Usage] | None = None
    """Asked after each turn, only where a limit needs it."""
    seen: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    """By turn: what the door could see from outside, as span attributes."""
    heard: Callable[[Utterance], None] = lambda utterance: None
    """Told of every utterance as it ends."""
    folder: str | None = None
    """Where a recording goes."""
    recording: str | None = None
    """Path of the two-channel WAV, once the engine has written it."""
    seed: int = 0
    measures: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the engine measured besides; goes into the outcome."""
    notes: list[str] = field(default_factory=list[str])

    def over_limit(self) -> str | None:
        """Which limit on tokens or cost is reached; the trace is asked only where one is set."""
        limits = self.scenario.limits
        if self.usage is None or (limits.tokens is None and limits.cost is None):
            return None
        used = self.usage()
        if limits.tokens is not None and used.tokens is not None and used.tokens > limits.tokens:
            return f"{used.tokens} tokens are over the limit of {limits.tokens}"
        if limits.cost is not None and used.cost is not None and used.cost > limits.cost:
            return f"${used.cost:.4f} are over the limit of ${limits.cost:.4f}"
        return None


class Engine(Protocol):
    """Carries a conversation between caller and agent."""

    name: str
    address: str
    """The agent's."""
    outside: bool
    """The agent runs in another process, so its spans come over the network."""

    async def converse(self, exchange: Exchange) -> None:
        """Let caller and agent talk until one ends it or a limit is reached.

        Raises a Fault of the side that broke; what was said until then is in ``exchange.conversation``."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and processes that outlive a conversation."""
        ...
