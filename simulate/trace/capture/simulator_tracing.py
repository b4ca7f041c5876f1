"""The simulator's own model calls, in a trace of their own.

No one shall pay for the caller's or the judge's tokens in the agent's cost. Their spans are made here as
plain data and never meet a tracer provider of the process; and while such a call is on the wire, an
instrumentation of its client library is kept from writing into the agent's trace.
"""

from __future__ import annotations

import contextlib
import contextvars
import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace as otel_trace

from simulate import determinism
from simulate.trace.span import Link, Span

SCOPE = "simulate"


@dataclass(slots=True)
class OwnTrace:
    """The calls made for one conversation, or for one suite of judgements."""

    trace_id: str
    link: Link | None = None
    """The agent's trace, to which every span here points."""
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    """On every span: ``simulate.run.id`` and the like."""
    spans: list[Span] = field(default_factory=list[Span])


_current: contextvars.ContextVar[OwnTrace | None] = contextvars.ContextVar("simulate_own_trace", default=None)
_role: contextvars.ContextVar[str | None] = contextvars.ContextVar("simulate_own_role", default=None)


@contextlib.contextmanager
def collecting(trace: OwnTrace) -> Generator[OwnTrace]:
    """Let every call of caller or judge inside leave its span in ``trace``."""
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


def calling() -> str | None:
    """``caller`` or ``judge`` while a call of theirs is on the wire in this context, ``adapter`` while a
    client with tracing of its own reaches the agent for us; None otherwise."""
    return _role.get()


@contextlib.contextmanager
def aside() -> Generator[None]:
    """What a client of ours records of itself inside belongs to no trace: an agent without spans of its own
    must not look as if it had some."""
    parent = otel_trace.SpanContext(secrets.randbits(128) or 1, secrets.randbits(64) or 1, is_remote=False)
    token = _role.set("adapter")
    try:
        with _unsampled(parent):
            yield
    finally:
        _role.reset(token)


@contextlib.contextmanager
def model_call(role: str, name: str, attributes: Mapping[str, Any]) -> Generator[Span]:
    """One model call of the caller or the judge: its span, ended and kept whatever happens."""
    clock, own = determinism.current().clock, _current.get()
    # ids are not drawn from the pins: a retry of ours must not change what the agent draws
    ids = determinism.RunContext()
    span = Span(
        trace_id=own.trace_id if own else ids.trace_id(),
        span_id=ids.span_id(),
        name=name,
        start_ns=clock.time_ns(),
        attributes={**attributes, "simulate.role": role, **(own.attributes if own else {})},
        links=[own.link] if own and own.link else [],
        otel_kind="client",
        scope=SCOPE,
    )
    token = _role.set(role)
    try:
        ours = otel_trace.SpanContext(int(span.trace_id, 16), int(span.span_id, 16), is_remote=False)
        with _unsampled(ours):
            yield span
        span.status = "ok"
    except BaseException as error:
        span.status, span.status_message = "error", type(error).__name__
        raise
    finally:
        _role.reset(token)
        span.end_ns = clock.time_ns()
        if own is not None:
            own.spans.append(span)


@contextlib.contextmanager
def _unsampled(parent: otel_trace.SpanContext) -> Generator[None]:
    """A root context whose parent is unsampled: instrumentations that honour suppression make no span, and
    those that do not make one that is dropped, or at worst lands in our trace instead of the agent's."""
    fresh = otel_trace.set_span_in_context(otel_trace.NonRecordingSpan(parent), otel_context.Context())
    token = otel_context.attach(otel_context.set_value("suppress_instrumentation", True, fresh))
    try:
        yield
    finally:
        otel_context.detach(token)
