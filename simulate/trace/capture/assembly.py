"""One trace out of what came for a conversation: each span once, gaps counted, everything said."""

from __future__ import annotations

from collections import Counter

from simulate.model.text import counted
from simulate.trace.capture.routing import ConversationSpans
from simulate.trace.joining import joined, missing_parents
from simulate.trace.span import Span

_HOW = {
    "context": "started inside the conversation",
    "link": "by a span link",
    "session": "by a session attribute",
}


def lost_parents(inbox: ConversationSpans) -> set[str]:
    """Ids of parents that were named and never came, but for the root, which is ours to write."""
    return missing_parents(inbox.spans()) - {inbox.root_span_id}


def assemble(inbox: ConversationSpans) -> tuple[list[Span], list[str]]:
    """Each span once, in the order of their coming, and what a reader should know."""
    local = {(span.trace_id, span.span_id) for span in inbox.local}
    spans = list(inbox.local)
    # an agent of this process that exports to our receiver too sends the same spans by another way
    spans += [span for span in inbox.decoded() if (span.trace_id, span.span_id) not in local]
    spans, notes = joined(spans)
    _attach_scores(inbox, spans)
    return spans, _notes(inbox) + notes


def _attach_scores(inbox: ConversationSpans, spans: list[Span]) -> None:
    if not inbox.scores:
        return
    by_id = {span.span_id: span for span in spans}
    for span_id, event in inbox.scores:
        span = by_id.get(span_id)
        if span is not None and event not in span.events:
            span.events.append(event)


def _notes(inbox: ConversationSpans) -> list[str]:
    notes = list[str]()
    if inbox.open:
        names = ", ".join(sorted(set(inbox.open.values()))[:5])
        notes.append(f"{counted(len(inbox.open), 'span')} had not ended: {names}")
    elif not inbox.received:
        return notes
    missing = lost_parents(inbox) - {f"{span_id:016x}" for span_id in inbox.open}
    if missing:
        spans = "1 span is" if len(missing) == 1 else f"{len(missing)} spans are"
        notes.append(f"{spans} missing that others name as parent: {', '.join(sorted(missing)[:5])}")
    # a claimed trace stands under two keys, as number and as bytes
    for how, times in Counter(how for key, how in inbox.claims.items() if isinstance(key, int)).items():
        traces = (
            "1 trace that the agent started itself belongs"
            if times == 1
            else (f"{times} traces that the agent started itself belong")
        )
        notes.append(f"{traces} to it, found {_HOW[how]}")
    if inbox.shared:
        notes.append(
            "a trace of the agent serves several conversations; its spans were parted by session or context"
        )
    if inbox.scores:
        notes.append(
            f"{len(inbox.scores)} evaluation results came as log events and were added to their spans"
        )
    return notes + inbox.notes.of("")
