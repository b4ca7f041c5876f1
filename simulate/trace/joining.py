"""Each span once, under an id of its own: what a trace must be before anything else reads it.

Exporters send a span again when an answer was lost, or at its start and at its end; Zipkin lets the two sides
of a call share one id; and broken exporters give one id to spans that have nothing to do with each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b

from simulate.model.text import counted
from simulate.trace.root import with_lost_root
from simulate.trace.span import Span, Trace


def join(trace: Trace) -> None:
    """Join the spans of a trace that came more than once, and give an id of its own to each span that has
    another's; the trace's notes say so."""
    trace.spans, notes = joined(with_lost_root(trace.spans, trace.trace_id))
    trace.notes += notes


def joined(spans: list[Span]) -> tuple[list[Span], list[str]]:
    """The spans without duplicates, in the order in which each first came, and what a reader should know.
    The list is the same one where there is nothing to do; the spans given are never written over."""
    by_id = {span.span_id: 1 for span in spans}
    if len(by_id) == len(spans):
        return spans, []
    groups: dict[str, list[Span]] = {}
    again = list[str]()
    for span in spans:
        known = groups.setdefault(span.span_id, [])
        for at, other in enumerate(known):
            if (merged := merge(other, span)) is not None:
                known[at] = merged
                again.append(span.name)
                break
        else:
            known.append(span)
    kept = {span_id: _apart(members) for span_id, members in groups.items() if len(members) > 1}
    notes = (
        [f"{counted(len(again), 'span')} came more than once and were joined: {names(again)}"]
        if again
        else []
    )
    if kept:
        notes += _told(kept)
    found = [span for span_id, members in groups.items() for span in kept.get(span_id, members)]
    return [_under(span, kept) for span in found], notes


def merge(one: Span, other: Span) -> Span | None:
    """One span of two that are equal, or of which one is an earlier state of the other; else None.

    The later state is the one that has ended, or else came later."""
    if one == other:
        return one
    both_ended = one.end_ns is not None and other.end_ns is not None
    same = ["trace_id", "otel_kind", "scope"]
    if both_ended or not one.start_ns:  # the name of a span that goes on may still change
        same.append("name")
    if any(getattr(one, name) != getattr(other, name) for name in same):
        return None
    for name in ("parent_id", "start_ns", "end_ns"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine and theirs and mine != theirs:
            return None
    later, earlier = (one, other) if other.end_ns is None and one.end_ns is not None else (other, one)
    if both_ended and any(
        later.attributes.get(key, value) != value for key, value in earlier.attributes.items()
    ):
        return None
    return replace(
        later,
        parent_id=later.parent_id or earlier.parent_id,
        start_ns=later.start_ns or earlier.start_ns,
        attributes=earlier.attributes | later.attributes,
        events=later.events if len(later.events) >= len(earlier.events) else earlier.events,
        links=later.links if len(later.links) >= len(earlier.links) else earlier.links,
        status=earlier.status if later.status == "unset" else later.status,
        status_message=later.status_message or earlier.status_message,
    )


def _apart(members: list[Span]) -> list[Span]:
    """Spans that share an id, each with its own: the caller's side of a call, or the first, keeps it."""
    first = next((span for span in members if span.otel_kind in ("client", "producer")), members[0])
    apart = list[Span]()
    for number, span in enumerate(members):
        if span is not first:
            own = blake2b(f"{span.span_id}/{number}".encode(), digest_size=8).hexdigest()
            serves = _serves(span, first)
            span = replace(span, span_id=own, parent_id=first.span_id if serves else span.parent_id)
        apart.append(span)
    return apart


def _serves(span: Span, caller: Span) -> bool:
    sides = (caller.otel_kind, span.otel_kind)
    return sides in (("client", "server"), ("producer", "consumer"))


def _told(kept: dict[str, list[Span]]) -> list[str]:
    shared, stray = list[str](), list[str]()
    for span_id, members in kept.items():
        for span in members:
            if span.span_id != span_id:
                (shared if span.parent_id == span_id else stray).append(span.name)
    notes = list[str]()
    if shared:
        notes.append(
            f"{counted(len(shared), 'span')} shared the id of the call that they serve, "
            f"as Zipkin's do, and got one of their own: {names(shared)}"
        )
    if stray:
        notes.append(
            f"{counted(len(stray), 'span')} had the id of another span, and got their own: {names(stray)}"
        )
    return notes


def _under(span: Span, kept: dict[str, list[Span]]) -> Span:
    """The span below that one of several with its parent's id which is in its service and around it."""
    parents = kept.get(span.parent_id or "")
    if parents is None or any(span is each for each in parents):
        return span
    parent = min(
        parents,
        key=lambda each: (
            each.trace_id != span.trace_id,
            each.service != span.service,
            not _around(each, span),
        ),
    )
    return span if parent.span_id == span.parent_id else replace(span, parent_id=parent.span_id)


def _around(parent: Span, child: Span) -> bool:
    return parent.start_ns <= child.start_ns and (parent.end_ns is None or child.start_ns <= parent.end_ns)


def missing_parents(spans: Iterable[Span]) -> set[str]:
    """Ids that spans name as their parent and that no span has."""
    spans = list(spans)
    return {span.parent_id for span in spans if span.parent_id} - {span.span_id for span in spans}


# -- words -----------------------------------------------------------------------------------------------


def names(found: list[str]) -> str:
    """The first five different names, and how many more there are; no control character of them."""
    known = list(dict.fromkeys("".join(c if c.isprintable() else "·" for c in name[:60]) for name in found))
    return ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
