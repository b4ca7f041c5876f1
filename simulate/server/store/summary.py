"""A trace as the rows by which it is found, counted and listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from simulate.server.store.sketch import bin_of
from simulate.trace.cost import succeeded
from simulate.trace.find import summary
from simulate.trace.overview import Overview, fails, overview
from simulate.trace.reading import TraceReading
from simulate.trace.span import Span

HOUR = 3_600_000_000_000
TAGGED = {
    "user": None, "session": None, "conversation": None, "tenant": None, "feature": None, "prompt": None,
    "experiment": None, "cohort": None,
}  # fmt: skip
RESOURCE = {
    "service": ("service.name",),
    "environment": ("deployment.environment.name", "deployment.environment"),
    "run": ("simulate.run.id",),
    "scenario": ("simulate.scenario",),
    "outcome": ("simulate.outcome",),
}
_RESOURCE_KEYS = frozenset(key for keys in RESOURCE.values() for key in keys)
ROLLED_UP = ("feature", "prompt", "user", "model", "agent", "tool", "tenant", "experiment", "environment")
"""What dashboards cut by."""
LONGEST_TEXT = 400_000
"""Characters of one trace that are searched for word by word."""

Row = dict[str, Any]


@dataclass(slots=True)
class Rolled:
    """What one trace adds to the sums of an hour and a tag; all of it can be taken away again."""

    hour: int
    name: str
    value: str
    sums: dict[str, float]
    bins: dict[str, int] = field(default_factory=dict[str, int])
    """Measure → bin."""


@dataclass(slots=True)
class TraceRows:
    """Everything that the store holds of a trace beside its spans; ids of the trace itself are not in it."""

    trace: Row
    about: dict[str, Any]
    spans: list[Row]
    tags: list[tuple[str, str]]
    scores: list[Row]
    rolled: list[Rolled]
    text: str
    text_cut: bool


def rows_of(reading: TraceReading) -> TraceRows:
    """What a redacted trace says of itself."""
    about = overview(reading)
    short = summary(reading)
    tags = list(dict.fromkeys(_tags(reading, about)))
    scores = [
        {
            "at": at, "span_id": span.span_id, "name": score.name, "value": score.value,
            "threshold": score.threshold, "passed": score.passed(), "label": score.label,
        }
        for at, (span, score) in enumerate(about.verdicts)
    ]  # fmt: skip
    breached = sum(score["passed"] is False for score in scores)
    root = next(iter(reading.roots), None)
    text, cut = _text(reading.spans)
    began = reading.origin or reading.trace.start_ns
    trace = {
        "trace_id": reading.trace.trace_id, "began_ns": began,
        "ended_ns": reading.trace.end_ns, "name": root.name if root else reading.trace.trace_id,
        "failing": short.failing, "seconds": short.seconds, "first_token": _first_token(reading, began),
        "tokens": about.tokens, "dollars": about.dollars, "spans": len(reading.spans), "breached": breached,
    }  # fmt: skip
    shown: dict[str, Any] = {
        "tags": about.tags, "models": about.models, "notes": reading.trace.notes[:20],
        "succeeded": succeeded(reading),
    }  # fmt: skip
    return TraceRows(
        trace, shown, list(_spans(reading)), tags, scores, _rolled(trace, tags, reading, about), text, cut
    )


def _tags(reading: TraceReading, about: Overview) -> Iterator[tuple[str, str]]:
    for name, values in about.tags.items():
        yield from ((name, value) for value in values)
    for value in {view.prompt_version for _, view in reading if view.prompt_version}:
        yield "prompt_version", value
    yield from (("model", model) for model in about.models)
    yield from (("agent", role.name) for role in about.roles)
    yield from (("tool", str(call.name)) for call in reading.tool_calls)
    for span in reading.spans:
        if _RESOURCE_KEYS.isdisjoint(span.resource) and _RESOURCE_KEYS.isdisjoint(span.attributes):
            continue
        for name, keys in RESOURCE.items():
            for key in keys:
                value = span.resource.get(key, span.attributes.get(key))
                if isinstance(value, str) and value:
                    yield name, value


def _first_token(reading: TraceReading, began: int) -> float | None:
    """Seconds from the start of the trace to its first token from a model, where one call says so."""
    first = [
        (span.start_ns - began) / 1e9 + view.time_to_first_token
        for span, view in reading.llm_calls
        if view.time_to_first_token is not None and span.start_ns
    ]
    return min(first, default=None)


def _spans(reading: TraceReading) -> Iterator[Row]:
    prices = {id(span): paid.dollars for span, _, paid in reading.cost.calls}
    for at, (span, view) in enumerate(reading):
        yield {
            "at": at, "span_id": span.span_id, "kind": view.kind.value, "name": span.name,
            "model": view.response_model or view.request_model, "tool": view.tool_name,
            "agent": view.agent_name, "failed": fails(span, view), "seconds": span.duration,
            "input_tokens": view.input_tokens, "output_tokens": view.output_tokens,
            "dollars": prices.get(id(span), view.cost),
        }  # fmt: skip


def _rolled(trace: Row, tags: list[tuple[str, str]], reading: TraceReading, about: Overview) -> list[Rolled]:
    hour = int(trace["began_ns"]) // HOUR
    whole = _sums(trace["dollars"], trace["tokens"], bool(trace["failing"]))
    whole["succeeded"] = int(succeeded(reading))
    whole["breached"] = int(trace["breached"] > 0)
    bins = {
        measure: bin_of(trace[measure])
        for measure in ("seconds", "first_token")
        if trace[measure] is not None and trace[measure] >= 0
    }
    found = [Rolled(hour, "all", "", whole, bins)]
    by_call = {"model": _by_model(reading), "agent": {role.name: role.dollars for role in about.roles}}
    for name, value in tags:
        if name in by_call:
            # a trace of two models did not pay each of them all that it cost
            sums = {**whole, **_sums(by_call[name].get(value), None, bool(trace["failing"]))}
            found.append(Rolled(hour, name, value, sums, bins))
        elif name in ROLLED_UP:
            found.append(Rolled(hour, name, value, whole, bins))
    return found


def _by_model(reading: TraceReading) -> dict[str, float | None]:
    paid: dict[str, float | None] = {}
    for _, view, price in reading.cost.calls:
        model = view.response_model or view.request_model or ""
        before = paid.get(model, 0.0)
        paid[model] = None if before is None or price.dollars is None else before + price.dollars
    return paid


def _sums(dollars: float | None, tokens: int | None, failed: bool) -> dict[str, float]:
    return {
        "traces": 1, "errors": int(failed), "priced": int(dollars is not None), "dollars": dollars or 0.0,
        "tokens": tokens or 0,
    }  # fmt: skip


def _text(spans: list[Span]) -> tuple[str, bool]:
    """Every text of the trace once, and whether some of it was too much."""
    found: dict[str, None] = {}
    for span in spans:
        found[span.name] = None
        if span.status_message:
            found[span.status_message] = None
        for held in (span.attributes, *(event.attributes for event in span.events)):
            for value in held.values():
                if isinstance(value, str):
                    found[value] = None
                elif isinstance(value, list):
                    found[" ".join(map(str, value))] = None  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    text = "\n".join(found)
    return text[:LONGEST_TEXT], len(text) > LONGEST_TEXT
