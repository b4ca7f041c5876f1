"""The tool calls of one conversation: what its trace and its tools tell together, and what is odd in them."""

from __future__ import annotations

from collections.abc import Sequence

from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.conversation.engine import TrialSession
from simulate.conversation.span_turns import SpanTurns
from simulate.model.history import CALL_ID
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, ToolUse
from simulate.model.verdict import Verdict
from simulate.tools import annotate, marked
from simulate.trace.reading import Answered, ToolCall, ToolName, TraceReading, Unknown
from simulate.trace.reading.parts import tool_offered
from simulate.trace.reading.tool_call import holds


def tool_calls_of(
    reading: TraceReading, conversation: Conversation, tools: PinnedTools, turns: SpanTurns
) -> list[ToolCall]:
    """The calls in the trace, and those that only the tools themselves saw; with turns, and times since the
    conversation began. What the tools' marks say of writes is kept with the conversation."""
    for name, write in tools.marks.items():
        annotate(conversation.id, name, write=write)
    origin = reading.origin or conversation.started_ns
    calls = [
        call.shifted((origin - conversation.started_ns) / 1e9)
        for call in reading.tool_calls
        # what the scenario's history tells was done before, and not in this conversation
        if call.ran is not None or not str(call.call_id or "").startswith(CALL_ID)
    ]
    for call in calls:
        call.turn = turns.of_call(call)
    calls += turns.told_later(calls)
    free, unseen = list(calls), [*tools.uses, *tools.told]
    for same in (_same_arguments, _same_turn):
        for use in list(unseen):
            told = next((call for call in free if _may_be(call, use) and same(call, use)), None)
            if told is not None:
                free.remove(told)
                unseen.remove(use)
                _complete(told, use)
    calls += [ToolCall.of(use) for use in unseen]
    return sorted(calls, key=lambda call: call.start if call.start is not None else float("inf"))


def _may_be(call: ToolCall, use: ToolUse) -> bool:
    """Whether the trace and the tool may tell of one call."""
    ids = (call.call_id, use.call_id)
    return call.name.matches(use.name) and (None in ids or ids[0] == ids[1])


def _same_arguments(call: ToolCall, use: ToolUse) -> bool:
    told = call.arguments
    return isinstance(told, Unknown) or told == {} or holds(use.arguments, told)


def _same_turn(call: ToolCall, use: ToolUse) -> bool:
    return call.turn == use.turn


def _complete(call: ToolCall, use: ToolUse) -> None:
    """What the tool itself saw of a call that the trace tells of, too."""
    seen = ToolCall.of(use)
    call.turn = use.turn
    if call.ran is None:
        call.ran = seen.ran
    elif use.arguments_known:
        call.ran.arguments = use.arguments
    answered = call.answered = call.answered or Answered(use.result)
    if isinstance(answered.result, Unknown) or answered.result is None:
        answered.result = use.result
    answered.error = answered.error or use.error


def call_findings(calls: Sequence[ToolCall]) -> list[str]:
    """What was asked for and never ran, and what ran with other arguments than were asked for."""
    found = [f"{call} was asked for and never ran" for call in calls if call.happened is False]
    return found + [
        f"{call} ran with other arguments than the model asked for: {call.asked.arguments}"
        for call in calls
        if call.differs and call.asked is not None
    ]


def tell_bypassed(session: TrialSession, calls: list[ToolCall]) -> None:
    """Pinned tools that ran for real, so that the world was not the one that the scenario pins."""
    names = [ToolName(pinned) for pinned, pin in session.scenario.tools.items() if not pin.live]
    # one that failed may have failed on its way to the pin, as with arguments that it does not take
    ran = [call for call in calls if call.happened is True and call.error is None]
    # a worker in a room answers by itself: there is no way to its tools yet
    unreachable = session.engine.outside and session.recording is not None
    for name in names:
        if not any(call.name.matches(name) for call in ran):
            continue
        # a marked tool was seen as soon as it was called here, even where it did not get as far as its pin
        asked = {use.name for use in session.tools.uses} | session.tools.seen
        if session.replayed or any(name.matches(other) for other in asked):
            continue
        told = f"the agent ran its own {name}: the answer that the scenario pins never reached it"
        hint = "mark the tool with @simulate.tool, or let the agent hand its tool calls to the caller"
        if unreachable or session.scenario.pins == "optional":
            session.notes.append(f"{told} ({hint})")
        else:
            hint += "; `pins: optional` takes what its own tools answer"
            expected = "the agent's tools answer as pinned"
            session.verdicts.append(Verdict("pins", expected, "error", told, side="harness", hint=hint))


def never_offered(
    scenario: Scenario, tools: PinnedTools, calls: list[ToolCall], reading: TraceReading
) -> list[str]:
    """Pins of tools that the agent neither called nor offered."""
    definitions = [each for _, view in reading.llm_calls for each in view.tool_definitions or ()]
    offered = {name for each in definitions if (name := tool_offered(each)) is not None} | tools.seen
    listed = ", ".join(sorted(offered)) or "none that we can see"
    return [
        f"the scenario pins {name}, which the agent never offered; it offers: {listed}"
        for name in map(ToolName, scenario.tools)
        if not any(call.name.matches(name) for call in calls)
        and not any(name.matches(other) for other in offered | marked())
    ]
