"""What traces cost, by user, feature, prompt version, model and so on."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from simulate.trace.pricing import Price, TraceCost, price, tells_tokens
from simulate.trace.reading.trace_reading import TraceReading
from simulate.trace.retold import Telling, model_telling, retold
from simulate.trace.span import Span, Trace, View

__all__ = ["UNSET", "By", "Price", "Row", "TraceCost", "cost_of", "inherited", "price", "rollup", "succeeded"]

By = Literal[
    "user", "session", "feature", "prompt_version", "model", "provider", "tenant", "cohort", "experiment"
]
UNSET = "(not set)"
"""The row of what carries no value for the attribute that is asked for."""


def cost_of(source: Trace | TraceReading) -> TraceCost:
    """What the model calls of a trace cost.

    Returns:
        ``dollars`` is the sum in US dollars, or None where a price is unknown; ``reason`` then says why.
        ``tokens``, ``calls`` and ``speech`` have the parts. Each call counts once, however many
        instrumentations wrote it.
    """
    return TraceReading.of(source).cost


@dataclass(slots=True)
class Row:
    """One line of a rollup. ``dollars`` sums what is known; ``unpriced`` counts calls that it lacks."""

    key: str
    traces: int = 0
    calls: int = 0
    dollars: float = 0.0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    untold: int = 0
    """Calls that did not fail and whose tokens the sums lack."""
    doubtful: int = 0
    """Calls that may be one with a call of another trace, and nothing tells whether they are."""
    disbelieved: int = 0
    """Calls whose spans say that they cost nothing, and whose price is the price list's."""
    successful: int = 0
    reason: str | None = None
    """Why the first of the unpriced calls has no price."""

    @property
    def dollars_per_success(self) -> float | None:
        """All that was spent, over what succeeded; None when nothing did, or a price is unknown."""
        return self.dollars / self.successful if self.successful and not self.unpriced else None


@dataclass(slots=True, eq=False)
class _Spent:
    """One model call of trace number ``trace``."""

    key: str
    trace: int
    won: bool
    price: Price
    tokens: tuple[int | None, int | None]
    told: bool


def rollup(
    traces: Iterable[Trace], by: By = "model", successful: Callable[[TraceReading], bool] | None = None
) -> list[Row]:
    """Cost by user, feature, prompt version, model and so on; the dearest first.

    A call has the value of its own span, else of the nearest span above it, else of any span in its trace.
    One that two traces tell counts once. ``successful`` tells which traces succeeded; by default those of
    `succeeded`.
    """
    spent: list[_Spent] = []
    calls: dict[Telling, _Spent] = {}
    for number, trace in enumerate(traces):
        reading = TraceReading(trace)
        won = succeeded(reading) if successful is None else successful(reading)
        for span, view, paid in reading.cost.calls:
            key = inherited(span, view, by, reading) or UNSET
            one = _Spent(key, number, won, paid, (view.input_tokens, view.output_tokens), tells_tokens(view))
            spent.append(one)
            if (telling := model_telling(span, view, reading, number)) is not None:
                calls[telling] = one
    found = retold(calls)
    # the inner one is nearer to the wire
    again = {calls[outer if calls[inner].told else inner] for outer, inner in found.pairs}
    doubtful = {calls[inner] for _, inner in found.doubts}
    rows: dict[str, Row] = {}
    for one in spent:
        if one not in again:
            _add(rows.setdefault(one.key, Row(one.key)), one, doubtful)
    for key, _, won in {(one.key, one.trace, one.won) for one in spent if one not in again}:
        rows[key].traces += 1
        rows[key].successful += won
    return sorted(rows.values(), key=lambda row: (-row.dollars, row.key))


def _add(row: Row, one: _Spent, doubtful: Container[_Spent]) -> None:
    paid = one.price.dollars
    row.calls += 1
    row.dollars += paid or 0.0
    row.unpriced += paid is None
    row.reason = row.reason or (one.price.reason if paid is None else None)
    row.input_tokens += one.tokens[0] or 0
    row.output_tokens += one.tokens[1] or 0
    row.untold += not one.told
    row.doubtful += one in doubtful
    row.disbelieved += one.price.against is not None


def succeeded(source: Trace | TraceReading, least: Mapping[str, float] | None = None) -> bool:
    """Whether nothing says that the trace failed: no root with an error, no evaluator's result that is bad
    by its threshold, by the one in ``least`` (name → least value), or by its label."""
    reading = TraceReading.of(source)
    if any(reading.view(span).error for span in reading.roots):
        return False
    limits = least or {}
    return not any(
        score.passed(limits.get(score.name)) is False for _, view in reading for score in view.scores
    )


def inherited(span: Span, view: View, by: By, reading: TraceReading) -> str | None:
    """The attribute's value at a span: its own, the nearest one's above, or the first in its trace."""
    if by == "model":
        return view.response_model or view.request_model
    if by == "provider":
        return view.provider
    here: Span | None = span
    passed: set[str] = set()
    while here is not None and here.span_id not in passed:
        value = _value(reading.view(here), by)
        if value is not None:
            return value
        passed.add(here.span_id)
        here = reading.by_id.get(here.parent_id or "")
    values = (_value(view, by) for _, view in reading)
    return next((value for value in values if value is not None), None)


def _value(view: View, by: By) -> str | None:
    fields = {"user": view.user_id, "session": view.session_id or view.conversation_id}
    tags = {
        "feature": "feature.id",
        "tenant": "tenant.id",
        "cohort": "cohort.name",
        "experiment": "experiment.id",
    }
    if by == "prompt_version":
        return view.prompt_version
    if by in tags:
        tag = view.tags.get(tags[by])
        return None if tag is None else str(tag)
    return fields.get(by)
