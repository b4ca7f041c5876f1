"""A caller who says what the production user said, as long as the agent stays on the recorded path."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from simulate.conversation.callers.caller import ActionRecord, Caller, HangUp, Listen, Say
from simulate.conversation.callers.script import Uses, since_last_line
from simulate.model.text import shorten
from simulate.model.transcript import Conversation, ToolUse
from simulate.trace.reading import ToolName

Same = Callable[[str, str], Awaitable[bool]]
"""Whether two answers mean the same (recorded, now); a judge. SimulatorFault when it cannot tell."""


@dataclass(frozen=True, slots=True)
class LeftPath:
    """Where the agent stopped doing what was recorded."""

    turn: int
    why: str

    def __str__(self) -> str:
        return f"the agent left the recorded path in turn {self.turn}: {self.why}"


class RecordedCaller:
    """Plays the caller's lines of a recorded conversation, and hands over to ``persona`` when it is left.

    ``said`` is a cassette's conversation: ``speaker``, ``turn`` and ``text``, or ``called`` with
    ``arguments`` for the agent's tool calls. On the path means: the same tool calls, and the same words
    apart from case, punctuation and white space; with ``same``, the same meaning instead of the words.
    Without a persona to hand over to, the caller hangs up there, unsatisfied.
    """

    def __init__(
        self,
        said: Sequence[dict[str, Any]],
        *,
        persona: Caller | None = None,
        uses: Uses | None = None,
        same: Same | None = None,
    ) -> None:
        self.lines = [str(one["text"]) for one in said if one["speaker"] == "caller"]
        self.left: LeftPath | None = None
        self._said = said
        self._persona = persona
        self._uses: Uses = uses or (lambda: ())
        self._same = same
        self._next = 0
        self._used = 0
        self._listened = False

    async def act(self, conversation: Conversation) -> ActionRecord:
        """The next recorded line; once the path is left, what the persona does."""
        if self.left is None and (self._next or self._agent_first()):
            if self._next == 0 and not conversation.by("agent") and not self._listened:
                self._listened = True
                return Listen()
            why = await self._departure(conversation)
            if why is not None:
                self.left = LeftPath(self._next, why)
        if self.left is not None:
            if self._persona is not None:
                return await self._persona.act(conversation)
            return HangUp(str(self.left), satisfied=False)
        if self._next == len(self.lines):
            return HangUp("the recorded conversation ends here")
        self._next += 1
        return Say(self.lines[self._next - 1])

    def finish(self, conversation: Conversation) -> list[str]:
        """Where the path was left and who went on, and the lines that were never said."""
        notes: list[str] = []
        if self.left is not None:
            heir = "the persona took over" if self._persona is not None else "the caller hung up"
            notes.append(f"{self.left}; {heir}")
            if self._persona is not None:
                notes += self._persona.finish(conversation)
        elif self._next < len(self.lines):
            notes.append(f"{len(self.lines) - self._next} recorded lines were never said")
        return notes

    def _agent_first(self) -> bool:
        return bool(self._said) and self._said[0]["speaker"] == "agent"

    async def _departure(self, conversation: Conversation) -> str | None:
        """How what the agent just did differs from what it did then; None while it does not."""
        recorded = [one for one in self._said if one["speaker"] == "agent" and one["turn"] == self._next]
        every = list(self._uses())
        calls, self._used = every[self._used :], len(every)
        expected: list[tuple[str, Any]] = [
            (str(one["called"]), one.get("arguments") or {}) for one in recorded if "called" in one
        ]
        if expected or calls:
            why = _other_calls(expected, calls)
            if why is not None:
                return why
        then = " ".join(str(one["text"]) for one in recorded if "text" in one)
        now = " ".join(said.received for said in since_last_line(conversation))
        if _normal(then) == _normal(now) or not then:
            return None
        if self._same is not None and await self._same(then, now):
            return None
        return f"it said “{shorten(now, 80)}” where “{shorten(then, 80)}” was recorded"


def _other_calls(expected: list[tuple[str, Any]], calls: Sequence[ToolUse]) -> str | None:
    left = list(expected)
    for use in calls:
        fits = (one for one in left if ToolName(one[0]).matches(use.name) and one[1] == use.arguments)
        recorded = next(fits, None)
        if recorded is None:
            return f"it called {use.name}({shorten(str(use.arguments), 80)}), which was not recorded"
        left.remove(recorded)
    return f"it did not call {left[0][0]}, as was recorded" if left else None


def _normal(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", text.casefold()).split())
