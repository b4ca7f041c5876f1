"""``called`` and ``not_called``: what the agent did, read from its trace."""

from __future__ import annotations

import json
from typing import Any

from simulate.model.expect import Called, NotCalled
from simulate.model.matchers import mismatch
from simulate.model.outcome import Verdict
from simulate.scoring.checks.check import Check, Evidence, allowed_times, at_span, judges, say_times
from simulate.trace.reading import ToolCall, Unknown

BLIND = (
    "let the agent's instrumentation write tool calls into its spans; for many that is "
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true"
)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _all_shown(uses: list[ToolCall]) -> str:
    return ", ".join(str(use) for use in uses[:8]) + (f" and {len(uses) - 8} more" if len(uses) > 8 else "")


def _named(uses: list[ToolCall], name: str) -> list[ToolCall]:
    return [use for use in uses if use.name.matches(name)]


def _wrong(expected: dict[str, Any] | None, exactly: bool, use: ToolCall) -> str | None:
    """Why the arguments of a call are not those expected; None if they are."""
    if expected is None:
        return None
    if isinstance(use.arguments, Unknown):
        return use.arguments.why
    # not {"exactly": expected}, which would take the matchers in it by their letter
    found = mismatch(expected, use.arguments)
    more = next((key for key in use.arguments if key not in expected), None) if exactly else None
    if found is None and more is not None:
        return f"$.{more}: not expected, but it is {_json(use.arguments[more])}"
    return found


@judges(Called)
class CalledCheck(Check[Called]):
    """The agent called a tool: with these arguments, so often, before or after another, in that turn."""

    def describe(self) -> str:
        word = self.expectation
        text = f"{word.called} is called{say_times(word.times)}"
        if word.with_ is not None:
            text += f" with {'exactly ' if word.exactly else ''}{_json(word.with_)}"
        if word.after:
            text += f" after {word.after}"
        if word.before:
            text += f" before {word.before}"
        return text + (f" in turn {word.in_turn}" if word.in_turn is not None else "")

    async def judge(self, evidence: Evidence) -> Verdict:
        if evidence.no_tools_because and not evidence.tool_calls:
            return self.verdict("not_run", evidence.no_tools_because, hint=BLIND)
        word = self.expectation
        uses = _named(evidence.tool_calls, word.called)
        fitting = [use for use in uses if _wrong(word.with_, word.exactly, use) is None]
        if word.in_turn is not None:
            fitting = [use for use in fitting if use.turn == word.in_turn]
        least, most = allowed_times(word.times)
        if not least <= len(fitting) <= (len(fitting) if most is None else most):
            return self._not_so_often(evidence, uses, fitting)
        if least == 0 and not fitting:
            return self.verdict("passed", f"{word.called} was not called")
        return self._order(evidence, fitting)

    def _not_so_often(self, evidence: Evidence, uses: list[ToolCall], fitting: list[ToolCall]) -> Verdict:
        word = self.expectation
        if fitting:
            fact = f"it was called {len(fitting)} times: {_all_shown(fitting)}"
            return self.verdict("failed", fact, actual=len(fitting), **at_span(fitting[-1]))
        if uses:
            nearest = uses[-1]
            why = _wrong(word.with_, word.exactly, nearest) or f"it was in turn {nearest.turn}"
            return self.verdict(
                "failed",
                f"{nearest} was called: {why}",
                expected=word.with_,
                actual=nearest.arguments,
                **at_span(nearest),
            )
        others = (
            f"the agent called {_all_shown(evidence.tool_calls)}"
            if evidence.tool_calls
            else "it called no tool at all"
        )
        # it was due once the other had been called; else the last moment was the last turn
        earlier = [use.turn for use in evidence.tool_calls if word.after and use.name.matches(word.after)]
        due = earlier[0] if earlier else evidence.conversation.turns
        return self.verdict("failed", f"{word.called} was never called; {others}", turn=due)

    def _order(self, evidence: Evidence, fitting: list[ToolCall]) -> Verdict:
        word, order = self.expectation, evidence.tool_calls
        places = [order.index(use) for use in fitting]
        if word.after:
            others = [index for index, use in enumerate(order) if use.name.matches(word.after)]
            places = [place for place in places if others and others[0] < place]
            if not places:
                how = "was called before it" if others else "was never called"
                return self.verdict(
                    "failed",
                    f"{word.called} was called, but {word.after} {'was called later' if others else how}",
                    **at_span(fitting[0]),
                )
        if word.before:
            others = [index for index, use in enumerate(order) if use.name.matches(word.before)]
            if others and not any(place < others[0] for place in places):
                return self.verdict("failed", f"{word.before} was called first", **at_span(order[others[0]]))
        use = order[places[0]]
        return self.verdict("passed", f"{use} in turn {use.turn}", **at_span(use))


@judges(NotCalled)
class NotCalledCheck(Check[NotCalled]):
    """The agent never called a tool, or never with these arguments."""

    def describe(self) -> str:
        word = self.expectation
        text = f"{word.not_called} is not called"
        return (
            text
            if word.with_ is None
            else f"{text} with {json.dumps(word.with_, ensure_ascii=False, default=str)}"
        )

    async def judge(self, evidence: Evidence) -> Verdict:
        if evidence.no_tools_because:
            return self.verdict("not_run", evidence.no_tools_because, hint=BLIND)
        word = self.expectation
        for use in _named(evidence.tool_calls, word.not_called):
            if _wrong(word.with_, False, use) is None:
                return self.verdict("failed", f"{use} was called in turn {use.turn}", **at_span(use))
        return self.verdict("passed", f"{word.not_called} was not called")
