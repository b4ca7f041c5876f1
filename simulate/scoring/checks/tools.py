"""``called`` and ``not_called``: what the agent did, as far as its trace and its tools tell.

Both are about calls that ran, or where nobody could have seen that, that were answered. What cannot be known
(arguments that nobody recorded, a call that was asked for and may or may not have run) is not run: it neither
passes nor fails.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from simulate.model.expect import Called, NotCalled
from simulate.model.matchers import mismatch
from simulate.model.outcome import Verdict
from simulate.scoring.checks.check import Check, Evidence, allowed_times, at_span, judges, say_times
from simulate.scoring.checks.unread import held_elsewhere, unread_run
from simulate.trace.reading import Fact, ToolCall, Unknown

BLIND = (
    "let the agent's instrumentation write tool calls into its spans; for many that is "
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true"
)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _listed(calls: Sequence[ToolCall]) -> str:
    return ", ".join(map(str, calls[:8])) + (f" and {len(calls) - 8} more" if len(calls) > 8 else "")


def _asked_for(call: ToolCall) -> str:
    """What the model had asked for, where the tool ran with something else."""
    if call.asked is None or not call.differs:
        return ""
    return f" (the model had asked for {_json(call.asked.arguments)})"


def _wrong(expected: dict[str, Any] | None, exactly: bool, call: ToolCall) -> Fact[str | None]:
    """Why the arguments of a call are not those expected; None if they are."""
    arguments = call.arguments
    if expected is None:
        return None
    if isinstance(arguments, Unknown):
        return arguments
    # not {"exactly": expected}, which would take the matchers in it by their letter
    found = mismatch(expected, arguments)
    more = next((key for key in arguments if key not in expected), None) if exactly else None
    if found is None and more is not None:
        return f"$.{more}: not expected, but it is {_json(arguments[more])}"
    return found


class _Calls:
    """The calls of one tool, parted by whether they are those that are meant."""

    def __init__(
        self,
        calls: Sequence[ToolCall],
        name: str,
        with_: dict[str, Any] | None,
        *,
        exactly: bool = False,
        turn: int | None = None,
    ) -> None:
        self.named = [call for call in calls if call.name.matches(name)]
        self.never_ran = [call for call in self.named if call.happened is False]
        self.meant: list[ToolCall] = []
        self.others: list[ToolCall] = []
        self.unknown: list[tuple[ToolCall, str]] = []
        """Those that may be meant, and why that cannot be told."""
        for call in self.named:
            wrong, happened = _wrong(with_, exactly, call), call.happened
            if happened is False:
                continue
            if isinstance(wrong, str) and with_ and held_elsewhere(with_, call):
                self.unknown.append((call, f"{call} holds {_json(with_)} in another place than expected"))
            elif isinstance(wrong, str) or (turn is not None and call.turn not in (None, turn)):
                self.others.append(call)
            elif isinstance(happened, Unknown):
                self.unknown.append((call, happened.why))
            elif isinstance(wrong, Unknown):
                self.unknown.append((call, f"the arguments of {call} are unknown: {wrong.why}"))
            elif turn is not None and call.turn is None:
                self.unknown.append((call, f"the turn of {call} is unknown"))
            else:
                self.meant.append(call)


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
        word = self.expectation
        found = _Calls(evidence.tool_calls, word.called, word.with_, exactly=word.exactly, turn=word.in_turn)
        least, most = allowed_times(word.times)
        if most is not None and len(found.meant) > most:
            fact = f"it was called {len(found.meant)} times: {_listed(found.meant)}"
            return self.verdict("failed", fact, actual=len(found.meant), **at_span(found.meant[-1]))
        if len(found.meant) < least and not found.unknown and not evidence.no_tools_because:
            return self._too_few(evidence, found)
        if len(found.meant) < least or (most is not None and len(found.meant) + len(found.unknown) > most):
            if found.unknown:
                call, why = found.unknown[0]
                return self.verdict("not_run", why, hint=BLIND, **at_span(call))
            return self.verdict("not_run", str(evidence.no_tools_because), hint=BLIND)
        if most is not None and evidence.no_tools_because:
            return self.verdict("not_run", evidence.no_tools_because, hint=BLIND)
        if most is not None and (why := unread_run(evidence.reading, word.called, found.named)) is not None:
            return self.verdict("not_run", why, hint=BLIND)
        if not found.meant:
            return self.verdict("passed", f"{word.called} was not called")
        return self._order(evidence, found)

    def _too_few(self, evidence: Evidence, found: _Calls) -> Verdict:
        word = self.expectation
        if found.meant:
            fact = f"it was called {len(found.meant)} times: {_listed(found.meant)}"
            return self.verdict("failed", fact, actual=len(found.meant), **at_span(found.meant[-1]))
        if found.others:
            nearest = found.others[-1]
            wrong = _wrong(word.with_, word.exactly, nearest)
            why = wrong if isinstance(wrong, str) else f"it was in turn {nearest.turn}"
            return self.verdict(
                "failed",
                f"{nearest} was called: {why}",
                expected=word.with_,
                actual=nearest.arguments,
                **at_span(nearest),
            )
        if found.never_ran:
            call = found.never_ran[-1]
            return self.verdict("failed", f"{call} was asked for and never ran", **at_span(call))
        ran = [call for call in evidence.tool_calls if call.happened is True]
        others = f"the agent called {_listed(ran)}" if ran else "it called no tool at all"
        # it was due once the other had been called; else the last moment was the last turn
        earlier = [call.turn for call in ran if word.after and call.name.matches(word.after)]
        due = earlier[0] if earlier else evidence.conversation.turns
        return self.verdict("failed", f"{word.called} was never called; {others}", turn=due)

    def _order(self, evidence: Evidence, found: _Calls) -> Verdict:
        """After means after its end, and before means that it had ended: what starts while the other still
        runs does not know how that comes out."""
        word = self.expectation
        ran = [call for call in evidence.tool_calls if call.happened is not False]
        able = found.meant
        if word.after:
            others = [call for call in ran if call.name.matches(word.after)]
            if not others:
                fact = f"{word.called} was called, but {word.after} was never called"
                return self._blind_or_failed(evidence, fact, able[0])
            orders = [_some(_follows(call, other) for other in others) for call in able]
            verdict = self._ordered(
                able, orders, f"{word.called} was called, but {word.after} was called later, or had not ended"
            )
            if verdict is not None:
                return verdict
            able = [call for call, order in zip(able, orders, strict=True) if order is True]
        if word.before:
            others = [call for call in ran if call.name.matches(word.before)]
            orders = [_every(_follows(other, call) for other in others) for call in able]
            verdict = self._ordered(able, orders, f"{word.before} was called first, or while it ran")
            if verdict is not None:
                return verdict
            able = [call for call, order in zip(able, orders, strict=True) if order is True]
        call = able[0]
        besides = [one for one in found.named if one not in found.meant and one.happened is not False]
        more = f"; besides: {_listed(besides)}" if besides else ""
        return self.verdict("passed", f"{call} in turn {call.turn}{_asked_for(call)}{more}", **at_span(call))

    def _ordered(self, calls: list[ToolCall], orders: list[Fact[bool]], fact: str) -> Verdict | None:
        """The verdict where no call is in order."""
        if any(order is True for order in orders):
            return None
        for call, order in zip(calls, orders, strict=True):
            if isinstance(order, Unknown):
                return self.verdict("not_run", order.why, **at_span(call))
        return self.verdict("failed", f"{fact}: {_listed(calls)}", **at_span(calls[0]))

    def _blind_or_failed(self, evidence: Evidence, fact: str, call: ToolCall) -> Verdict:
        if evidence.no_tools_because:
            return self.verdict("not_run", evidence.no_tools_because, hint=BLIND)
        return self.verdict("failed", fact, **at_span(call))


def _follows(call: ToolCall, other: ToolCall) -> Fact[bool]:
    """Whether a call began after another had ended."""
    if call is other:
        return False
    if isinstance(other.happened, Unknown):
        return other.happened
    if call.start is None or other.start is None:
        return Unknown(f"nothing tells when {call if call.start is None else other} was")
    if other.end is not None:
        return other.end <= call.start
    together = call.asked is not None and other.asked is not None and call.asked.at == other.asked.at
    if together:
        return Unknown(f"{other} and {call} were asked for together, and nothing tells when each ran")
    return other.start < call.start


def _some(orders: Any) -> Fact[bool]:
    """Whether one of them holds."""
    every = list(orders)
    return next(
        (one for one in every if one is True), next((one for one in every if one is not False), False)
    )


def _every(orders: Any) -> Fact[bool]:
    """Whether all of them hold."""
    every = list(orders)
    return next((one for one in every if one is False), next((one for one in every if one is not True), True))


@judges(NotCalled)
class NotCalledCheck(Check[NotCalled]):
    """The agent never called a tool, or never with these arguments."""

    def describe(self) -> str:
        word = self.expectation
        text = f"{word.not_called} is not called"
        return text if word.with_ is None else f"{text} with {_json(word.with_)}"

    async def judge(self, evidence: Evidence) -> Verdict:
        word = self.expectation
        found = _Calls(evidence.tool_calls, word.not_called, word.with_)
        if found.meant:
            call = found.meant[0]
            return self.verdict(
                "failed", f"{call} was called in turn {call.turn}{_asked_for(call)}", **at_span(call)
            )
        if found.unknown:
            call, why = found.unknown[0]
            return self.verdict("not_run", why, hint=BLIND, **at_span(call))
        if evidence.no_tools_because:
            return self.verdict("not_run", evidence.no_tools_because, hint=BLIND)
        if (why := unread_run(evidence.reading, word.not_called, found.named)) is not None:
            return self.verdict("not_run", why, hint=BLIND)
        if found.never_ran:
            return self.verdict("passed", f"{found.never_ran[0]} was asked for and never ran")
        return self.verdict("passed", f"{word.not_called} was not called")
