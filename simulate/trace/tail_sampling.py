"""A tail sampler for a live process: it holds the spans of a trace until the trace has ended, then keeps
or drops all.

::

    provider.add_span_processor(TailSampler(BatchSpanProcessor(OTLPSpanExporter()), Sampler(baseline=0.02)))

A head sampler decides before anything has gone wrong; this one decides afterwards, as a collector's tail
sampling does.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.trace import StatusCode

from simulate.model.percentile import percentile
from simulate.trace.reading.trace_reading import TraceReading
from simulate.trace.sampling import Sampler
from simulate.trace.span import Event, Span, Trace

ENOUGH = 100
"""Traces with a known cost before one may be called an outlier."""


@dataclass(slots=True)
class _Held:
    """A trace under way."""

    open: int = 0
    spans: list[ReadableSpan] = field(default_factory=list[ReadableSpan])


class TailSampler(SpanProcessor):
    """Hands the spans of kept traces to ``following``, all or none of them.

    A trace is decided once none of its spans is open in this process. Spans of a trace that come after
    its decision
    share it. When more than ``most_spans`` are held, the oldest trace is decided early, as it then is.
    """

    def __init__(
        self, following: SpanProcessor, sampler: Sampler | None = None, most_spans: int = 100_000
    ) -> None:
        self._following = following
        self._sampler = sampler or Sampler()
        self._most = most_spans
        self._fixed = self._sampler.outlier is not None
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._count = 0
        self._decided: OrderedDict[int, bool] = OrderedDict()
        self._costs: deque[float] = deque(maxlen=10_000)
        self._lock = threading.Lock()
        self.kept = 0
        self.dropped = 0

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Count the span as open."""
        self._following.on_start(span, parent_context)
        context = span.get_span_context()
        with self._lock:
            self._held.setdefault(context.trace_id, _Held()).open += 1

    def on_end(self, span: ReadableSpan) -> None:
        """Hold the span; decide its trace if it was the last one open."""
        context = span.get_span_context()
        if context is None:
            return
        ready: list[ReadableSpan] = []
        with self._lock:
            held = self._held.setdefault(context.trace_id, _Held(open=1))
            held.open -= 1
            held.spans.append(span)
            self._count += 1
            if held.open <= 0:
                ready = self._decide(context.trace_id)
            while self._count > self._most:
                ready += self._decide(next(iter(self._held)))
        for one in ready:
            self._following.on_end(one)

    def _decide(self, trace_id: int) -> list[ReadableSpan]:
        """The spans to hand on now; the trace is forgotten but for its verdict."""
        held = self._held.pop(trace_id)
        self._count -= len(held.spans)
        if held.open > 0:
            self._held[trace_id] = _Held(open=held.open)
        keep = self._decided.get(trace_id)
        if keep is None:
            keep = self._judge(trace_id, held.spans)
            self.kept += keep
            self.dropped += not keep
            self._decided[trace_id] = keep
            if len(self._decided) > 10_000:
                self._decided.popitem(last=False)
        return held.spans if keep else []

    def _judge(self, trace_id: int, spans: list[ReadableSpan]) -> bool:
        reading = TraceReading(Trace(f"{trace_id:032x}", [_span(span) for span in spans]))
        if not self._fixed:
            self._sampler.outlier = percentile(self._costs, 99) if len(self._costs) >= ENOUGH else None
            cost = reading.cost.known
            if cost > 0:
                self._costs.append(cost)
        return self._sampler.reason(reading) is not None

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand on what was decided; traces still under way stay held, so that none is cut in two."""
        return self._following.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Decide everything that is held, then shut the following processor down."""
        with self._lock:
            ready = [span for trace_id in list(self._held) for span in self._decide(trace_id)]
        for one in ready:
            self._following.on_end(one)
        self._following.shutdown()


def _span(span: ReadableSpan) -> Span:
    context = span.get_span_context()
    parent = span.parent
    return Span(
        trace_id=f"{context.trace_id:032x}" if context else "",
        span_id=f"{context.span_id:016x}" if context else "",
        name=span.name,
        parent_id=f"{parent.span_id:016x}" if parent else None,
        start_ns=span.start_time or 0,
        end_ns=span.end_time,
        attributes=dict(span.attributes or {}),
        events=[Event(one.name, one.timestamp, dict(one.attributes or {})) for one in span.events],
        status="error" if span.status.status_code is StatusCode.ERROR else "unset",
        status_message=span.status.description,
        scope=span.instrumentation_scope.name if span.instrumentation_scope else "",
        resource=dict(span.resource.attributes),
    )
