"""A trace as the data that the waterfall of the page draws.

The component stands alone: ``waterfall`` makes its data, ``assets/waterfall.js`` draws it, and the run's
report, ``simulate trace show --html`` and ``simulate diff --html`` all use both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

from simulate.interfaces.render.shortening import Clip
from simulate.trace.overview import decisions
from simulate.trace.reading import TraceReading
from simulate.trace.span import Kind, Message, Span, Trace, View
from simulate.trace.tree import Node, build

ViewsOf = Callable[[Trace], Mapping[str, View]]
"""How a trace's spans are read, by span id; as `simulate.trace.reading` does unless told otherwise."""

MAX_SPANS = 20_000
"""Rows of one waterfall. A page that nobody can open helps nobody; the rest is counted and said."""
MAX_MESSAGES = 24
"""Messages of one model call that the page shows: the first, and the last of them."""

_PLAIN_FACTS = (
    *("operation", "provider", "request_model", "response_model", "input_tokens", "output_tokens"),
    *("cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost", "time_to_first_token", "parameters"),
    *("finish_reasons", "tool_name", "tool_call_id", "agent_name", "handoff_from", "handoff_to", "step"),
    *(
        "conversation_id",
        "session_id",
        "user_id",
        "prompt_name",
        "prompt_version",
        "voice",
        "gateway",
        "tags",
    ),
)
_CONTENT = (
    *("instructions", "tool_arguments", "tool_result", "query", "documents", "input_value", "output_value"),
    *("tool_definitions", "error"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What a comparison says of one span: ``added``, ``removed``, ``changed``, ``moved``; and a line why."""

    state: str
    note: str = ""


def waterfall(
    trace: Trace,
    views: Mapping[str, View] | None = None,
    *,
    marks: Mapping[str, Mark] | None = None,
    whole: str | None = None,
    budget: int = 80_000,
) -> dict[str, Any]:
    """Rows in the order of the tree, each with its depth, times in milliseconds from the trace's start.

    ``views`` are the spans' canonical views by id, computed where not given. ``marks`` puts the findings of a
    comparison at spans by id. ``whole`` names the file with the uncut trace, and ``budget`` is how many
    characters of one span's content the page may hold.
    """
    views = _dialects(trace) if views is None else views
    tree = build(trace)
    zero = tree.start_ns
    end = max((node.end_ns or node.start_ns for node in tree), default=zero)
    notes = list(tree.notes)
    if len(tree) > MAX_SPANS:
        file = whole or "the trace file"
        notes.append(f"{len(tree) - MAX_SPANS:,} more spans are not shown; {file} has them")
    spans: list[dict[str, Any]] = []
    for node in islice(tree, MAX_SPANS):
        span = node.span
        seen = views.get(span.span_id) or View(Kind.UNKNOWN, "none")
        clip = Clip(each=min(20_000, budget), budget=budget, whole=whole)
        row = _row(span, seen, zero - node.shift_ns, clip)
        row["depth"] = node.depth
        if not span.start_ns:
            row["at"] = _at(node, zero)
        if node.placement is not None:
            row["placement"] = node.placement
        mark = marks.get(span.span_id) if marks else None
        if mark is not None:
            row["mark"] = {"state": mark.state, "note": mark.note}
        spans.append(row)
    return {
        "id": trace.trace_id,
        "source": trace.source,
        "zero_ns": str(zero),  # beyond what JavaScript's numbers hold
        "duration": (end - zero) / 1e6,
        "notes": [Clip(each=1_000)(note) for note in notes],
        "spans": spans,
    }


def _at(node: Node, zero: int) -> float:
    """Where a span without a start is drawn: where the nearest one above it begins that has one."""
    above: Node | None = node
    while above is not None and not above.start_ns:
        above = above.parent
    return (above.start_ns - zero) / 1e6 if above is not None else 0.0


def _dialects(trace: Trace) -> Mapping[str, View]:
    return TraceReading(trace).views


def _row(span: Span, view: View, zero: int, clip: Clip) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": span.span_id,
        "kind": view.kind.value,
        "name": Clip(each=300)(span.name),
        "at": (span.start_ns - zero) / 1e6,
        "for": None if span.duration is None else span.duration * 1e3,
    }
    if span.status == "error" or view.error:
        row["failed"] = True
    facts = {name: getattr(view, name) for name in _PLAIN_FACTS} | {
        "status_message": span.status_message,
        "service": span.service,
        "scope": span.scope,
        "dialect": view.dialect,
        "dropped": span.dropped or None,
    }
    row |= {name: clip(value) for name, value in facts.items() if value not in (None, "", [], {})}
    for name in ("input", "output"):
        messages: list[Message] | None = getattr(view, name)
        if messages:
            row[name] = _messages(messages, clip)
    row |= {name: clip(getattr(view, name)) for name in _CONTENT if getattr(view, name) not in (None, "", [])}
    decided = decisions(span, view) + ([] if view.step is None else [f"step {view.step}"])
    if decided:
        row["decided"] = clip("; ".join(decided))
    if view.scores:
        row["scores"] = [clip(score) for score in view.scores]
    if span.events:
        row["events"] = [
            {
                "name": clip(event.name),
                "at": (event.time_ns - zero) / 1e6,
                "attributes": clip(event.attributes),
            }
            for event in span.events[:100]
        ]
    if span.links:
        row["links"] = [
            {field.name: clip(getattr(link, field.name)) for field in fields(link)}
            for link in span.links[:50]
        ]
    raw = Clip(each=1_000, budget=30_000, whole=clip.whole)
    row["raw"] = raw(span.attributes)
    if span.resource:
        row["resource"] = raw(span.resource)
    return row


def _messages(messages: list[Message], clip: Clip) -> list[Any]:
    shown: list[Any] = [clip(message) for message in messages[-MAX_MESSAGES:]]
    if len(messages) > MAX_MESSAGES:
        between = len(messages) - MAX_MESSAGES - 1
        head: list[Any] = [clip(messages[0])]
        if between:
            head.append(
                {"role": "…", "parts": [{"type": "text", "content": f"{between:,} messages between"}]}
            )
        shown = head + shown
    return shown
