"""What `quality` keeps of one trace, so that files larger than memory can be measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from simulate.model.percentile import percentile
from simulate.trace.reading import TraceReading
from simulate.trace.root import is_ours
from simulate.trace.span import Kind, Span


@dataclass(slots=True)
class Facts:
    """What is kept of one trace."""

    trace_id: str
    route: str
    spans: int
    orphans: int
    roots: int
    complete: bool
    seconds: float | None
    slowest: str | None
    dollars: float | None
    output_tokens: int | None
    """Of the call that wrote most; None where none tells."""
    llm: int
    scores: list[tuple[str, float | None, float | None]]
    keys: dict[str, str | None]
    services: list[str]


def why_incomplete(facts: Facts) -> str:
    """Why coverage does not count this trace."""
    if not facts.llm:
        return "no model call"
    if facts.orphans:
        return f"{facts.orphans} spans lost their parent"
    return f"{facts.roots} roots" if facts.roots != 1 else "a span never ended"


def route_of(roots: list[Span], reading: TraceReading) -> str:
    """The route of the request, else the feature, else the root's name."""
    span = roots[0] if roots else reading.spans[0]
    if is_ours(span):
        span = next((one for one in reading.spans if one.parent_id == span.span_id), span)
    route = span.attributes.get("http.route") or reading.view(span).tags.get("feature.id")
    return str(route) if route else span.name


def slowest_kind(reading: TraceReading) -> str | None:
    """The kind whose spans took longest together; those that only hold others do not count."""
    holding = {Kind.CHAIN, Kind.AGENT, Kind.WORKFLOW, Kind.CONVERSATION, Kind.TURN, Kind.UNKNOWN}
    took: Counter[str] = Counter()
    for span, view in reading:
        if view.kind not in holding and span.duration is not None:
            took[view.kind] += int(span.duration * 1e9)
    return took.most_common(1)[0][0] if took else None


def at(group: list[Facts], p: float) -> float | None:
    """A percentile of the durations."""
    return percentile([facts.seconds for facts in group if facts.seconds is not None], p)


def sums(group: list[Facts], key: str) -> dict[str, float | None]:
    """Dollars by an inherited attribute; None where a part of a sum is not known."""
    sums: dict[str, float | None] = {}
    for facts in group:
        value = facts.keys.get(key)
        if value is not None:
            before = sums.get(value, 0.0)
            sums[value] = None if before is None or facts.dollars is None else before + facts.dollars
    return sums
