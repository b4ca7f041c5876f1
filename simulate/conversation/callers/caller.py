"""A caller decides *what and when*; an engine decides *how*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from simulate.model.attachment import Attachment
from simulate.model.transcript import NO_TURN, Conversation, Kind


@dataclass(frozen=True, slots=True)
class Say:
    """Say this. The waits are for engines that can: a text engine keeps their order and drops the timing."""

    text: str
    after: float = 0.0
    """Seconds of hesitation before it."""
    backchannel: bool = False
    """Said while the agent talks, with no wish to take the turn."""
    dtmf: bool = False
    """The text is keys, not words."""

    vocal_tic: bool = False
    """The text names a sound that means nothing, or is one."""
    aside: bool = False
    """Said to somebody else."""
    hold_music: float = 0.0
    """Seconds of music instead of words."""
    attachments: tuple[Attachment, ...] = ()
    """Files that go with it."""
    pauses: float = 0.0
    """Seconds of silence at each "…" in the text."""

    @property
    def kind(self) -> Kind:
        """What the utterance is."""
        for kind in ("dtmf", "backchannel", "vocal_tic", "aside", "hold_music"):
            if getattr(self, kind):
                return kind
        return "speech"

    @property
    def takes_turn(self) -> bool:
        """Whether it asks the agent for an answer."""
        return self.kind not in NO_TURN


@dataclass(frozen=True, slots=True)
class Listen:
    """Say nothing; let the agent speak. ``seconds`` of silence in voice."""

    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the conversation. ``satisfied`` is the caller's own view of whether the goal was reached."""

    reason: str
    satisfied: bool | None = None
    at_once: bool = False
    """In voice, without the moment that people leave each other for a last word."""


ActionRecord = Say | Listen | HangUp


class Caller(Protocol):
    """The simulated user who plays the persona: scripted, improvised by a model, or recorded."""

    async def act(self, conversation: Conversation) -> ActionRecord:
        """What the caller does next, given what was said so far. The conversation holds only what a real
        caller would know. Called again after ``Listen`` once the agent has spoken or stayed silent.

        Raises SimulatorFault when the caller cannot play its part."""
        ...

    def finish(self, conversation: Conversation) -> list[str]:
        """Notes once it is over: lines that were never said, and the like."""
        ...
