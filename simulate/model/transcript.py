"""What was said, by whom, when, over whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Speaker = Literal["caller", "agent"]
Kind = Literal["speech", "dtmf", "silence", "backchannel", "vocal_tic", "aside", "hold_music"]
EndedBy = Literal["caller", "agent", "limit", "fault"]
NO_TURN: frozenset[Kind] = frozenset({"backchannel", "vocal_tic", "aside", "hold_music"})
"""What is said with no wish to take the turn."""


@dataclass(slots=True)
class Utterance:
    """One thing that one side said.

    ``start`` and ``end`` are seconds since the conversation began. ``turn`` counts the caller's turns from
    1; what the agent says before the caller has spoken is turn 0. ``heard`` is what reached the other side
    when that differs from ``text`` (an interruption, a bad line). ``first`` is when the first token or
    sound of it came, in seconds since the conversation began.
    """

    speaker: Speaker
    text: str
    turn: int
    start: float
    end: float
    first: float | None = None
    heard: str | None = None
    spoken: str | None = None
    """In voice, what the agent's speech synthesis was asked to say; ``text`` is what was audible of it."""
    doubt: str | None = None
    """The sentences of ``spoken`` of which the caller understood all but an id, an amount, a date or a name:
    whether the voice or the caller's recognition got that wrong is not known."""
    interrupted: bool = False
    kind: Kind = "speech"
    span_id: str | None = None
    attachments: list[str] = field(default_factory=list[str])
    """Names of the files that were sent with it."""
    cut_off: str | None = None
    """Why it is not whole: the finish reason (``length``, ``content_filter`` …) of the model that made it."""

    @property
    def takes_turn(self) -> bool:
        """Whether it asks the other side for an answer; a "mhm" does not."""
        return self.kind not in NO_TURN

    @property
    def received(self) -> str:
        """What the other side got of it."""
        return self.text if self.heard is None else self.heard

    @property
    def audible(self) -> str:
        """What could be heard of it; the simulated caller's own recognition may have understood less."""
        return self.received if self.spoken is None else self.text


@dataclass(slots=True)
class ToolUse:
    """One tool call, as seen from the agent's trace or, failing that, at the tool itself."""

    name: str
    arguments: dict[str, Any]
    result: Any = None
    error: str | None = None
    turn: int | None = None
    start: float | None = None
    end: float | None = None
    span_id: str | None = None
    call_id: str | None = None
    arguments_known: bool = True
    """False where the trace tells of the call but not of its arguments; ``arguments`` is empty then."""
    result_known: bool = True
    """False where the trace does not tell what the tool gave back; ``result`` is None then."""
    ran: bool | None = True
    """False where a model asked for it and nobody ran it; None where nothing shows whether it ran."""
    asked_arguments: dict[str, Any] | None = None
    """What the model asked for, where the tool ran with something else."""


@dataclass(slots=True)
class Conversation:
    """The whole of what caller and agent said to each other; ``id`` is also the trace id we sent."""

    id: str
    medium: Literal["text", "voice"] = "text"
    utterances: list[Utterance] = field(default_factory=list[Utterance])
    ended_by: EndedBy | None = None
    end_reason: str | None = None
    started_ns: int = 0
    duration: float = 0.0

    def add(self, utterance: Utterance) -> None:
        """Put in what was just said."""
        self.utterances.append(utterance)

    def by(self, speaker: Speaker) -> list[Utterance]:
        """All that one side said, in order."""
        return [said for said in self.utterances if said.speaker == speaker]

    @property
    def turns(self) -> int:
        """How many turns the caller took."""
        return max((said.turn for said in self.utterances), default=0)

    def transcript(self) -> str:
        """One line an utterance, as plain text."""
        return "\n".join(f"{said.speaker}: {said.received}" for said in self.utterances)
