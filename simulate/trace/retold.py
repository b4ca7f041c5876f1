"""Calls that another trace tells once more: an SDK with spans of its own beside those of an instrumentation,
or an MCP server whose caller's context did not reach it.

What tells of one call: the same answer's or call's id; or, one inside the other in time and in one service,
the same tokens or words, or the same tool with the same arguments. Two instrumentations of which that holds
once tell every call twice, so that one inside the other is enough for the rest. What could be one call, and
of which nothing tells that it is, stays two, and is told as a doubt.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulate.trace.reading import TraceReading, Unknown
from simulate.trace.reading.tool_call import ToolCall
from simulate.trace.span import Kind, Span, View

MANY = 256
"""Calls under way at once among which the one is looked for that a span may tell once more."""


@dataclass(frozen=True, slots=True, eq=False)
class Telling:
    """What one trace says of one call. ``said`` is a hash of what was asked (a model's newest message,
    a tool's arguments), None where that is unknown."""

    trace: int
    """The place of its trace among those that are compared."""
    kind: Kind
    top: bool
    """Whether its span has no parent, so that it may be part of another trace."""
    scopes: frozenset[str]
    service: str | None
    start_ns: int
    end_ns: int
    ids: frozenset[str]
    names: frozenset[str]
    """The models, or the tool."""
    tokens: tuple[int | None, int | None] | None
    said: int | None
    serves: bool
    """Whether it is the server's side, which has a caller."""


@dataclass(slots=True)
class Retold:
    """``pairs`` are one call each, told by two traces; ``doubts`` may be."""

    pairs: list[tuple[Telling, Telling]] = field(default_factory=list[tuple[Telling, Telling]])
    doubts: list[tuple[Telling, Telling]] = field(default_factory=list[tuple[Telling, Telling]])


def tellings(reading: TraceReading, trace: int) -> Iterator[Telling]:
    """The calls of one trace, as `retold` compares them with those of others."""
    for span, view in reading.llm_calls:
        if (telling := model_telling(span, view, reading, trace)) is not None:
            yield telling
    for call in reading.tool_calls:
        if (telling := _tool_telling(call, reading, trace)) is not None:
            yield telling


def model_telling(span: Span, view: View, reading: TraceReading, trace: int) -> Telling | None:
    """A model call as `retold` compares it; None for one without times."""
    if not span.start_ns or span.end_ns is None:
        return None
    newest = next((message.text for message in reversed(view.input or ()) if message.text), None)
    told = view.input_tokens, view.output_tokens
    return Telling(
        trace,
        Kind.LLM,
        span.parent_id not in reading.by_id,
        _scopes(reading.told_by.get(span.span_id, [span])),
        span.service,
        span.start_ns,
        span.end_ns,
        frozenset(filter(None, [view.response_id])),
        frozenset(filter(None, [view.request_model, view.response_model])),
        None if told == (None, None) else told,
        None if newest is None else hash(" ".join(newest.split())),
        span.otel_kind == "server",
    )


def _tool_telling(call: ToolCall, reading: TraceReading, trace: int) -> Telling | None:
    spans = [reading.by_id[each] for each in call.ran.span_ids] if call.ran is not None else []
    if not spans or not spans[0].start_ns or (end := spans[0].end_ns) is None:
        return None
    outer, arguments = spans[0], call.arguments
    return Telling(
        trace,
        Kind.TOOL,
        outer.parent_id not in reading.by_id,
        _scopes(spans),
        outer.service,
        outer.start_ns,
        end,
        frozenset(filter(None, [call.call_id])),
        frozenset({call.name.bare}),
        None,
        None if isinstance(arguments, Unknown) else _hash(arguments),
        outer.otel_kind == "server",
    )


def _scopes(spans: Iterable[Span]) -> frozenset[str]:
    return frozenset(span.scope for span in spans)


def _hash(arguments: dict[str, Any]) -> int:
    return hash(json.dumps(arguments, sort_keys=True, default=str))


def retold(every: Iterable[Telling]) -> Retold:
    """Which calls of several traces are one. A call is paired with at most one of another trace and
    instrumentation; only where that call is the one that fits."""
    known = list(every)
    if len({each.scopes for each in known}) < 2:
        return Retold()
    sure, possible = _candidates(known)
    found = Retold()
    taken: set[tuple[int, frozenset[str]]] = set()
    for pair in [*_unique(sure), *_unique(_habitual(possible, sure, known))]:
        ends = [(id(pair[0]), pair[1].scopes), (id(pair[1]), pair[0].scopes)]
        if not taken.intersection(ends):
            taken.update(ends)
            found.pairs.append(pair)
    told = {id(each) for pair in found.pairs for each in pair}
    found.doubts = [pair for pair in sure + possible if not {id(pair[0]), id(pair[1])} & told]
    return found


Pairs = list[tuple[Telling, Telling]]


def _candidates(known: Sequence[Telling]) -> tuple[Pairs, Pairs]:
    """Those that are one call, and those that could be; the outer one first."""
    sure, possible = Pairs(), Pairs()
    under_way: defaultdict[tuple[Kind, bool], list[Telling]] = defaultdict(list)
    for one in sorted(known, key=lambda each: (each.start_ns, -each.end_ns)):
        for top in (True, False) if one.top else (True,):
            waiting = [each for each in under_way[one.kind, top] if each.end_ns > one.start_ns]
            under_way[one.kind, top] = waiting
            for outer in waiting[-MANY:]:
                if outer.trace != one.trace and not outer.scopes & one.scopes:
                    same = _same(outer, one)
                    (sure if same else possible).extend([(outer, one)] if same is not False else [])
        under_way[one.kind, one.top].append(one)
    return sure, possible


def _same(outer: Telling, inner: Telling) -> bool | None:
    """Whether they tell of one call; None where they could, and nothing says so."""
    if outer.ids and inner.ids:
        return bool(outer.ids & inner.ids) and not _contradict(outer, inner)
    if inner.end_ns > outer.end_ns or outer.service != inner.service or _contradict(outer, inner):
        return False
    if not (outer.names and inner.names):
        return None
    alike = (outer.tokens is not None and outer.tokens == inner.tokens) or (
        outer.said is not None and outer.said == inner.said
    )
    return True if alike or (inner.kind is Kind.TOOL and inner.serves) else None


def _contradict(one: Telling, other: Telling) -> bool:
    if one.kind is Kind.LLM and one.ids & other.ids:
        return False  # two instrumentations of one answer may count and name differently
    if one.names and other.names and not one.names & other.names:
        return True
    told = ((one.said, other.said), (one.tokens, other.tokens))
    return any(None not in both and both[0] != both[1] for both in told)


def _unique(pairs: Pairs) -> Pairs:
    """The pairs of which neither could be another's."""
    times: defaultdict[tuple[int, frozenset[str]], int] = defaultdict(int)
    for one, other in pairs:
        times[id(one), other.scopes] += 1
        times[id(other), one.scopes] += 1
    return [
        (one, other)
        for one, other in pairs
        if times[id(one), other.scopes] == times[id(other), one.scopes] == 1
    ]


def _habitual(possible: Pairs, sure: Pairs, known: Sequence[Telling]) -> Pairs:
    """Of the possible pairs those of two instrumentations that tell each other's calls elsewhere."""
    if not possible:
        return []
    habits = {(outer.kind, outer.scopes | inner.scopes) for outer, inner in sure}
    habits |= {(each.kind, each.scopes) for each in known if len(each.scopes) > 1}
    return [pair for pair in possible if (pair[0].kind, pair[0].scopes | pair[1].scopes) in habits]
