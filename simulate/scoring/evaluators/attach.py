"""Scores beside the spans that earned them: as span events, and as log events where a logger is configured.

OpenTelemetry's own form is the log event ``gen_ai.evaluation.result`` with the judged span's ids; traces in
the wild carry the same as a span event. Both are written. A stored trace is never changed: its copy carries
the scores.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from simulate import determinism
from simulate.errors import InputError
from simulate.scoring.evaluators.result import Result
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.span import Attributes, Event, Span, Trace
from simulate.trace.vendors.simulate_conventions import EVENT

THRESHOLD = "evaluator.score.threshold"
NAME = "gen_ai.evaluation.name"
OURS = "simulate.evaluation."
LONGEST = 2_000
"""Characters of an explanation; of the evidence, each quote."""


def attributes_of(result: Result) -> Attributes:
    """A scored result in the conventions' names, and in ours where there are none: version, direction, range,
    threshold, judge, prompt, evidence."""
    found: Attributes = {NAME: result.evaluator}
    if result.value is not None:
        found["gen_ai.evaluation.score.value"] = float(result.value)
    found["gen_ai.evaluation.score.label"] = result.label or _word(result)
    found["gen_ai.evaluation.explanation"] = result.explanation[:LONGEST]
    if result.threshold is not None:
        found[THRESHOLD] = float(result.threshold)
    found |= {
        f"{OURS}version": result.version,
        f"{OURS}direction": result.direction,
        f"{OURS}range": [result.low, result.high],
        f"{OURS}annotator": result.annotator,
    }
    if result.passed is not None:
        found[f"{OURS}passed"] = result.passed
    for name, value in (("judge", result.judge), ("prompt", result.prompt)):
        if value is not None:
            found[OURS + name] = value
    if result.evidence:
        found[f"{OURS}evidence"] = [quote[:LONGEST] for quote in result.evidence[:20]]
    return found


def _word(result: Result) -> str:
    return {True: "pass", False: "fail", None: "unknown"}[result.passed]


def attach(trace: Trace, results: Iterable[Result]) -> Trace:
    """A copy of the trace whose spans carry the scores; the given one stays as it is."""
    copy = replace(trace, spans=[replace(span, events=list(span.events)) for span in trace.spans])
    copy.spans = [replace(span, attributes=dict(span.attributes)) for span in copy.spans]
    attach_to(copy, results)
    return copy


def attach_to(trace: Trace, results: Iterable[Result]) -> None:
    """Put each score on its span, in place: for a trace that is not stored yet.

    An earlier score of ours by the same evaluator is replaced; somebody else's of that name stays. Only
    scores are attached: what was not run has no value to show, and is in the results."""
    spans = {span.span_id: span for span in trace.spans}
    for result in results:
        span = spans.get(result.span_id or "")
        if span is None or result.status != "scored" or result.trace_id not in (None, trace.trace_id):
            continue
        span.events[:] = [one for one in span.events if not _replaced(one, result)]
        moment = span.start_ns if span.end_ns is None else span.end_ns
        span.events.append(Event(EVENT, moment, attributes_of(result)))
        if result.passed is False and result.threshold is not None:
            span.attributes.setdefault(THRESHOLD, float(result.threshold))


def _replaced(event: Event, result: Result) -> bool:
    return (
        event.name == EVENT
        and event.attributes.get(NAME) == result.evaluator
        and f"{OURS}version" in event.attributes
    )


def emit_logs(results: Iterable[Result]) -> None:
    """One log event a score, to the process's logger provider; where none is configured nothing happens."""
    from opentelemetry import trace as otel
    from opentelemetry._logs import LogRecord, SeverityNumber, get_logger_provider

    logger = get_logger_provider().get_logger("simulate.evaluators")
    now = determinism.current().clock.time_ns()
    for result in results:
        if result.status != "scored":
            continue
        place = otel.SpanContext(
            _number(result.trace_id, 32),
            _number(result.span_id, 16),
            is_remote=True,
            trace_flags=otel.TraceFlags(otel.TraceFlags.SAMPLED),
        )
        logger.emit(
            LogRecord(
                timestamp=now,
                observed_timestamp=now,
                context=otel.set_span_in_context(otel.NonRecordingSpan(place)),
                severity_number=SeverityNumber.WARN if result.passed is False else SeverityNumber.INFO,
                event_name=EVENT,
                attributes=attributes_of(result),
            )
        )


def _number(given: str | None, digits: int) -> int:
    """An id as OpenTelemetry's number; 0, which is not an id, for one of another system."""
    try:
        return int(given or "", 16) if len(given or "") == digits else 0
    except ValueError:
        return 0


def write_scored(path: Path | str, traces: Sequence[Trace], results: Sequence[Result]) -> None:
    """Write copies of the traces with their scores, as OTLP JSON lines. Raises InputError where the file is
    one that the traces were read from: a stored trace is never written over."""
    for trace in traces:
        refuse_same(path, trace.source)
    spans: list[Span] = []
    for trace in traces:
        spans += attach(trace, [one for one in results if one.trace_id == trace.trace_id]).spans
    write_otlp_jsonl(path, spans)


def refuse_same(path: Path | str, source: str | None) -> None:
    """Raise InputError where both are one file, by whatever name."""
    if source is None:
        return
    try:
        same = os.path.samefile(path, source)
    except OSError:
        same = os.path.realpath(path) == os.path.realpath(source)
    if same:
        raise InputError("the scored copy must not replace the trace itself", where=str(path))
