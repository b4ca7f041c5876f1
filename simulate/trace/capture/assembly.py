"""One trace out of what came: duplicates dropped, gaps counted, everything said in plain sentences."""

from __future__ import annotations

from collections import Counter

from simulate.trace.capture.routing import ConversationSpans
from simulate.trace.span import Span

_HOW = {
    "context": "started inside the conversation",
    "link": "by a span link",
    "session": "by a session attribute",
}


def missing_parents(inbox: ConversationSpans) -> set[str]:
    """Ids of parents that were named and never came, but for the remote root that we sent."""
    known, named = {inbox.root_span_id, ""}, set[str]()
    for item in (*inbox.local, *inbox.decoded()):
        known.add(item.span_id)
        named.add(item.parent_id or "")
    for _, _, spans in inbox.blocks():
        known.update(span.span_id.hex() for span in spans)
        named.update(span.parent_span_id.hex() for span in spans)
    return named - known


def assemble(inbox: ConversationSpans) -> tuple[list[Span], list[str]]:
    """Each span once, in the order of their coming, and what a reader should know."""
    spans: dict[tuple[str, str], Span] = {}
    local = len(inbox.local)
    duplicates = conflicts = 0
    for place, span in enumerate(inbox.spans()):
        key = (span.trace_id, span.span_id)
        earlier = spans.get(key)
        if earlier is None:
            spans[key] = span
        elif place >= local and _same(earlier, span):
            # the agent of this process exports to our receiver too: the same span by another way, or a retry
            duplicates += 1
        else:
            conflicts += 1
            if span.end_ns is not None:
                spans[key] = span
    _attach_scores(inbox, spans)
    return list(spans.values()), _notes(inbox, duplicates, conflicts)


def _same(one: Span, other: Span) -> bool:
    return one.name == other.name and one.end_ns == other.end_ns and one.attributes == other.attributes


def _attach_scores(inbox: ConversationSpans, spans: dict[tuple[str, str], Span]) -> None:
    by_id = {span.span_id: span for span in spans.values()}
    for span_id, event in inbox.scores:
        span = by_id.get(span_id)
        if span is not None and event not in span.events:
            span.events.append(event)


def _notes(inbox: ConversationSpans, duplicates: int, conflicts: int) -> list[str]:
    notes = list[str]()
    if inbox.open:
        names = ", ".join(sorted(set(inbox.open.values()))[:5])
        notes.append(f"{len(inbox.open)} spans had not ended: {names}")
    elif not inbox.received:
        return notes
    missing = missing_parents(inbox) - {f"{span_id:016x}" for span_id in inbox.open}
    if missing:
        notes.append(
            f"{len(missing)} spans are missing that others name as parent: {', '.join(sorted(missing)[:5])}"
        )
    if duplicates:
        notes.append(f"{duplicates} spans came twice; one of each is kept")
    if conflicts:
        notes.append(f"{conflicts} spans came again with other content; the last that had ended is kept")
    # a claimed trace stands under two keys, as number and as bytes
    for how, times in Counter(how for key, how in inbox.claims.items() if isinstance(key, int)).items():
        notes.append(f"{times} traces that the agent started itself belong to it, found {_HOW[how]}")
    if inbox.shared:
        notes.append(
            "a trace of the agent serves several conversations; its spans were parted by session or context"
        )
    if inbox.scores:
        notes.append(f"{len(inbox.scores)} evaluation results came as log events and stand on their spans")
    return notes
