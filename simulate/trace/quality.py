"""How good the traces are that one has: seven signals, each with definition, figure, threshold and offenders.

The signals are those of the seed document: coverage, completeness, causality, latency, cost, attachment,
feedback. Add
traces one at a time; only small facts of each are kept, so that files larger than memory can be measured.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulate.errors import InputError
from simulate.model.percentile import percentile
from simulate.model.text import dollars
from simulate.trace.cost import inherited
from simulate.trace.quality_facts import Facts, at, route_of, slowest_kind, sums, why_incomplete
from simulate.trace.reading import TraceReading, tells_kind
from simulate.trace.span import Span, Trace, View
from simulate.trace.tree import build

THRESHOLDS: dict[str, float | None] = {
    "coverage": 0.99,
    "completeness": 0.99,
    "causality": 0.99,
    "latency": None,
    "ttft": None,
    "cost": None,
    "attachment": 0.02,
    "feedback": None,
}
"""Least figure for coverage, completeness, causality and attachment; for latency (p99 seconds), ttft
(p99 seconds), cost
(p99 dollars a trace) and feedback (share of bad feedback) the greatest one. None: reported, not judged."""

_CEILINGS = frozenset({"latency", "ttft", "cost", "feedback"})
_WORST = 5
_FIELDS = (
    "gen_ai.request.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "duration",
    "status",
    "kind",
)
_DEFINITIONS = {
    "coverage": "complete trace trees (one root, no orphan, all ended, a model call) per production request",
    "completeness": f"LLM spans that have all of {', '.join(_FIELDS)}",
    "causality": "spans whose parent is in the same trace, or that are the trace's only root",
    "latency": "p99 duration of a trace, in seconds",
    "ttft": "p99 time to first token of an LLM call, in seconds",
    "cost": "p99 cost of a trace, in US dollars, of those whose prices are known",
    "attachment": "traces with model calls that carry at least one evaluator result",
    "feedback": "bad feedback (thumbs down, escalation, refund) per trace joined with feedback",
}


@dataclass(slots=True)
class Signal:
    """One figure of the quality of traces. ``figure`` is None where it could not be measured; ``reason``
    says why."""

    name: str
    definition: str
    figure: float | None
    threshold: float | None
    reason: str | None = None
    details: dict[str, Any] = field(default_factory=dict[str, Any])
    worst: list[str] = field(default_factory=list[str])
    """The worst offenders by name, one sentence each."""

    @property
    def passed(self) -> bool | None:
        """None where there is no threshold, or nothing was measured."""
        if self.figure is None or self.threshold is None:
            return None
        return self.figure <= self.threshold if self.name in _CEILINGS else self.figure >= self.threshold


class Quality:
    """Gathers the signals over any number of traces."""

    def __init__(self, thresholds: Mapping[str, float | None] | None = None) -> None:
        unknown = set(thresholds or ()) - set(THRESHOLDS)
        if unknown:
            raise InputError(
                f"no quality signal called {', '.join(sorted(unknown))}",
                hint=f"there are {', '.join(THRESHOLDS)}",
            )
        self.thresholds = {**THRESHOLDS, **(thresholds or {})}
        self._facts: list[Facts] = []
        self._missing: dict[str, Counter[str]] = defaultdict(Counter)
        self._llm_spans: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._whole = 0
        self._first_tokens: dict[str, list[float]] = defaultdict(list)
        self._parents: dict[str, set[str]] = {}
        self._span_ids: dict[str, str] = {}

    def add(self, trace: Trace) -> None:
        """Take one trace into account."""
        reading = TraceReading(trace)
        tree = build(trace)
        tops = [node.span for node in tree.roots if node.placement is None]
        lost = [node.span for node in tree.lost]
        remote = lost if not tops and len(lost) == 1 else []
        roots = tops or remote
        orphans = [] if remote else lost
        calls = reading.llm_calls
        for span, view in calls:
            self._complete(span, view)
        self._unknown.update(reading.unknown_spans)
        cost = reading.cost
        route = route_of(roots, reading)
        for _, view in calls:
            if view.time_to_first_token is not None:
                self._first_tokens[route].append(view.time_to_first_token)
        ended = all(span.end_ns is not None for span in trace.spans)
        anchor = roots[0] if roots else trace.spans[0]
        self._facts.append(
            Facts(
                trace_id=trace.trace_id,
                route=route,
                spans=len(trace),
                orphans=len(orphans),
                roots=len(tops),
                complete=len(roots) == 1 and not orphans and ended and bool(calls),
                seconds=trace.duration,
                slowest=slowest_kind(reading),
                dollars=cost.dollars,
                output_tokens=max(
                    (view.output_tokens for _, view in calls if view.output_tokens is not None), default=None
                ),
                llm=len(calls),
                scores=[(one.name, one.value, one.threshold) for _, view in reading for one in view.scores],
                keys={
                    by: inherited(anchor, reading.view(anchor), by, reading)
                    for by in ("user", "session", "prompt_version", "cohort")
                },
                services=sorted({span.service or "" for span in orphans}),
            )
        )
        self._parents[trace.trace_id] = {str(span.parent_id) for span in lost}
        if lost:
            self._span_ids.update((span.span_id, trace.trace_id) for span in trace.spans)

    def _complete(self, span: Span, view: View) -> None:
        absent = [
            name
            for name, there in zip(
                _FIELDS,
                (
                    view.request_model is not None,
                    view.input_tokens is not None or view.error is not None,
                    view.output_tokens is not None or view.error is not None,
                    span.end_ns is not None,
                    span.status != "unset" or not any(event.name == "exception" for event in span.events),
                    tells_kind(span),
                ),
                strict=True,
            )
            if not there
        ]
        by = span.scope or view.dialect
        self._llm_spans[by] += 1
        self._missing[by].update(absent)
        self._whole += not absent

    def signals(
        self,
        requests: int | set[str] | None = None,
        feedback: Iterable[Mapping[str, Any]] | None = None,
    ) -> list[Signal]:
        """All signals. ``requests``: how many there were, or their trace ids. ``feedback``: one mapping
        an answer, with
        ``trace_id``, ``session_id`` or ``user_id``, and ``bad`` (true, or a rating below 0, or
        ``thumbs_down`` …)."""
        return [
            self._coverage(requests),
            self._completeness(),
            self._causality(),
            self._latency(),
            self._ttft(),
            self._cost(),
            self._attachment(),
            self._feedback(None if feedback is None else list(feedback)),
        ]

    def _signal(self, name: str, figure: float | None, reason: str | None = None) -> Signal:
        return Signal(
            name, _DEFINITIONS[name], figure, self.thresholds[name], reason if figure is None else None
        )

    def _coverage(self, requests: int | set[str] | None) -> Signal:
        complete = {facts.trace_id for facts in self._facts if facts.complete}
        if requests is None:
            signal = self._signal(
                "coverage", None, "needs --requests: a count, or a file of the requests' trace ids"
            )
        elif isinstance(requests, int):
            signal = self._signal(
                "coverage", min(1.0, len(complete) / requests) if requests else None, "no requests"
            )
        else:
            found = len(complete & requests) / len(requests) if requests else None
            signal = self._signal("coverage", found, "no requests")
            signal.worst = [
                f"request {one} has no complete trace" for one in sorted(requests - complete)[:_WORST]
            ]
        signal.details = {"traces": len(self._facts), "complete": len(complete)}
        if not signal.worst:
            signal.worst = [
                f"trace {facts.trace_id} is incomplete: {why_incomplete(facts)}"
                for facts in self._facts
                if not facts.complete
            ][:_WORST]
        return signal

    def _completeness(self) -> Signal:
        total = self._llm_spans.total()
        signal = self._signal("completeness", self._whole / total if total else None, "no LLM spans")
        signal.details = {
            scope: {"llm_spans": count, "missing": dict(self._missing[scope])}
            for scope, count in self._llm_spans.items()
        }
        gaps = [(count, scope, name) for scope, gone in self._missing.items() for name, count in gone.items()]
        signal.worst = [
            f"{scope}: {name} is missing on {count} of {self._llm_spans[scope]} LLM spans"
            for count, scope, name in sorted(gaps, reverse=True)[:_WORST]
        ]
        signal.worst += [
            f"{count} spans named {name!r} are of no kind that is known"
            for name, count in self._unknown.most_common(_WORST)
        ]
        return signal

    def _causality(self) -> Signal:
        spans = sum(facts.spans for facts in self._facts)
        orphans = sum(facts.orphans for facts in self._facts)
        signal = self._signal("causality", 1 - orphans / spans if spans else None, "no spans")
        split = {
            trace_id: sorted(
                {self._span_ids[parent] for parent in parents if parent in self._span_ids} - {trace_id}
            )
            for trace_id, parents in self._parents.items()
        }
        split = {trace_id: others for trace_id, others in split.items() if others}
        signal.details = {
            "orphans": orphans,
            "traces_with_several_roots": sum(facts.roots > 1 for facts in self._facts),
            "traces_without_root": sum(facts.roots == 0 for facts in self._facts),
            "split_traces": split,
        }
        worst = sorted((facts for facts in self._facts if facts.orphans), key=lambda facts: -facts.orphans)
        signal.worst = [
            f"trace {facts.trace_id}: {facts.orphans} of {facts.spans} spans lost their parent"
            + (f" (services {', '.join(facts.services)})" if any(facts.services) else "")
            for facts in worst[:_WORST]
        ]
        return signal

    def _latency(self) -> Signal:
        by_route: dict[str, list[Facts]] = defaultdict(list)
        for facts in self._facts:
            if facts.seconds is not None:
                by_route[facts.route].append(facts)
        timed = [facts for group in by_route.values() for facts in group]
        signal = self._signal("latency", at(timed, 99), "no trace has an end")
        for route, group in by_route.items():
            slow = Counter(facts.slowest for facts in group if facts.slowest)
            signal.details[route] = {
                **{f"p{p}": at(group, p) for p in (50, 95, 99)},
                "traces": len(group),
                "slowest_kind": slow.most_common(1)[0][0] if slow else None,
            }
        slowest = sorted(timed, key=lambda facts: -(facts.seconds or 0))
        signal.worst = [
            f"trace {facts.trace_id} ({facts.route}): {facts.seconds:.2f} s" for facts in slowest[:_WORST]
        ]
        return signal

    def _ttft(self) -> Signal:
        every = [value for group in self._first_tokens.values() for value in group]
        signal = self._signal("ttft", percentile(every, 99), "no LLM span tells its time to first token")
        signal.details = {
            route: {f"p{p}": percentile(group, p) for p in (50, 95, 99)}
            for route, group in self._first_tokens.items()
        }
        return signal

    def _cost(self) -> Signal:
        paid = [facts for facts in self._facts if facts.llm]
        known = [facts.dollars for facts in paid if facts.dollars is not None]
        top = percentile(known, 99)
        signal = self._signal("cost", top, "no trace with model calls has a known price")
        middle = percentile([one.output_tokens for one in paid if one.output_tokens is not None], 50) or 0
        spikes = [one for one in paid if middle and (one.output_tokens or 0) > 10 * middle]
        signal.details = {
            "p50": percentile(known, 50),
            "p99": top,
            "outliers": sum(1 for dollars in known if top is not None and dollars > top),
            "unknown_price": len(paid) - len(known),
            "output_token_spikes": len(spikes),
            "by_prompt_version": sums(paid, "prompt_version"),
            "by_cohort": sums(paid, "cohort"),
        }
        dear = sorted((one for one in paid if one.dollars is not None), key=lambda one: -(one.dollars or 0))
        signal.worst = [f"trace {facts.trace_id}: {dollars(facts.dollars)}" for facts in dear[:_WORST]]
        signal.worst += [
            f"trace {facts.trace_id}: {facts.output_tokens} output tokens in a call, median {middle:.0f}"
            for facts in spikes[:_WORST]
        ]
        return signal

    def _attachment(self) -> Signal:
        paid = [facts for facts in self._facts if facts.llm]
        scored = [facts for facts in paid if facts.scores]
        signal = self._signal(
            "attachment", len(scored) / len(paid) if paid else None, "no trace has model calls"
        )
        values: dict[str, list[float]] = defaultdict(list)
        for facts in scored:
            for name, value, threshold in facts.scores:
                if value is not None:
                    values[name].append(value)
                    if threshold is not None and value < threshold:
                        signal.worst.append(
                            f"trace {facts.trace_id}: {name} {value:g} is below {threshold:g}"
                        )
        signal.worst = signal.worst[:_WORST]
        signal.details = {
            name: {"results": len(group), "mean": sum(group) / len(group)}
            for name, group in sorted(values.items())
        }
        return signal

    def _feedback(self, feedback: list[Mapping[str, Any]] | None) -> Signal:
        if feedback is None:
            return self._signal(
                "feedback", None, "needs --feedback: answers with trace_id, session_id or user_id"
            )
        joined = [(one, facts) for one in feedback if (facts := self._match(one)) is not None]
        bad = [(one, facts) for one, facts in joined if is_bad(one)]
        signal = self._signal(
            "feedback", len(bad) / len(joined) if joined else None, "no feedback fits a trace"
        )
        signal.details = {"answers": len(feedback), "joined": len(joined), "bad": len(bad)}
        signal.worst = [
            f"trace {facts.trace_id}: {one.get('comment') or one.get('kind') or 'bad feedback'}"
            for one, facts in bad
        ][:_WORST]
        return signal

    def _match(self, answer: Mapping[str, Any]) -> Facts | None:
        for name, by in (("trace_id", None), ("session_id", "session"), ("user_id", "user")):
            value = answer.get(name, answer.get(name.replace("_", ".")))
            if value is None:
                continue
            for facts in self._facts:
                if value == (facts.trace_id if by is None else facts.keys[by]):
                    return facts
        return None


def is_bad(answer: Mapping[str, Any]) -> bool:
    """Whether an answer of a user is a complaint."""
    if isinstance(answer.get("bad"), bool):
        return bool(answer["bad"])
    word = str(answer.get("feedback") or answer.get("kind") or answer.get("rating") or "").lower()
    if word in {
        "thumbs_down",
        "thumbs-down",
        "down",
        "negative",
        "bad",
        "escalation",
        "refund",
        "contact",
        "👎",
    }:
        return True
    try:
        return float(word) < 0
    except ValueError:
        return False
