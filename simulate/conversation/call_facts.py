"""What the harness knows of a call by its own doing, and need not ask of a noisy recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from simulate.model.transcript import Utterance
from simulate.trace.capture.observed import Told

Span = tuple[float, float]
"""Begin and end, in seconds since the call began."""


class Loudness(Protocol):
    """Of one side of a call, from its beginning on."""

    def stretches(self, seconds: float) -> Sequence[Any]:
        """Where there was speech up to then, each with ``start`` and ``end``."""
        ...


@dataclass(slots=True)
class CallFacts:
    """Written down while a call lasts; times are those of the recording."""

    played: list[tuple[Utterance, list[Span]]] = field(default_factory=list[tuple[Utterance, list[Span]]])
    """Where each thing that the caller said sounds, before its line added noise; it pauses between two."""
    waits: list[Span] = field(default_factory=list[Span])
    """When the caller had nothing to say and waited for the agent."""
    cuts: list[float] = field(default_factory=list[float])
    """When the agent's own side said that it was interrupted: what it was saying ended there, however soon it
    speaks again."""

    cuts_known: bool = False
    """Whether the agent's side tells of each."""
    background: bool = False
    """Whether noise, other voices or the agent's own echo reached the agent beside the caller's words."""
    agent: Loudness | None = None
    """How loud the agent was as its sound came, before the line changed it."""

    told: list[Told] = field(default_factory=list[Told])
    """For the trace of an agent that leaves none."""

    def sounds(self, utterance: Utterance) -> list[Span] | None:
        """Where this sounds; None where nobody noted it."""
        return next((sounds for said, sounds in self.played if said is utterance), None)
