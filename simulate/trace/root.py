"""The span of a whole conversation: the root that the agent's spans of a run hang on."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from simulate.trace.span import Attributes, Span

SCOPE = "simulate"
"""The instrumentation scope of spans that tell of the conversation, and not of the agent."""
TURN = "simulate.turn"
"""Attribute of an agent's topmost span in a turn: which turn's request led to it."""


def root_span_id(conversation_id: str) -> str:
    """The same for the same conversation, so that a replay sends the same headers; never all zero."""
    half = conversation_id[:16]
    return half if int(half, 16) else conversation_id[16:]


def turn_span_id(conversation_id: str, turn: int) -> str:
    """The parent that the request of a turn names: the root under another id, so that the spans of the agent
    tell their turn whatever their clock says. The same for the same turn, and never all zero."""
    if turn < 1:
        return root_span_id(conversation_id)
    made = blake2b(f"{conversation_id} {turn}".encode(), digest_size=8).hexdigest()
    return made if int(made, 16) else root_span_id(conversation_id)


def conversation_span(
    conversation_id: str,
    spans: Iterable[Span] = (),
    *,
    start_ns: int = 0,
    end_ns: int = 0,
    attributes: Attributes | None = None,
) -> Span:
    """The root of a conversation that lasted from ``start_ns`` to ``end_ns`` (nanoseconds since the epoch),
    and at least as long as its ``spans``."""
    spans = list(spans)
    starts = [span.start_ns for span in spans if span.start_ns] + [start_ns] * bool(start_ns)
    ends = [span.end_ns or span.start_ns for span in spans] + [end_ns]
    return Span(
        conversation_id,
        root_span_id(conversation_id),
        "conversation",
        start_ns=min(starts, default=0),
        end_ns=max(ends) or None,
        attributes={
            "fi.span.kind": "CONVERSATION",
            "gen_ai.span.kind": "CONVERSATION",
            "gen_ai.conversation.id": conversation_id,
            **(attributes or {}),
        },
        scope=SCOPE,
    )


def is_ours(span: Span) -> bool:
    """Whether this span is the root that a run adds, which the same agent's production traces have not."""
    return span.scope == SCOPE and span.parent_id is None and span.name == "conversation"


def with_lost_root(spans: list[Span], trace_id: str) -> list[Span]:
    """Runs of older versions wrote no root: their spans name it, and here it is put back."""
    named = {span.parent_id for span in spans} - {span.span_id for span in spans}
    if len(trace_id) != 32 or trace_id[:16] not in named:
        return spans
    top = [span for span in spans if span.parent_id == trace_id[:16]]
    return [conversation_span(trace_id, spans, end_ns=max(span.start_ns for span in top)), *spans]
