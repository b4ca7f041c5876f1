"""``called`` and ``not_called``: what the agent did, as far as its trace and its tools tell.

Both are about calls that ran, or where nobody could have seen that, that were answered. What cannot be known
(arguments that nobody recorded, a call that was asked for and may or may not have run) is not run: it neither
passes nor fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from simulate.model.expect import Called, NotCalled
from simulate.model.verdict import Verdict
from simulate.scoring.checks.check import Check, Evidence, allowed_times, at_span, judges, say_times
from simulate.scoring.checks.unread import unread_run, written_otherwise
from simulate.scoring.checks.wanted_call import WantedCall, as_json
from simulate.trace.reading import Fact, ToolCall, Unknown

BLIND = (
    "let the agent's instrumentation write tool calls into its spans; for many that is "
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true"
)


def _listed(calls: Sequence[ToolCall]) -> str:
    return ", ".join(map(str, calls[:8])) + (f" and {len(calls) - 8} more" if len(calls) > 8 else "")


def _asked_for(call: ToolCall) -> str:
    """What the model had asked for, where the tool ran with something else."""
    if call.asked is None or not call.differs:
        return ""
    return f" (the model had asked for {as_json(call.asked.arguments)})"


class _Calls:
    """The calls of one tool, parted by whether they are those that are meant."""

    def __init__(self, calls: Sequence[ToolCall], wanted: WantedCall, *, turn: int | None = None) -> None:
        self.named = [call for call in calls if call.name.matches(wanted.name)]
        self.never_ran = [call for call in self.named if call.happened is False]
        self.meant: list[ToolCall] = []
        self.others: list[ToolCall] = []
        self.unknown: list[tuple[ToolCall, str]] = []
        """Those that may be meant, and why that cannot be told."""
        for call in self.named:
            wrong, happened = wanted.wrong(call), call.happened
            if happened is False:
                continue
            if wanted.holds_elsewhere(call):
                told = f"{call} holds {as_json(wanted.arguments)} in another place than expected"
                self.unknown.append((call, told))
            elif isinstance(wrong, str) or (turn is not None and call.turn not in (None, turn)):
                self.others.append(call)
            elif isinstance(happened, Unknown):
                self.unknown.append((call, happened.why))
            elif isinstance(wrong, Unknown):
                self.unknown.append((call, wrong.why))
            elif turn is not None and call.turn is None:
                self.unknown.append((call, f"the turn of {call} is unknown"))
            else:
                self.meant.append(call)


@judges(Called)
class CalledCheck(Check[Called]):
    """The agent called a tool: with these arguments, so often, before or after another, in that turn."""

    def describe(self) -> str:
        word = self.expectation
        text = f"{word.called} is called{say_times(word.times)}{WantedCall.of(word).details}"
        if word.after:
            text += f" after {WantedCall.of(word.after)}"
        if word.before:
            text += f" before {WantedCall.of(word.before)}"
        return text + (f" in turn {word.in_turn}" if word.in_turn is not None else "")

    async def judge(self, evidence: Evidence) -> Verdict:
        word = self.expectation
        found = _Calls(evidence.tool_calls, WantedCall.of(word), turn=word.in_turn)
        least, most = allowed_times(word.times)
        if most is not None and len(found.meant) > most:
            fact = f"it was called {len(found.meant)} times: {_listed(found.meant)}"
            return self.verdict("failed", fact, actual=len(found.meant), **at_span(found.meant[-1]))
        if len(found.meant) < least and not found.unknown and not evidence.no_tools_because:
            if (why := unread_run(evidence.reading, word.called, found.named, surely=True)) is not None:
                return self.verdict("not_run", why, hint=BLIND)
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
            wrong = WantedCall.of(word).wrong(nearest)
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
        earlier = [
            call.turn for call in ran if word.after and call.name.matches(WantedCall.of(word.after).name)
        ]
        due = earlier[0] if earlier else evidence.conversation.turns
        return self.verdict("failed", f"{word.called} was never called; {others}", turn=due)

    def _order(self, evidence: Evidence, found: _Calls) -> Verdict:
        """After means after its end, and before means that it had ended: what starts while the other still
        runs does not know how that comes out."""
        word = self.expectation
        able = found.meant
        if word.after:
            wanted = WantedCall.of(word.after)
            others = wanted.others(evidence.tool_calls)
            if all(isinstance(wrong, str) for _, wrong in others):
                return self._never_before(evidence, wanted, others, able[0])
            verdict, able = self._in_order(able, lambda call: _some(_after(call, each) for each in others))
            if verdict is not None:
                return verdict
        if word.before:
            others = WantedCall.of(word.before).others(evidence.tool_calls)
            verdict, able = self._in_order(
                able, lambda call: _every(_before(call, other) for other in others)
            )
            if verdict is not None:
                return verdict
        call = able[0]
        besides = [one for one in found.named if one not in found.meant and one.happened is not False]
        more = f"; besides: {_listed(besides)}" if besides else ""
        return self.verdict("passed", f"{call} in turn {call.turn}{_asked_for(call)}{more}", **at_span(call))

    def _in_order(
        self, calls: list[ToolCall], order_of: Callable[[ToolCall], Fact[str | None]]
    ) -> tuple[Verdict | None, list[ToolCall]]:
        """The calls that are in order; the verdict where none is."""
        orders = [(call, order_of(call)) for call in calls]
        able = [call for call, order in orders if order is None]
        if able:
            return None, able
        for call, order in orders:
            if isinstance(order, Unknown):
                return self.verdict("not_run", order.why, hint=BLIND, **at_span(call)), []
        return self.verdict("failed", str(orders[0][1]), **at_span(calls[0])), []

    def _never_before(
        self,
        evidence: Evidence,
        wanted: WantedCall,
        others: Sequence[tuple[ToolCall, Fact[str | None]]],
        call: ToolCall,
    ) -> Verdict:
        if evidence.no_tools_because:
            return self.verdict("not_run", evidence.no_tools_because, hint=BLIND)
        fact = f"{call} was called, but {wanted.name} was never called"
        if others:
            other, wrong = others[-1]
            fact = f"{call} was called, but of {other}: {wrong}"
        return self.verdict("failed", fact, **at_span(call))


_Other = tuple[ToolCall, Fact[str | None]]
"""Another call of the right tool, and why it is not the one that is meant."""


def _after(call: ToolCall, other: _Other) -> Fact[str | None]:
    """Why a call does not come after another; None if it does."""
    earlier, wrong = other
    if isinstance(wrong, str):
        return f"{call} was called, but of {earlier}: {wrong}"
    order = _follows(call, earlier)
    return wrong if order is None else order


def _before(call: ToolCall, other: _Other) -> Fact[str | None]:
    """Why a call does not come before another; None if it does."""
    later, wrong = other
    order = None if isinstance(wrong, str) else _follows(later, call)
    return wrong if isinstance(wrong, Unknown) and order is not None else order


def _follows(call: ToolCall, other: ToolCall) -> Fact[str | None]:
    """Why a call did not begin after another had ended; None if it did."""
    if call is other:
        return f"{call} is the only one"
    if isinstance(other.happened, Unknown):
        return other.happened
    if call.start is None or other.start is None:
        return Unknown(f"nothing tells when {call if call.start is None else other} was")
    if other.end is None:
        if call.asked is not None and other.asked is not None and call.asked.at == other.asked.at:
            return Unknown(f"{other} and {call} were asked for together, and nothing tells when each ran")
        return None if other.start < call.start else f"{call} was called before {other}"
    if other.end <= call.start:
        return None
    if other.start <= call.start:
        return f"{call} overlaps {other}, which still ran {_ms(other.end - call.start)} longer"
    overlap = call.end is not None and call.end > other.start
    return (
        f"{call} was called {_ms(other.start - call.start)} before {other}" + ", and they overlap" * overlap
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.1f} s"


def _some(orders: Iterable[Fact[str | None]]) -> Fact[str | None]:
    """Why none of them is in order: None if one is, unknown if one may be."""
    every = list(orders)
    if None in every:
        return None
    return next((one for one in every if isinstance(one, Unknown)), every[-1])


def _every(orders: Iterable[Fact[str | None]]) -> Fact[str | None]:
    """Why not all of them are in order; None if all are."""
    every = [one for one in orders if one is not None]
    return next((one for one in every if isinstance(one, str)), every[0] if every else None)


@judges(NotCalled)
class NotCalledCheck(Check[NotCalled]):
    """The agent never called a tool, or never with these arguments."""

    def describe(self) -> str:
        word = self.expectation
        return f"{word.not_called} is not called{WantedCall.of(word).details}"

    async def judge(self, evidence: Evidence) -> Verdict:
        word = self.expectation
        found = _Calls(evidence.tool_calls, WantedCall.of(word))
        if found.meant:
            call = found.meant[0]
            return self.verdict(
                "failed", f"{call} was called in turn {call.turn}{_asked_for(call)}", **at_span(call)
            )
        if found.unknown:
            call, why = found.unknown[0]
            return self.verdict("not_run", why, hint=BLIND, **at_span(call))
        alike = next((call for call in found.others if written_otherwise(word.with_, call)), None)
        if alike is not None:
            fact = f"{alike} holds {as_json(word.with_)} with numbers as texts, or texts as numbers"
            return self.verdict("not_run", fact, **at_span(alike))
        if evidence.no_tools_because:
            return self.verdict("not_run", evidence.no_tools_because, hint=BLIND)
        if (why := unread_run(evidence.reading, word.not_called, found.named)) is not None:
            return self.verdict("not_run", why, hint=BLIND)
        if found.never_ran:
            return self.verdict("passed", f"{found.never_ran[0]} was asked for and never ran")
        return self.verdict("passed", f"{word.not_called} was not called")
