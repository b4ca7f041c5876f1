"""Which traces to keep: every failure, every breached score, every cost outlier, and a thin uniform baseline.

A decision is made for whole traces only, and the baseline by the trace id alone: every process, today and
tomorrow, keeps the same traces, and two services keep the same halves of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from simulate.errors import InputError
from simulate.model.percentile import percentile
from simulate.trace.cost import cost_of
from simulate.trace.reading.trace_reading import TraceReading
from simulate.trace.span import Trace, View


def drawn(trace_id: str, rate: float, salt: str = "") -> bool:
    """Whether a trace falls into a uniform sample of this rate; the same everywhere for the same id."""
    if rate >= 1:
        return True
    digest = hashlib.sha256(f"{salt}{trace_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < rate * 2**64


@dataclass(frozen=True, slots=True)
class Rule:
    """Traces in which any span has ``attribute`` (with ``value``, where given) are kept at ``rate``, in place
    of the baseline. An attribute may be named as in the span or as in the view (``user_id``,
    ``prompt_version``, ``kind``)."""

    attribute: str
    rate: float
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> Rule:
        """``feature.id=checkout:0.5`` or ``user.id:1``."""
        name, _, rate = text.rpartition(":")
        attribute, _, value = name.partition("=")
        try:
            share = float(rate)
        except ValueError:
            share = -1.0
        if not attribute or not 0 <= share <= 1:
            raise InputError(
                f"not a sampling rule: {text!r}",
                hint="write ATTRIBUTE:RATE or ATTRIBUTE=VALUE:RATE, as feature.id=checkout:0.5",
            )
        return cls(attribute, share, value or None)

    def fits(self, reading: TraceReading) -> bool:
        """Whether the rule speaks of this trace."""
        return any(
            self._same(found)
            for span, view in reading
            for found in (
                span.attributes.get(self.attribute, span.resource.get(self.attribute)),
                getattr(view, self.attribute, None),
                view.tags.get(self.attribute),
            )
        )

    def _same(self, found: Any) -> bool:
        return found is not None and (self.value is None or str(found) == self.value)


@dataclass(slots=True)
class Sampler:
    """Decides which traces are kept, one by one, and why: errors, breached scores, cost outliers, what a rule
    names, and a share of the rest. Shares are drawn by the trace id, so that every process decides alike.

    >>> Sampler(baseline=0.0).errors
    True
    """

    baseline: float = 0.02
    """Share of the healthy traces that is kept, between 0 and 1; 0.01 to 0.05 is usual."""
    rules: list[Rule] = field(default_factory=list[Rule])
    errors: bool = True
    breached: bool = True
    """Keep every trace with a score below its threshold, or with ``evaluator.score.threshold`` set."""
    outlier: float | None = None
    """Dollars above which a trace is a cost outlier; `sample` finds it from many traces."""
    least: dict[str, float] = field(default_factory=dict[str, float])
    """Thresholds for evaluators whose results carry none: name → least value."""
    salt: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.baseline <= 1:
            raise InputError(
                f"a baseline is a share between 0 and 1, not {self.baseline:g}", hint="2 % is 0.02"
            )

    def reason(self, source: Trace | TraceReading) -> str | None:
        """Why the trace is kept; None where it is not."""
        reading = TraceReading.of(source)
        trace_id = reading.trace.trace_id
        if self.errors and any(view.error is not None for _, view in reading):
            return "error"
        if self.breached and any(self._breach(view) for _, view in reading):
            return "score below threshold"
        if self.outlier is not None and reading.cost.known > self.outlier:
            return "cost outlier"
        for rule in self.rules:
            if rule.fits(reading):
                return f"rule {rule.attribute}" if drawn(trace_id, rule.rate, self.salt) else None
        return "baseline" if drawn(trace_id, self.baseline, self.salt) else None

    def _breach(self, view: View) -> bool:
        if not view.scores:
            return "evaluator.score.threshold" in view.tags
        return any(score.passed(self.least.get(score.name)) is False for score in view.scores)


def sample(
    traces: Callable[[], Iterable[Trace]], sampler: Sampler, outliers: float | None = 99
) -> Iterable[tuple[Trace, str]]:
    """The kept traces with the reason of each. ``traces`` is called twice: what a cost outlier is shows only
    after all have been seen, and so do traces that lie in several files, which are decided as one. With
    ``outliers`` None there are none."""
    seen, split = set[str](), set[str]()
    costs: dict[str, float] = {}
    wants_costs = outliers is not None and sampler.outlier is None
    for trace in traces():
        (split if trace.trace_id in seen else seen).add(trace.trace_id)
        cost = cost_of(trace) if wants_costs else None
        if cost is not None and cost.calls and cost.known > 0:
            costs[trace.trace_id] = costs.get(trace.trace_id, 0.0) + cost.known
    if wants_costs and outliers is not None:
        sampler.outlier = percentile(list(costs.values()), outliers)
    parts: dict[str, list[Trace]] = {}
    for trace in traces():
        if trace.trace_id in split:
            parts.setdefault(trace.trace_id, []).append(trace)
        elif (why := sampler.reason(trace)) is not None:
            yield trace, why
    for some in parts.values():
        spans = {span.span_id: span for trace in some for span in trace.spans}
        whole = Trace(some[0].trace_id, list(spans.values()), some[0].source)
        if (why := sampler.reason(whole)) is not None:
            yield whole, why
