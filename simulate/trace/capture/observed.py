"""The trace of an agent that left none: conversation → turn → agent, as seen from outside.

It has production's shape, so that checks, diffs and reports work on it, and every span of it says that
nobody measured inside: scope ``simulate.observed``, attribute ``simulate.observed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import orjson

from simulate import determinism
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.trace.root import root_span_id
from simulate.trace.span import Attributes, Event, Span, Trace

SCOPE = "simulate.observed"


@dataclass(frozen=True, slots=True)
class Told:
    """What an agent's own wire tells that its voice said (``tts``) or that it understood (``stt``)."""

    kind: Literal["tts", "stt"]
    text: str
    at: float
    """Seconds since the conversation began."""


def observed_trace(
    conversation: Conversation,
    uses: Sequence[ToolUse] = (),
    *,
    agent: str | None = None,
    seen: Mapping[int, Mapping[str, Any]] | None = None,
    about: Mapping[str, Any] | None = None,
    told: Sequence[Told] = (),
) -> Trace:
    """Build the trace from what was said, and from tool calls that were seen at the tools themselves.

    ``seen`` holds, by turn, what the adapter could see from outside (model, tokens), as span attributes. What
    the agent got is what it *heard*; what it gave is what it *said*. An empty turn of the agent has no
    output messages rather than an empty one. ``about`` says who calls and what is tried, for every span.
    ``told`` is what the agent's wire told of its speech synthesis and recognition."""
    take = determinism.current()
    ends = [conversation.duration, *(said.end for said in conversation.utterances)]
    broken = conversation.ended_by == "fault"
    root = Span(
        trace_id=conversation.id,
        span_id=root_span_id(conversation.id),
        name="conversation",
        start_ns=conversation.started_ns,
        end_ns=_moment(conversation, max(ends)),
        attributes=_marked("CONVERSATION", conversation.id),
        scope=SCOPE,
        resource={"service.name": agent or "agent"},
    )
    _conclude(root, conversation, broken=broken)
    spans = [root]
    # a turn's number never falls, but an interruption may put utterances of two turns out of order
    ordered = sorted(conversation.utterances, key=lambda said: said.turn)
    turns = [(turn, list(said)) for turn, said in groupby(ordered, key=lambda said: said.turn)]
    for turn, utterances in turns:
        of_turn = _child(root, take.span_id(), "turn", "TURN", conversation, utterances)
        of_turn.attributes["simulate.turn"] = turn
        if any(said.interrupted for said in utterances):
            of_turn.attributes["interrupted"] = True
        of_agent = _agent_span(of_turn, take.span_id(), conversation, utterances, agent)
        of_agent.attributes.update((seen or {}).get(turn, {}))
        if broken and turn == turns[-1][0]:
            of_agent.status, of_agent.status_message = "error", conversation.end_reason
        spans += [of_turn, of_agent]
        spans += [_tool_span(of_agent, take.span_id(), conversation, use) for use in uses if use.turn == turn]
    known = {turn for turn, _ in turns}
    spans += [_tool_span(root, take.span_id(), conversation, use) for use in uses if use.turn not in known]
    spans += [_speech_span(spans, take.span_id(), conversation, one) for one in told]
    _mark_all(spans, about or {})
    note = "the agent left no spans of its own: this trace was observed from outside"
    return Trace(conversation.id, spans, source="observed", notes=[note])


def _mark_all(spans: list[Span], about: Mapping[str, Any]) -> None:
    for step, span in enumerate(_of_kinds(spans, "AGENT", "TOOL"), 1):
        span.attributes["agent.trajectory.step"] = step
    for span in spans:
        span.attributes |= about


def _of_kinds(spans: list[Span], *kinds: str) -> list[Span]:
    found = [span for span in spans if span.attributes["fi.span.kind"] in kinds]
    return sorted(found, key=lambda span: span.start_ns)


def _agent_span(
    turn: Span, span_id: str, conversation: Conversation, utterances: list[Utterance], agent: str | None
) -> Span:
    said = [each for each in utterances if each.speaker == "agent"]
    told = [each for each in utterances if each.speaker == "caller"]
    name = f"invoke_agent {agent}" if agent else "invoke_agent"
    span = _child(turn, span_id, name, "AGENT", conversation, utterances)
    if told and said:  # it had nothing to work on before the caller had finished, or was cut short
        heard = _moment(conversation, min(told[-1].end, said[-1].end))
        span.start_ns = max(span.start_ns, min(heard, span.end_ns or heard))
    span.attributes["gen_ai.operation.name"] = "invoke_agent"
    if agent:
        span.attributes["gen_ai.agent.name"] = agent
    if told:
        span.attributes["gen_ai.input.messages"] = _messages("user", [each.received for each in told])
    if said:
        span.attributes["gen_ai.output.messages"] = _messages("assistant", [each.text for each in said])
        first = said[0].first
        if first is not None:
            if told and first >= told[-1].end:
                span.attributes["gen_ai.server.time_to_first_token"] = first - told[-1].end
            span.events.append(Event("first_output", _moment(conversation, first)))
    return span


def _tool_span(parent: Span, span_id: str, conversation: Conversation, use: ToolUse) -> Span:
    span = Span(
        trace_id=parent.trace_id,
        span_id=span_id,
        name=f"execute_tool {use.name}",
        parent_id=parent.span_id,
        start_ns=parent.start_ns if use.start is None else _moment(conversation, use.start),
        end_ns=parent.end_ns if use.end is None else _moment(conversation, use.end),
        attributes=_marked("TOOL", conversation.id),
        scope=SCOPE,
        resource=parent.resource,
    )
    span.attributes |= {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": use.name,
        "gen_ai.tool.call.arguments": _text(use.arguments),
    }
    if use.call_id is not None:
        span.attributes["gen_ai.tool.call.id"] = use.call_id
    if use.error is not None:
        span.status, span.status_message = "error", use.error
    else:
        span.attributes["gen_ai.tool.call.result"] = _text(use.result)
    return span


def _speech_span(spans: Sequence[Span], span_id: str, conversation: Conversation, told: Told) -> Span:
    root, at = spans[0], _moment(conversation, told.at)
    turns = [span for span in spans if span.name == "turn" and span.start_ns <= at]
    parent = turns[-1] if turns else root
    span = Span(
        trace_id=root.trace_id,
        span_id=span_id,
        name=told.kind,
        parent_id=parent.span_id,
        start_ns=at,
        end_ns=at,
        attributes=_marked(told.kind.upper(), conversation.id),
        scope=SCOPE,
        resource=root.resource,
    )
    span.attributes["simulate.spoken" if told.kind == "tts" else "simulate.understood"] = told.text
    return span


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _child(
    parent: Span, span_id: str, name: str, kind: str, conversation: Conversation, said: list[Utterance]
) -> Span:
    return Span(
        trace_id=parent.trace_id,
        span_id=span_id,
        name=name,
        parent_id=parent.span_id,
        start_ns=_moment(conversation, min(each.start for each in said)),
        end_ns=_moment(conversation, max(each.end for each in said)),
        attributes=_marked(kind, parent.trace_id),
        scope=SCOPE,
        resource=parent.resource,
    )


def _conclude(root: Span, conversation: Conversation, *, broken: bool) -> None:
    if conversation.ended_by is not None:
        root.attributes["simulate.ended_by"] = conversation.ended_by
    if broken:
        root.status, root.status_message = "error", conversation.end_reason


def _marked(kind: str, conversation_id: str) -> Attributes:
    return {
        "fi.span.kind": kind,
        "gen_ai.span.kind": kind,
        "gen_ai.conversation.id": conversation_id,
        "simulate.observed": True,
    }


def _messages(role: str, texts: list[str]) -> str:
    return orjson.dumps(
        [{"role": role, "parts": [{"type": "text", "content": text}]} for text in texts if text]
    ).decode()


def _moment(conversation: Conversation, seconds: float) -> int:
    return conversation.started_ns + round(seconds * 1e9)
