"""From a conversation that is over to the evidence that checks look at."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from simulate.conversation.engine import TrialSession
from simulate.conversation.span_turns import GRACE_NS, SpanTurns
from simulate.errors import NotReached
from simulate.model.outage import outage
from simulate.model.percentile import percentile
from simulate.model.transcript import Conversation
from simulate.resources import Resources
from simulate.scoring.checks.amounts import reply_latencies
from simulate.scoring.checks.check import Evidence
from simulate.scoring.checks.clean_text import unfinished
from simulate.scoring.checks.replies import after_tool_measures, replies_after_tools
from simulate.tool_evidence import call_findings, never_offered, tell_bypassed, tool_calls_of
from simulate.trace.capture import Captured
from simulate.trace.capture.capture import SETTLE_OUTSIDE, SETTLE_SILENT
from simulate.trace.capture.observed import observed_trace
from simulate.trace.joining import missing_parents
from simulate.trace.reading import ToolCall, TraceReading, Visible
from simulate.trace.reading.finish import cut_off, known, used_up
from simulate.trace.root import is_ours, root_span_id
from simulate.trace.span import Kind, Span, Trace
from simulate.trace.truncated import truncated


async def gather(session: TrialSession, resources: Resources) -> Evidence:
    """Wait for the agent's spans, then put together what a check may look at.

    The session gets its notes and measures; the conversation, where each utterance came from."""
    spec, conversation, tools = session.spec, session.conversation, session.tools
    trace, instrumented = await _trace(session)
    reading = TraceReading(trace)
    _with_cost(reading)
    _hear_recording(session, reading)
    turns = SpanTurns(reading, conversation, outside=session.engine.outside)
    calls = tool_calls_of(reading, conversation, tools, turns)
    visible = _visible_in(reading, turns) if instrumented else _visible_at(session)
    _attach_spans(conversation, reading, turns)
    session.notes += session.caller.finish(conversation)
    tell_bypassed(session, calls)
    session.notes += never_offered(spec.scenario, tools, calls, reading) + call_findings(calls)
    outages = _outages(reading, turns)
    session.notes += [f"turn {turn}: the agent's own model {why}" for turn, why in outages.items()]
    session.notes += _cut_off(conversation, reading)
    session.measures = _measures(conversation, reading) | session.measures
    if "turn_taking" in session.measures:
        panel, began = session.measures["turn_taking"], conversation.started_ns
        session.measures |= after_tool_measures(replies_after_tools(panel, calls, reading, began))
    if session.delays is not None and session.delays.by_turn:
        session.measures["delayed_seconds"] = round(max(session.delays.by_turn.values()), 4)
    if session.replayed and session.recording is None:
        # how fast a recording answers says nothing of the agent
        session.measures |= {"reply_p50_seconds": None, "reply_p95_seconds": None}
    return Evidence(
        spec.scenario,
        conversation,
        reading,
        calls,
        no_tools_because=visible.why_not or None,
        **(_missing(reading, calls, turns) if session.engine.outside else {}),
        observed=not instrumented,
        writes=_both(spec.scenario.writes, resources.project.writes),
        judge=resources.judge,
        measures=dict(session.measures),
        folder=spec.root,
        project=resources.project.root,
        update_snapshots=resources.update_snapshots,
        recording=session.recording,
        state=None if session.world is None else (session.world.state_before, session.world.state_after),
        delays={} if session.delays is None else session.delays.by_turn,
        replayed=session.replayed,
        outages=outages,
    )


def _hear_recording(session: TrialSession, reading: TraceReading) -> None:
    """What only a call has: its measures, and what was spoken and understood."""
    if session.recording is None:
        return
    # numpy, which a conversation by text does without
    from simulate.conversation.voice.call_evidence import measure_call, tell_spoken

    measure_call(session, reading)
    tell_spoken(session, reading)


def _both(one: Sequence[str] | None, other: Sequence[str] | None) -> list[str] | None:
    return None if one is None and other is None else [*(one or ()), *(other or ())]


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
        if spans_may_come and trace.spans:
            trace = await _with_what_is_missing(session, session.captured, trace)
    session.notes += trace.notes
    if (lost := truncated(trace, root_span_id(conversation.id))) is not None:
        session.notes.append(lost)
    if trace.spans:
        return trace, True
    tools.uses += session.played
    observed = observed_trace(
        conversation, tools.uses, seen=session.seen, about=session.attributes, told=session.call.told
    )
    session.notes += observed.notes
    return observed, False


async def _with_what_is_missing(session: TrialSession, captured: Captured, trace: Trace) -> Trace:
    """The trace once each turn and each tool that was asked for has its spans, or the settle time is over. An
    agent that never writes them is waited for once, and a note says for what: a tool may run in a third
    process, whose exporter tells nothing of when it is done."""
    owner, address = captured.inbox.owner, session.engine.address
    incomplete = set[str]() if owner is None else owner.incomplete
    loop = asyncio.get_running_loop()
    until = loop.time() + (SETTLE_SILENT if address in incomplete else SETTLE_OUTSIDE)
    while (what := _missing_yet(session, trace)) is not None:
        if not await captured.more(until - loop.time()):
            if address not in incomplete:
                session.notes.append(
                    f"waited {SETTLE_OUTSIDE:g} s for {what}, which never came; the next conversations with "
                    f"this agent wait {SETTLE_SILENT:g} s"
                )
            incomplete.add(address)
            return trace
        trace = await captured.flush(
            outside=True, conversation=session.conversation, handed=session.tools.uses, settle=0
        )
    incomplete.discard(address)
    return trace


def _missing_yet(session: TrialSession, trace: Trace) -> str | None:
    """What spans have to come yet; None where none have to."""
    reading = TraceReading(trace)
    if not reading.llm_calls and not reading.tool_calls:
        return "a span of a model or tool call"
    if SpanTurns(reading, session.conversation, outside=True).lost is not None:
        return "the spans of each turn"
    handed = [use.name for use in session.tools.uses]
    for call in reading.tool_calls:
        awaited = call.ran is None and call.happened is not False
        if awaited and not any(call.name.matches(name) for name in handed):
            return f"a span of the tool {call.name}"
    return None


def _with_cost(reading: TraceReading) -> None:
    """What all model calls cost, where every price is known, on the conversation's own span."""
    root = next((span for span in reading.trace.spans if is_ours(span)), None)
    if root is not None and (dollars := reading.cost.dollars) is not None:
        root.attributes["gen_ai.cost.total"] = dollars


def _visible_at(session: TrialSession) -> Visible:
    """Without spans, the tools that answer through us are all that can be seen."""
    tools = session.tools
    if tools.uses or tools.told or (tools.pins and not session.engine.outside):
        return Visible()
    return Visible(
        "the agent left no spans, so what tools it called cannot be known; "
        "instrument it, or mark its tools with @simulate.tool"
    )


def _visible_in(reading: TraceReading, turns: SpanTurns) -> Visible:
    """Whether the spans would show a tool call. A turn that was answered and left none lost its own."""
    if reading.evidence.tools and turns.lost is not None:
        return Visible(turns.lost)
    return reading.evidence.tools


def _missing(reading: TraceReading, calls: Sequence[ToolCall], turns: SpanTurns) -> dict[str, Any]:
    """What spans that are missing mean for the evidence."""
    lost = _lost(reading, calls, turns)
    return {"turn_lost": turns.lost, "spans_lost": lost, "no_model_in": turns.without_model}


def _lost(reading: TraceReading, calls: Sequence[ToolCall], turns: SpanTurns) -> str | None:
    """Why spans must be missing: those of a turn, of a tool that models tell of, of the agent altogether, or
    one that others name as their parent."""
    if turns.lost is not None:
        return turns.lost
    untraced = [each for each in calls if each.asked and not each.ran and each.answered]
    if untraced:
        return f"models were told what {untraced[0]} answered, and no span of its run came"
    if not reading.llm_calls and not reading.tool_calls:
        return reading.evidence.tools.why_not
    gone = missing_parents(reading.spans) - {root_span_id(reading.trace.trace_id)}
    return f"the span {min(gone)}, which others name as their parent, never came" if gone else None


def _attach_spans(conversation: Conversation, reading: TraceReading, turns: SpanTurns) -> None:
    """Point each utterance of the agent to the span that produced it: the last model call of its turn that
    ended before it, or the last agent where there is none."""
    speaking = [
        (span, view.kind)
        for span, view in reading
        if span.end_ns is not None and view.kind in (Kind.LLM, Kind.AGENT, Kind.TURN)
    ]
    speaking.sort(key=lambda one: (one[0].end_ns or 0, one[1] is Kind.LLM))
    ends_of = [span.end_ns or 0 for span, _ in speaking]
    since = 0.0
    for said in conversation.utterances:
        if said.speaker == "agent" and said.span_id is None:
            begins, ends = (conversation.started_ns + int(at * 1e9) for at in (since, said.end))
            ended = (bisect_right(ends_of, until) for until in (ends, ends + GRACE_NS))
            said.span_id = (
                _produced(speaking[: next(ended)], begins)
                or _produced(speaking[: next(ended)], begins - GRACE_NS)
                or _produced([one for one in speaking if turns.of(one[0].span_id) == said.turn])
            )
        if said.speaker == "agent" and said.cut_off is None and said.span_id in reading.by_id:
            view = reading.view(reading.by_id[said.span_id])
            said.cut_off = cut_off(view.finish_reasons) or used_up(view)
        since = said.end


def _produced(speaking: Sequence[tuple[Span, Kind]], begins: int = 0) -> str | None:
    """The last model call since then, or the last agent where there is none; they are in the order in which
    they ended."""
    agent: str | None = None
    for span, kind in reversed(speaking):
        if (span.end_ns or 0) < begins:
            break
        if begins <= span.start_ns:
            if kind is Kind.LLM:
                return span.span_id
            agent = agent or span.span_id
    return agent


def _outages(reading: TraceReading, turns: SpanTurns) -> dict[int, str]:
    """By turn: why the agent's own model could not answer. One that was asked again and answered could."""
    last: dict[int, str | None] = {}
    for span, view in reading.llm_calls:
        raised = " ".join(str(each.attributes.get("exception.type", "")) for each in span.events)
        told = f"{raised} {span.attributes.get('error.type', '')}: {view.error}"
        # the last call of a turn decides
        last[turns.of(span.span_id) or 0] = None if view.error is None else outage(told)
    return {turn: why for turn, why in last.items() if why is not None}


def _cut_off(conversation: Conversation, reading: TraceReading) -> list[str]:
    """A note for each answer that is not whole, or may not be: an outcome does not pass without a word of
    it."""
    notes: list[str] = []
    for said in conversation.by("agent"):
        span = reading.by_id.get(said.span_id or "")
        if said.cut_off is not None:
            notes.append(f"turn {said.turn}: the agent's answer was cut off ({said.cut_off})")
        elif said.interrupted or (span is not None and known(reading.view(span))):
            continue
        elif (end := unfinished(said.text)) is not None:
            notes.append(
                f"turn {said.turn}: the agent's answer may be cut off: “…{end}” ends in the middle of a "
                "sentence, and nothing tells why its model stopped"
            )
    return notes


def _measures(conversation: Conversation, reading: TraceReading) -> dict[str, float | int | str | None]:
    latencies = [seconds for _, seconds in reply_latencies(conversation)]
    views = [view for _, view in reading.llm_calls]
    return {
        "turns": conversation.turns,
        "duration_seconds": conversation.duration,
        "reply_p50_seconds": percentile(latencies, 50),
        "reply_p95_seconds": percentile(latencies, 95),
        "spans": len(reading.spans),
        "model_calls": len(views),
        "input_tokens": _total([view.input_tokens for view in views]),
        "output_tokens": _total([view.output_tokens for view in views]),
        "cost_usd": reading.cost.dollars,
    }


def _total(values: list[int | None]) -> int | None:
    """None where one is unknown: part of a sum is not the sum."""
    return None if not values or None in values else sum(value or 0 for value in values)
