"""Spans of every OpenTelemetry tracer provider in this process, global or not, older than us or younger.

We add a span processor and replace nothing: traceAI, for one, keeps its provider out of the global place,
so one who only looks there sees nothing. Older providers are found once among the living objects; younger
ones are met where the SDK's ``TracerProvider`` is initialised. Some distributions throw out every
processor when their user adds one; ours is put back at that moment.

Where nobody has set a global provider, an agent that uses only OpenTelemetry's API would leave no span.
A stand-in fills the empty place without using up OpenTelemetry's "set once": it is a ``ProxyTracerProvider``
like the one that stood there, so whoever looks finds the place free, and once a real provider is set, every
tracer that was handed out before goes over to that one.

All of this begins with the first ``attach`` and is undone by the last ``detach``.
"""

from __future__ import annotations

import contextvars
import functools
import threading
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace as otel_trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.util._decorator import (
    _agnosticcontextmanager,  # pyright: ignore[reportPrivateUsage] - what the SDK's own tracers use
)

from simulate.living import living
from simulate.trace.capture import simulator_tracing
from simulate.trace.capture.routing import ConversationSpans, Router

# private names of OpenTelemetry are used: tests/test_private_names.py lists them, with the version tried
current: contextvars.ContextVar[ConversationSpans | None] = contextvars.ContextVar(
    "simulate_inbox", default=None
)
"""The inbox of the running conversation."""


class Processor(SpanProcessor):
    """Puts each ended span into the inbox of its conversation; a dictionary look-up a span."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._thrown: set[int] = set()
        """Spans of the simulator's own instrumented model calls, and of other captures."""
        self._parted_spans: dict[int, ConversationSpans] = {}

    def on_start(self, span: SdkSpan, parent_context: otel_context.Context | None = None) -> None:
        context = span.context
        if context is None:
            return
        trace_id = context.trace_id
        inbox = self._router.find(trace_id)
        if inbox is None:
            if simulator_tracing.calling():
                self._thrown.add(context.span_id)
                return
            inbox = current.get()
            if inbox is None:
                return
            if inbox.owner is not self._router:  # a conversation of another capture
                self._thrown.add(context.span_id)
                return
            if not self._router.holds(inbox):
                self._router.outlived(trace_id)
                return
            self._router.claim(trace_id, inbox, "context")
        elif inbox.claims and trace_id in inbox.claims:
            inbox = self._parted(inbox, context.span_id)
        inbox.open[context.span_id] = span.name

    def _parted(self, inbox: ConversationSpans, span_id: int) -> ConversationSpans:
        """A trace that the agent started itself may serve several conversations: each keeps its own spans."""
        mine = current.get()
        if mine is None or mine is inbox or not self._router.holds(mine):
            return inbox
        mine.shared = inbox.shared = True
        self._parted_spans[span_id] = mine
        return mine

    def on_end(self, span: ReadableSpan) -> None:
        context = span.context
        if context is None:
            return
        inbox = self._router.find(context.trace_id)
        if self._parted_spans:
            inbox = self._parted_spans.pop(context.span_id, inbox)
        if inbox is not None:
            inbox.open.pop(context.span_id, None)
        if not context.trace_flags.sampled:
            return  # recorded only: production's exporters leave it out too
        if inbox is None:
            self._unrouted(span, context.trace_id)
            return
        inbox.add(span)
        if inbox.waiter is not None:
            inbox.changed()

    def _unrouted(self, span: ReadableSpan, trace_id: int) -> None:
        if span.context is not None and span.context.span_id in self._thrown:
            self._thrown.discard(span.context.span_id)
            return
        links = [link.context.trace_id for link in span.links]
        self._router.assign(trace_id, span, links, {**span.resource.attributes, **(span.attributes or {})})

    def shutdown(self) -> None:
        """Stay: distributions shut down the processors that they are about to replace."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


_lock = threading.RLock()
_processors: list[Processor] = []
_providers: weakref.WeakSet[TracerProvider] = weakref.WeakSet()
_originals: dict[str, Callable[..., Any]] = {}
_stand_in: StandIn | None = None


def attach(processor: Processor) -> None:
    """Let ``processor`` see the spans of every provider there is and will be."""
    with _lock:
        _processors.append(processor)
        if len(_processors) == 1:
            _wrap()
            _fill_empty_place()
            _providers.update(_living())
        for provider in tuple(_providers):
            _add(provider, processor)


def detach(processor: Processor) -> None:
    """Leave every provider as it was found."""
    with _lock:
        if processor not in _processors:
            return
        _processors.remove(processor)
        for provider in tuple(_providers):
            _remove(provider, processor)
        if not _processors:
            _unwrap()
            _empty_place()
            _providers.clear()


def providers() -> list[TracerProvider]:
    """The providers of this process that others made."""
    with _lock:
        ours = _stand_in.provider if _stand_in is not None else None
        return [provider for provider in _providers if provider is not ours]


def _living() -> Iterator[TracerProvider]:
    for provider in living(TracerProvider):
        if hasattr(provider, "_active_span_processor"):
            yield provider
    world = otel_trace.get_tracer_provider()  # it may be frozen out of sight
    if isinstance(world, TracerProvider):
        yield world


def _add(provider: TracerProvider, processor: Processor) -> None:
    active = provider._active_span_processor  # pyright: ignore[reportPrivateUsage]
    if processor not in getattr(active, "_span_processors", ()):
        active.add_span_processor(processor)  # the provider's own method may replace what stands there


def _remove(provider: TracerProvider, processor: Processor) -> None:
    active = provider._active_span_processor  # pyright: ignore[reportPrivateUsage]
    if not hasattr(active, "_span_processors"):
        return  # somebody's own multiplexer: ours stays there, and no longer has conversations to fill
    with active._lock:  # pyright: ignore[reportPrivateUsage]
        active._span_processors = tuple(  # pyright: ignore[reportPrivateUsage]
            other
            for other in active._span_processors  # pyright: ignore[reportPrivateUsage]
            if other is not processor
        )


def _wrap() -> None:
    for name in ("__init__", "add_span_processor"):
        _originals[name] = getattr(TracerProvider, name)
        setattr(TracerProvider, name, _noticing(_originals[name]))


def _unwrap() -> None:
    for name, original in _originals.items():
        wrapped = getattr(TracerProvider, name)
        if getattr(wrapped, "__wrapped__", None) is original:  # else another wrapped it after us: leave it be
            setattr(TracerProvider, name, original)
    _originals.clear()


def _noticing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def noticed(provider: TracerProvider, *args: Any, **kwargs: Any) -> Any:
        result = original(provider, *args, **kwargs)
        with _lock:
            if _processors:
                _providers.add(provider)
            for processor in _processors:
                _add(provider, processor)
        return result

    return noticed


class StandIn(otel_trace.ProxyTracerProvider):
    """Stands where a global provider would, as long as nobody sets one."""

    def __init__(self) -> None:
        self.provider = TracerProvider(sampler=DEFAULT_ON, shutdown_on_exit=False)

    def get_tracer(self, *args: Any, **kwargs: Any) -> otel_trace.Tracer:
        return _StandInTracer(self, args, kwargs)


class _StandInTracer(otel_trace.Tracer):
    """Asks at each span whose turn it is: a real global provider's, ours while we capture, or nobody's."""

    def __init__(self, stand_in: StandIn, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._stand_in = stand_in
        self._args = args
        self._kwargs = kwargs
        self._by_provider: dict[int, otel_trace.Tracer] = {}

    def _tracer(self) -> otel_trace.Tracer:
        world = otel_trace.get_tracer_provider()
        provider: otel_trace.TracerProvider = world
        if isinstance(world, otel_trace.ProxyTracerProvider):
            if not _processors:
                return otel_trace.NoOpTracer()
            if (inbox := current.get()) is not None and inbox.owner is not None:
                inbox.owner.stood_in = True
            provider = self._stand_in.provider
        tracer = self._by_provider.get(id(provider))
        if tracer is None:
            tracer = self._by_provider[id(provider)] = provider.get_tracer(*self._args, **self._kwargs)
        return tracer

    def start_span(self, *args: Any, **kwargs: Any) -> otel_trace.Span:
        return self._tracer().start_span(*args, **kwargs)

    @_agnosticcontextmanager
    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Iterator[otel_trace.Span]:
        with self._tracer().start_as_current_span(*args, **kwargs) as span:
            yield span


def _fill_empty_place() -> None:
    global _stand_in
    world = otel_trace.get_tracer_provider()
    if type(world) is otel_trace.ProxyTracerProvider:
        _stand_in = _stand_in or StandIn()
        _providers.add(_stand_in.provider)
        otel_trace._TRACER_PROVIDER = _stand_in  # pyright: ignore[reportPrivateUsage]


def _empty_place() -> None:
    if _stand_in is not None and otel_trace._TRACER_PROVIDER is _stand_in:  # pyright: ignore[reportPrivateUsage]
        otel_trace._TRACER_PROVIDER = None  # pyright: ignore[reportPrivateUsage]


@contextmanager
def inside(inbox: ConversationSpans, context: otel_context.Context) -> Generator[None]:
    """Let everything that starts inside belong to the conversation of ``inbox``."""
    token = otel_context.attach(context)
    mine = current.set(inbox)
    try:
        yield
    finally:
        try:
            current.reset(mine)
        except ValueError:  # left in another context than entered: that one ends with its task
            current.set(None)
        otel_context.detach(token)
