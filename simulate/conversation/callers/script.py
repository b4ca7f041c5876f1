"""A caller who says what is written down."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from simulate.conversation.callers.caller import ActionRecord, HangUp, Listen, Say
from simulate.conversation.callers.styling import with_typos
from simulate.errors import SimulatorFault
from simulate.model.attachment import Attachment
from simulate.model.bounded_regex import bounded
from simulate.model.persona import Speaks
from simulate.model.scenario import END, Line, Scenario, When
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.trace.reading import ToolName

Uses = Callable[[], Sequence[ToolUse]]


def since_last_line(conversation: Conversation) -> list[Utterance]:
    """What the agent has said since the caller spoke last."""
    heard: list[Utterance] = []
    for said in reversed(conversation.utterances):
        if said.speaker == "caller" and said.takes_turn:
            break
        if said.speaker == "agent":
            heard.append(said)
    return heard[::-1]


class Script:
    """The lines that must happen, in their order: one that waits holds back those after it."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        speaks: Speaks | None = None,
        uses: Uses | None = None,
        seed: int = 0,
    ) -> None:
        opening = [Line(says=scenario.opens_with)] if scenario.opens_with else []
        lines = [*opening, *scenario.script]
        if scenario.medium == "text":
            lines = [line for line in lines if not _by_voice_alone(line)]
        self.lines: list[Line] = lines
        self._uses: Uses = uses or (lambda: ())
        self._labels = {line.label: place for place, line in enumerate(self.lines) if line.label is not None}
        self._labels.setdefault(END, len(self.lines))
        self._next = 0
        self._typed: Callable[[str], str] = str
        """A line as the persona types it: word for word, unless they make slips."""
        if speaks is not None and speaks.typos not in (None, "none") and scenario.medium == "text":
            self._typed = functools.partial(with_typos, speaks=speaks, chance=random.Random(seed))

    @property
    def line(self) -> Line | None:
        """The next line, due or not."""
        return self.lines[self._next] if self._next < len(self.lines) else None

    @property
    def unsaid(self) -> list[Line]:
        """What is still to come."""
        return self.lines[self._next :]

    def advance(self, conversation: Conversation) -> None:
        """Follow each ``goto`` up to the next line that does something.

        Raises SimulatorFault where they lead round in a circle."""
        for _ in self.lines:
            line = self.line
            if line is None or line.goto is None:
                return
            goes = line.if_ is None or self._holds(line.if_, conversation)
            self._next = self._labels[line.goto] if goes else self._next + 1
        if (line := self.line) is not None and line.goto is not None:
            raise SimulatorFault(
                f"the script goes round in a circle at `goto: {line.goto}`",
                hint="let the caller say something between a label and the goto that leads back to it",
            )

    def due(self, conversation: Conversation) -> bool:
        """Whether the next line's time has come."""
        line = self.line
        if line is None or line.goto is not None:
            return False
        return line.when is None or self._holds(line.when, conversation)

    def take(self) -> ActionRecord:
        """Say the next line, or do what the script has in its place."""
        line = self.lines[self._next]
        self._next += 1
        waits = line.waits or 0.0
        if line.hangs_up:
            return HangUp("the script hangs up here", at_once=True)
        if line.silent_for is not None:
            return Listen(line.silent_for)
        text = line.says if line.says is not None else line.dtmf or _no_turn(line) or ""
        return Say(
            text if line.says is None else self._typed(text),
            after=waits,
            backchannel=line.backchannel is not None,
            dtmf=line.dtmf is not None,
            vocal_tic=line.vocal_tic is not None,
            aside=line.aside is not None,
            hold_music=line.hold_music or 0.0,
            attachments=tuple(Attachment(Path(name)) for name in line.attachments),
            pauses=line.pauses or 0.0,
        )

    def _holds(self, when: When, conversation: Conversation) -> bool:
        heard = " ".join(said.received for said in since_last_line(conversation))
        if when.said is not None and " ".join(when.said.lower().split()) not in " ".join(
            heard.lower().split()
        ):
            return False
        if when.said_matches is not None and not bounded(when.said_matches).search(heard):
            return False
        return when.called is None or any(ToolName(use.name).matches(when.called) for use in self._uses())

    def notes(self, conversation: Conversation) -> list[str]:
        """Which lines were never said, and why."""
        unsaid = self.unsaid
        if any(line.goto for line in self.lines):
            # which of the lines behind it would have been said is open
            unsaid = [] if conversation.ended_by == "caller" else unsaid[:1]
        if not unsaid:
            return []
        who = {
            "agent": "the agent ended the conversation first",
            "limit": "a limit was reached first",
            "fault": "something broke first",
            "caller": "the caller ended the conversation first",
            None: "the conversation was not finished",
        }[conversation.ended_by]
        return [
            f"line {number} of the script was never said: {describe(line)}{waited(line)} ({who})"
            for number, line in enumerate(unsaid, start=self._next + 1)
        ]


def describe(line: Line) -> str:
    """A line as a person would name it."""
    if line.hangs_up:
        return "hangs up"
    if line.silent_for is not None:
        return f"is silent for {line.silent_for:g} s"
    if line.goto is not None:
        return f"goes to {line.goto}"
    if line.dtmf is not None:
        return f"presses {line.dtmf}"
    return f"“{line.says if line.says is not None else _no_turn(line)}”"


def _no_turn(line: Line) -> str | None:
    music = f"{line.hold_music:g} s of hold music" if line.hold_music else None
    return line.backchannel or line.vocal_tic or line.aside or music


def _by_voice_alone(line: Line) -> bool:
    return line.vocal_tic is not None or line.aside is not None or line.hold_music is not None


def waited(line: Line) -> str:
    """What it waits for, as the end of a sentence; empty where it waits for nothing."""
    if line.when is None:
        return ""
    conditions = [
        f"to say “{line.when.said}”" if line.when.said is not None else "",
        f"to say something like /{line.when.said_matches}/" if line.when.said_matches is not None else "",
        f"to call {line.when.called}" if line.when.called is not None else "",
    ]
    return f", which waits for the agent {' and '.join(one for one in conditions if one)}"


class ScriptedCaller:
    """Says the lines of a script, each when it is due, and hangs up after the last. Needs no model."""

    def __init__(self, scenario: Scenario, script: Script) -> None:
        self.script = script
        self._agent_first = scenario.speaks_first == "agent"
        self._listened_at: int | None = None

    async def act(self, conversation: Conversation) -> ActionRecord:
        """The next line, silence while it is not due, or the end."""
        if self._agent_first and not conversation.by("agent") and self._listened_at is None:
            self._listened_at = 0
            return Listen()
        self.script.advance(conversation)
        line = self.script.line
        if line is None:
            return HangUp("all lines of the script are said")
        if self.script.due(conversation):
            self._listened_at = None
            return self.script.take()
        heard = len(conversation.by("agent"))
        if self._listened_at is not None and heard <= self._listened_at:
            return HangUp(f"{describe(line)} is not due{waited(line)}", satisfied=False, at_once=True)
        self._listened_at = heard
        return Listen()

    def finish(self, conversation: Conversation) -> list[str]:
        """The lines that were never said."""
        return self.script.notes(conversation)
