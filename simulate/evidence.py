"""From a conversation that is over to the evidence that checks look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.conversation.engine import TrialSession
from simulate.errors import NotReached
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, ToolUse
from simulate.scoring.checks.amounts import percentile, reply_latencies
from simulate.scoring.checks.check import Evidence
from simulate.scoring.judge import Judge
from simulate.tools import marked
from simulate.trace.capture.capture import root_span_id
from simulate.trace.capture.observed import observed_trace
from simulate.trace.cost import cost_of
from simulate.trace.reading import has_tool_evidence, llm_calls, tool_calls, views
from simulate.trace.reading.calls import Views, same_tool
from simulate.trace.span import Span, Trace
from simulate.trace.truncated import truncated


async def gather(session: TrialSession, judge: Judge | None = None) -> Evidence:
    """Wait for the agent's spans, then put together what a check may look at.

    The session gets its notes and measures; the conversation, where each utterance came from."""
    spec, conversation, tools = session.spec, session.conversation, session.tools
    if session.recording is not None:
        # numpy, which a conversation by text does without
        from simulate.conversation.voice.measuring import measures_of

        agent_first = spec.scenario.speaks_first == "agent"
        session.measures |= measures_of(session.recording, conversation, agent_first=agent_first)
    trace, instrumented = await _trace(session)
    seen = views(trace)
    uses = _tool_uses(trace, seen, conversation, tools)
    outside = session.engine.outside
    evident, why_not = has_tool_evidence(trace, seen) if instrumented else _evident(tools, outside)
    _attach_spans(conversation, trace, seen)
    session.notes += session.caller.finish(conversation)
    session.notes += _pin_findings(spec.scenario, tools, uses, trace, seen)
    session.measures = _measures(conversation, trace, seen) | session.measures
    return Evidence(
        spec.scenario,
        conversation,
        trace,
        uses,
        no_tools_because=None if evident else why_not,
        judge=judge,
        measures=dict(session.measures),
        folder=spec.root,
        recording=session.recording,
    )


async def _trace(session: TrialSession) -> tuple[Trace, bool]:
    """The agent's trace, or where it left none, what we saw from outside; and whether it is the agent's."""
    conversation, tools = session.conversation, session.tools
    answered = bool(conversation.by("agent")) or not isinstance(session.fault, NotReached)
    spans_may_come = session.engine.outside and answered
    if session.captured is None:
        trace = Trace(conversation.id)
    else:
        trace = await session.captured.flush(
            outside=spans_may_come, conversation=conversation, handed=tools.uses
        )
    session.notes += trace.notes
    if (lost := truncated(trace, root_span_id(conversation.id))) is not None:
        session.notes.append(lost)
    if trace.spans:
        return trace, True
    observed = observed_trace(conversation, tools.uses, seen=session.seen)
    session.notes += observed.notes
    return observed, False


def _evident(tools: PinnedTools, outside: bool) -> tuple[bool, str]:
    """Without spans, the tools that answer through us are all that can be seen."""
    if tools.uses or (tools.pins and not outside):
        return True, ""
    return False, (
        "the agent left no spans, so what tools it called cannot be known; "
        "instrument it, or mark its tools with @simulate.tool"
    )


def _tool_uses(trace: Trace, seen: Views, conversation: Conversation, tools: PinnedTools) -> list[ToolUse]:
    """The calls in the trace, and those that only the tools themselves saw; with turns."""
    uses = tool_calls(trace, seen)
    origin = min((span.start_ns for span in trace.spans), default=conversation.started_ns)
    shift = (origin - conversation.started_ns) / 1e9
    for use in uses:
        use.start = None if use.start is None else use.start + shift
        use.end = None if use.end is None else use.end + shift
    free = list(uses)
    for asked in tools.uses:
        known = next((use for use in free if _same(use, asked)), None)
        if known is None:
            uses.append(asked)
            continue
        free.remove(known)
        known.arguments = known.arguments or asked.arguments
        known.result = asked.result if known.result is None else known.result
        known.error = known.error or asked.error
        known.turn = asked.turn
    for use in uses:
        use.turn = _turn_at(conversation, use.start) if use.turn is None else use.turn
    return sorted(uses, key=lambda use: use.start if use.start is not None else float("inf"))


def _same(use: ToolUse, asked: ToolUse) -> bool:
    """Whether the trace and the tool tell of one call; a trace may hold no arguments."""
    if not same_tool(use.name, asked.name):
        return False
    if use.call_id and asked.call_id:
        return use.call_id == asked.call_id
    return not use.arguments or use.arguments == asked.arguments


def _turn_at(conversation: Conversation, moment: float | None) -> int | None:
    if moment is None:
        return None
    turns = [said.turn for said in conversation.by("caller") if said.start <= moment]
    return max(turns, default=0)


def _attach_spans(conversation: Conversation, trace: Trace, seen: Views) -> None:
    """Point each utterance of the agent to the span that produced it: the last model call in its time."""
    speaking = [
        span
        for span in trace.spans
        if span.end_ns is not None and seen[span.span_id].kind in ("LLM", "AGENT", "TURN")
    ]
    speaking.sort(key=lambda span: (span.end_ns or 0, seen[span.span_id].kind == "LLM"))
    since = 0.0
    for said in conversation.utterances:
        if said.speaker == "agent" and said.span_id is None:
            begins, ends = (conversation.started_ns + int(at * 1e9) for at in (since, said.end))
            said.span_id = _produced(speaking, seen, begins, ends) or _produced(
                speaking, seen, begins - _GRACE_NS, ends + _GRACE_NS
            )
        since = said.end


_GRACE_NS = 1_000_000
"""A span may end in the same moment as the answer comes, by clocks that differ."""


def _produced(speaking: Sequence[Span], seen: Views, begins: int, ends: int) -> str | None:
    """The last model call within these moments, or the last agent where there is none."""
    inside = [span for span in speaking if begins <= span.start_ns and (span.end_ns or 0) <= ends]
    models = [span for span in inside if seen[span.span_id].kind == "LLM"]
    chosen = (models or inside)[-1:]
    return chosen[0].span_id if chosen else None


def _pin_findings(
    scenario: Scenario, tools: PinnedTools, uses: list[ToolUse], trace: Trace, seen: Views
) -> list[str]:
    """RunContext that did nothing: never offered by the agent, or called without being asked of us."""
    definitions = [each for _, view in llm_calls(trace, seen) for each in view.tool_definitions or ()]
    defined = {name for each in definitions if (name := _name_of(each)) is not None}
    answered = {use.name for use in tools.uses}
    findings: list[str] = []
    for name in scenario.tools:
        called = any(same_tool(use.name, name) for use in uses)
        if called and name not in answered:
            findings.append(
                f"the agent ran its own {name}: the answer that the scenario pins never reached it "
                "(mark the tool with @simulate.tool, or let the agent hand its tool calls to the caller)"
            )
        elif not called and name not in defined | tools.seen | marked():
            offered = ", ".join(sorted(defined | tools.seen)) or "none that we can see"
            findings.append(f"the scenario pins {name}, which the agent never offered; it offers: {offered}")
    return findings


def _name_of(definition: Any) -> str | None:
    """A tool definition's name, in the shape of the conventions or of OpenAI."""
    if not isinstance(definition, dict):
        return None
    known = cast("dict[str, Any]", definition)
    return known.get("name") or _name_of(known.get("function"))


def _measures(conversation: Conversation, trace: Trace, seen: Views) -> dict[str, float | int | str | None]:
    latencies = [seconds for _, seconds in reply_latencies(conversation)]
    calls = llm_calls(trace, seen)
    known = [view for _, view in calls]
    return {
        "turns": conversation.turns,
        "duration_seconds": conversation.duration,
        "reply_p50_seconds": percentile(latencies, 50) if latencies else None,
        "reply_p95_seconds": percentile(latencies, 95) if latencies else None,
        "spans": len(trace),
        "model_calls": len(calls),
        "input_tokens": _total([view.input_tokens for view in known]),
        "output_tokens": _total([view.output_tokens for view in known]),
        "cost_usd": cost_of(trace, seen).dollars,
    }


def _total(values: list[int | None]) -> int | None:
    """None where one is unknown: part of a sum is not the sum."""
    return None if not values or None in values else sum(value or 0 for value in values)
