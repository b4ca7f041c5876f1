"""From a conversation that is over to the evidence that checks look at, and from verdicts to an outcome."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Generator, Sequence
from typing import Any, cast

from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.conversation.engine import Exchange, Usage
from simulate.errors import (
    EnvironmentFault,
    Fault,
    HarnessFault,
    MissingExtra,
    NotInstalled,
    NotReached,
    SimulateError,
)
from simulate.masking import hide_secrets
from simulate.model.outcome import Outcome, Status, Verdict
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, ToolUse
from simulate.scoring.checks.amounts import percentile, reply_latencies
from simulate.scoring.checks.check import Evidence, describe
from simulate.tools import marked
from simulate.trace.capture import Captured
from simulate.trace.capture.observed import observed_trace
from simulate.trace.cost import cost_of
from simulate.trace.reading import has_tool_evidence, llm_calls, tool_calls, views
from simulate.trace.reading.calls import Views, same_tool
from simulate.trace.root import root_span_id
from simulate.trace.span import Span, Trace
from simulate.trace.truncated import truncated


async def gather(
    scenario: Scenario,
    exchange: Exchange,
    outcome: Outcome,
    captured: Captured,
    *,
    outside: bool,
    fault: Fault | None = None,
) -> Evidence:
    """Wait for the agent's spans, then put together what a check may look at."""
    conversation, tools = exchange.conversation, exchange.tools
    if exchange.recording is not None:
        from simulate.conversation.voice.measuring import measures_of

        agent_first = scenario.speaks_first == "agent"
        exchange.measures |= measures_of(exchange.recording, conversation, agent_first=agent_first)
    spans_may_come = outside and (bool(conversation.by("agent")) or not isinstance(fault, NotReached))
    trace = await captured.flush(outside=spans_may_come, conversation=conversation, handed=tools.uses)
    notes, instrumented = trace.notes, bool(trace.spans)
    if (lost := truncated(trace, root_span_id(conversation.id))) is not None:
        notes = [*notes, lost]
    if not instrumented:
        trace = observed_trace(conversation, tools.uses, seen=exchange.seen)
        notes = notes + trace.notes
    seen = views(trace)
    uses = _tool_uses(trace, seen, conversation, tools)
    evident, why_not = has_tool_evidence(trace, seen) if instrumented else _evident(tools, outside)
    _attach_spans(conversation, trace, seen)
    outcome.trace, outcome.tool_uses, outcome.recording = trace, uses, exchange.recording
    outcome.notes += exchange.notes + notes + exchange.caller.finish(conversation)
    outcome.notes += _pin_findings(scenario, tools, uses, trace, seen)
    outcome.measures = _measures(conversation, trace, seen) | exchange.measures
    return Evidence(
        scenario,
        conversation,
        trace,
        uses,
        no_tools_because=None if evident else why_not,
        measures=dict(outcome.measures),
        recording=outcome.recording,
    )


def _evident(tools: PinnedTools, outside: bool) -> tuple[bool, str]:
    """Without spans, the tools that answer through us are all that can be seen."""
    if tools.uses or (tools.pins and not outside):
        return True, ""
    return False, (
        "the agent left no spans, so what tools it called cannot be known; "
        "instrument it, or mark its tools with @simulate.tool"
    )


def uses_so_far(tools: PinnedTools, captured: Captured) -> list[ToolUse]:
    """The tool calls up to now, for a caller whose next line waits for one."""
    return tools.uses or tool_calls(captured.so_far())


def usage_so_far(captured: Captured) -> Usage:
    """Tokens and cost up to now, for limits."""
    trace = captured.so_far()
    cost = cost_of(trace)
    return Usage(cost.tokens, cost.dollars)


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


STARVED = 0.98
"""Share of this machine's processor time in use from which a failed call is not held against the agent."""
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


def conclude(outcome: Outcome, evidence: Evidence, fault: Fault | None) -> Outcome:
    """One status from the verdicts: the agent's failure, then somebody else's, then what could not run."""
    conversation = outcome.conversation
    if fault is not None:
        outcome.verdicts += [_fault_verdict(fault, conversation)] + [
            Verdict(each.word, describe(each), "not_run", "the conversation broke off")
            for each in evidence.scenario.expect
        ]
    elif conversation.ended_by == "limit" and not _limit_expected(evidence.scenario):
        verdict = _limit_verdict(evidence.scenario, conversation)
        # an answer that never came explains what else is missing
        outcome.verdicts.insert(0 if _unanswered(conversation) else len(outcome.verdicts), verdict)
    _decide(outcome)
    hide_secrets(outcome)
    return outcome


def _decide(outcome: Outcome) -> None:
    if (starved := _starved(outcome)) is not None:
        outcome.verdicts.insert(0, starved)
        outcome.status, outcome.side = "error", "environment"
        outcome.reason = f"{starved.expectation}: {starved.fact}"
        return
    for status in ("failed", "error", "not_run"):
        found = [verdict for verdict in outcome.verdicts if verdict.status == status]
        if found:
            outcome.status, outcome.side = status, found[0].side
            outcome.reason = _reason(found[0])
            return
    outcome.status = "passed"


@contextlib.contextmanager
def ours(outcome: Outcome) -> Generator[None]:
    """What nobody foresaw is this package's fault: an outcome that says so, not the end of all others."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - one conversation must not take the others with it
        if isinstance(error, Fault):
            fault = error
        elif isinstance(error, MissingExtra):
            fault = NotInstalled(error.message, hint=error.hint)
        elif isinstance(error, SimulateError):
            fault = EnvironmentFault(error.message, where=error.where, hint=error.hint, proof=error.proof)
        else:
            fault = HarnessFault(
                f"{type(error).__name__}: {error}",
                hint="this is a fault of simulate; please report it with the lines below",
                proof="".join(traceback.format_exception(error)).rstrip(),
            )
        outcome.conversation.ended_by = outcome.conversation.ended_by or "fault"
        verdict = _fault_verdict(fault, outcome.conversation)
        outcome.verdicts.append(verdict)
        outcome.status, outcome.side = verdict.status, verdict.side
        outcome.reason = _reason(verdict)
        hide_secrets(outcome)


def _reason(verdict: Verdict) -> str:
    """A verdict in one line; that an agent answers or a limit holds goes without saying."""
    plain = verdict.check in _WHO or verdict.check == "limit"
    return verdict.fact if plain else f"{verdict.expectation}: {verdict.fact}"


def _unanswered(conversation: Conversation) -> bool:
    return bool(conversation.utterances) and conversation.utterances[-1].speaker == "caller"


def _starved(outcome: Outcome) -> Verdict | None:
    """A call fails by what takes too long as much as by what is wrong. Where the processors of this machine
    had no time left while it lasted, that says nothing of an agent that shares them; what it raised does."""
    busy = outcome.measures.get("processors_busy")
    failed = [one for one in outcome.verdicts if one.status == "failed"]
    if busy is None or busy < STARVED or not failed:
        return None
    if any(one.check == "agent" and one.evidence for one in failed):
        return None
    return Verdict(
        "machine",
        "the environment holds",
        "error",
        f"the processors of this machine were {busy:.0%} busy during the call: no failure of it is believed",
        side="environment",
        hint="fewer calls at once (--jobs 1), or a machine with less to do; see `simulate doctor`",
    )


def _limit_verdict(scenario: Scenario, conversation: Conversation) -> Verdict:
    """A script ends by itself, and budgets are the agent's to keep. But where a caller who improvises still
    talks at the last turn, either may be to blame: the agent that gets nowhere, or the caller who had what
    they wanted."""
    reached = conversation.end_reason or "a limit was reached"
    unclear = scenario.goal is not None and conversation.turns >= scenario.limits.turns
    hint = "raise it under `limits:`, or expect it: `ended_by: limit`"
    if unclear:
        reached += ", and whether agent or caller should have come to an end cannot be told from that"
        hint = "expect what shows that the goal is reached, such as `called:`; " + hint
    return Verdict(
        "limit",
        "the conversation ends within its limits",
        "not_run" if unclear else "failed",
        reached,
        side=None if unclear else "agent",
        turn=conversation.turns,
        hint=hint,
    )


def _limit_expected(scenario: Scenario) -> bool:
    return any(getattr(each, "ended_by", None) == "limit" for each in scenario.expect)


_WHO = {
    "agent": "the agent keeps up the conversation",
    "simulator": "the simulated caller plays its part",
    "harness": "the harness does its part",
    "environment": "the environment holds",
}


def _fault_verdict(fault: Fault, conversation: Conversation) -> Verdict:
    status: Status = "failed" if fault.side == "agent" else "error"
    if isinstance(fault, NotInstalled):
        status = "not_run"
    fact = f"{fault.where}: {fault.message}" if fault.where else fault.message
    return Verdict(
        fault.side,
        _WHO[fault.side],
        status,
        fact,
        side=fault.side,
        turn=conversation.turns or None,
        evidence=[] if fault.proof is None else [fault.proof],
        hint=fault.hint,
    )
