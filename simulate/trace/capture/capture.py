"""The seam between a run and the agent's telemetry.

One ``Capture`` a suite; one ``Captured`` a conversation. ``Captured`` sets the OpenTelemetry context (its
trace id is the conversation's id), carries what an agent outside must be told, and hands over the trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from urllib.parse import quote

from opentelemetry import baggage
from opentelemetry import trace as otel_trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from simulate.errors import EnvironmentFault, HarnessFault, SimulateError
from simulate.model.transcript import Conversation, ToolUse
from simulate.trace.capture import in_process
from simulate.trace.capture.assembly import assemble, lost_parents
from simulate.trace.capture.grpc_receiver import GrpcReceiver
from simulate.trace.capture.receiver import LIMIT, Receiver
from simulate.trace.capture.routing import RAISE, ConversationSpans, Router
from simulate.trace.capture.sdk_settings import environment, main_settings
from simulate.trace.root import conversation_span, root_span_id, turn_span_id
from simulate.trace.span import Span, Trace

SETTLE_INSIDE = 0.5
"""Seconds that spans of this process may stay open after the conversation."""
SETTLE_OUTSIDE = 6.0
"""Seconds that an exporter elsewhere may take; OpenTelemetry's batches leave every 5."""
SETTLE_SILENT = 0.5
"""Seconds for an agent outside once a whole settle time has brought nothing from anywhere."""
FLUSH_SECONDS = 5.0
MAX_BAGGAGE = 1000
"""Characters of what one attribute may add to the baggage, which servers limit with all other headers."""
_QUIET = 0.1  # seconds without news after which a whole tree from outside is taken to be all of it
_SKEW_NS = 2_000_000  # how far a span's clock may stand behind ours


class Capture:
    """Captures the traces of many conversations at once.

    ``receiver`` starts the OTLP/HTTP receiver for agents outside the process; ``port`` 0 takes a free one.
    ``grpc`` adds one for gRPC, on a port of its own; that needs the extra ``grpc``. ``limit`` is how many
    bytes of spans a conversation may bring over the wire."""

    def __init__(
        self,
        run_id: str = "",
        *,
        receiver: bool = False,
        port: int = 0,
        grpc: bool = False,
        grpc_port: int = 0,
        limit: int = LIMIT,
    ) -> None:
        self.run_id = run_id
        self.router = Router(limit)
        self.receiver = Receiver(self.router, port=port, limit=limit) if receiver or grpc else None
        self.grpc = GrpcReceiver(self.receiver, port=grpc_port) if self.receiver and grpc else None
        self._processor = in_process.Processor(self.router)
        self.silent = False
        """A whole settle time passed and nothing had come from outside, for no conversation."""

    async def __aenter__(self) -> Capture:
        if self.receiver is not None:
            await self.receiver.start()
        if self.grpc is not None:
            try:
                await self.grpc.start()
            except SimulateError:
                await self._stop_receivers()
                raise
        in_process.attach(self._processor)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        in_process.detach(self._processor)
        await self._stop_receivers()

    async def _stop_receivers(self) -> None:
        if self.grpc is not None:
            await self.grpc.stop()
        if self.receiver is not None:
            await self.receiver.stop()

    async def flush_providers(self) -> bool:
        """Let the agent's own exporters send what they hold, off the loop; False when some could not in time.

        Our capture needs none of this: it sees each span as it ends. Call it once, at the end of a suite."""
        deadline = time.monotonic() + FLUSH_SECONDS

        def flush() -> bool:
            done = [
                provider.force_flush(max(1, int((deadline - time.monotonic()) * 1000)))
                for provider in in_process.providers()
            ]
            return all(done)

        return await asyncio.to_thread(flush) if in_process.providers() else True

    @property
    def endpoint(self) -> str | None:
        """``http://127.0.0.1:PORT`` of the receiver; None without one."""
        return self.receiver.endpoint if self.receiver is not None else None

    @property
    def environment(self) -> dict[str, str]:
        """What to start an agent's process with so that it exports here; empty without a receiver."""
        if not self.endpoint:
            return {}
        more = {"FI_GRPC_URL": self.grpc.endpoint} if self.grpc is not None else {}
        return environment(self.endpoint) | more

    @contextlib.contextmanager
    def open(
        self, conversation_id: str, *, attributes: Mapping[str, str] | None = None
    ) -> Generator[Captured]:
        """Capture one conversation: all that starts inside belongs to it, in this task and those it starts.

        ``conversation_id`` is 32 hex digits, not all zero, and open only once at a time; else ValueError.
        ``attributes`` say who calls and what is tried (``user.id``, ``session.id``, ``tenant.id``,
        ``feature.id``, ``experiment.id``, ``cohort.name``, ``prompt.version`` …): they stand on the root and
        on the agent's spans of this process, and reach every agent as W3C baggage."""
        captured = Captured(self, conversation_id, attributes)
        self.router.register(captured.inbox)
        try:
            with in_process.inside(captured.inbox, captured.context):
                yield captured
        finally:
            self.router.forget(captured.inbox)
            captured.close()

    def notes(self) -> list[str]:
        """What was lost, late or unassigned over the whole suite; one plain sentence each."""
        router, notes = self.router, list[str]()
        if router.stood_in:
            notes.append(
                "nobody set an OpenTelemetry tracer provider, so a temporary one took the spans that the "
                "agent makes through the API; run as it is, the agent would leave none"
            )
        if router.unassigned:
            notes.append(
                f"{router.unassigned} spans belong to no conversation: an agent that starts its own traces "
                "is recognised by a span link to our trace, or by gen_ai.conversation.id or session.id "
                "holding the id that the baggage entry simulate.conversation.id brings"
            )
        if router.overflowed:
            notes.append(f"{router.overflowed} of them were not kept")
        if router.late:
            notes.append(f"{router.late} spans came after their conversation was judged")
        if self.receiver is not None:
            notes += [f"{times} x refused: {why}" for why, times in self.receiver.refused.items()]
            if self.receiver.rejected:
                notes.append(f"{self.receiver.rejected} spans had no valid id")
        return notes


class Captured:
    """The capture of one conversation."""

    def __init__(
        self, capture: Capture, conversation_id: str, attributes: Mapping[str, str] | None = None
    ) -> None:
        _check(conversation_id)
        self.conversation_id = conversation_id
        self.root_span_id = root_span_id(conversation_id)
        """The remote parent of the agent's topmost spans; `flush` puts the span itself into the trace."""
        self.attributes = dict(attributes or {})
        self.inbox = ConversationSpans(conversation_id, self.root_span_id, self.attributes)
        self._capture = capture
        self._trace: Trace | None = None
        self._flushed = 0

    @cached_property
    def context(self) -> Context:
        """An OpenTelemetry context whose current span is our remote root, and nothing of what was around."""
        root = SpanContext(
            int(self.conversation_id, 16),
            int(self.root_span_id, 16),
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )
        context = otel_trace.set_span_in_context(NonRecordingSpan(root), Context())
        for name, value in self._baggage().items():
            context = baggage.set_baggage(name, value, context)
        return context

    @property
    def headers(self) -> dict[str, str]:
        """``traceparent`` and ``baggage`` (W3C) for an agent outside that is told of them once."""
        return self.headers_of(0)

    def headers_of(self, turn: int) -> dict[str, str]:
        """The same for a request of this turn, whose spans then tell it; 0 is no turn's."""
        parent = turn_span_id(self.conversation_id, turn)
        if turn:
            self.inbox.turns[parent] = turn
        return {"traceparent": f"00-{self.conversation_id}-{parent}-01", "baggage": self._baggage_header}

    @cached_property
    def _baggage_header(self) -> str:
        return ",".join(f"{quote(name)}={quote(value, safe='')}" for name, value in self._baggage().items())

    @property
    def endpoint(self) -> str | None:
        """The receiver's address; None without one."""
        return self._capture.endpoint

    @property
    def environment(self) -> dict[str, str]:
        """What to start a process with that serves this conversation only: also its trace context, in the
        variables that OpenTelemetry names for it (TRACEPARENT, BAGGAGE)."""
        return {**self._capture.environment, **{name.upper(): value for name, value in self.headers.items()}}

    def _baggage(self) -> dict[str, str]:
        named = {"simulate.conversation.id": self.conversation_id}
        if self._capture.run_id:
            named["simulate.run.id"] = self._capture.run_id
        return named | {name: value for name, value in self.attributes.items() if len(value) <= MAX_BAGGAGE}

    def so_far(self) -> Trace:
        """What came until now, without waiting."""
        spans, notes = assemble(self.inbox)
        source = "receiver" if self.inbox.decoded() else "process"
        return Trace(self.conversation_id, spans, source=source, notes=notes)

    async def more(self, seconds: float) -> bool:
        """Wait for spans that came since the last `flush`; False where none did in time."""
        news = asyncio.Event()
        self.inbox.waiter = (asyncio.get_running_loop(), news)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.inbox.received == self._flushed:
                    await news.wait()
                    news.clear()
        self.inbox.waiter = None
        return self.inbox.received != self._flushed

    async def flush(
        self,
        *,
        outside: bool = False,
        conversation: Conversation | None = None,
        handed: Sequence[ToolUse] = (),
        expected: bool | None = None,
        settle: float | None = None,
    ) -> Trace:
        """The agent's trace, once its tree is whole or ``settle`` seconds are over.

        ``outside``: the agent runs in another process, whose exporter takes its time. ``conversation`` tells
        when the agent was last spoken to: before a span of that turn has come, the trace is not whole. So do
        the tool calls that it ``handed`` to its caller, whose results it was sent. With it, a trace that has
        spans starts with the conversation's own, their root.
        ``expected``: True – spans must come, or EnvironmentFault says what to set; None – they may, and an
        empty trace says in its notes why it is empty; False – the agent is known to have none: nobody waits.
        Raises HarnessFault where spans were not kept, for the limit: what they told is unknown.
        Instant for agents of this process that left no span open. May be called again for what came since."""
        asked_ns = _last_asked(conversation, handed) if conversation is not None else 0
        if expected is not False or self.inbox.received:
            limit = self._settle(outside, expected) if settle is None else settle
            if limit > 0 and not self._certain(outside, asked_ns):
                await self._wait(limit, outside, asked_ns)
        if self.inbox.refused:
            raise HarnessFault(
                f"the conversation's trace is longer than {self._capture.router.limit >> 20} MB: "
                f"{self.inbox.refused} of its spans were not kept",
                hint=RAISE,
            )
        self._flushed = self.inbox.received
        self._trace = self.so_far()
        if not self._trace.spans:
            self._explain_nothing(self._trace, outside, expected)
        elif conversation is not None:
            self._trace.spans.insert(0, self._root(conversation, self._trace))
        return self._trace

    def _root(self, conversation: Conversation, trace: Trace) -> Span:
        """The conversation's own span, of which the agent's topmost spans are children."""
        start = conversation.started_ns
        end = start + round(conversation.duration * 1e9) if start else 0
        about = (
            {**self.attributes, "simulate.run.id": self._capture.run_id}
            if self._capture.run_id
            else {**self.attributes}
        )
        if conversation.ended_by is not None:
            about["simulate.ended_by"] = conversation.ended_by
        span = conversation_span(
            self.conversation_id, trace.spans, start_ns=start, end_ns=end, attributes=about
        )
        if conversation.ended_by == "fault":
            span.status, span.status_message = "error", conversation.end_reason
        return span

    def _settle(self, outside: bool, expected: bool | None) -> float:
        if not outside:
            return SETTLE_INSIDE
        if self._capture.receiver is None:
            return 0.0
        known_silent = self._capture.silent and not self._capture.router.received
        return SETTLE_SILENT if known_silent and expected is not True else SETTLE_OUTSIDE

    def _certain(self, outside: bool, asked_ns: int) -> bool:
        """Whether no more can come; of an agent outside one never knows."""
        return not outside and self._whole(outside, asked_ns)

    def _whole(self, outside: bool, asked_ns: int) -> bool:
        """Nothing is known to be missing."""
        if self.inbox.open:
            return False
        if not outside:
            return True
        came = self.inbox.received and self.inbox.youngest_ns() >= asked_ns - _SKEW_NS
        return bool(came) and not lost_parents(self.inbox)

    async def _wait(self, limit: float, outside: bool, asked_ns: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit
        news = asyncio.Event()
        self.inbox.waiter = (loop, news)
        try:
            while (left := deadline - loop.time()) > 0:
                news.clear()
                whole = self._whole(outside, asked_ns)
                if whole and not outside:
                    return
                try:
                    await asyncio.wait_for(news.wait(), min(left, _QUIET) if whole else left)
                except TimeoutError:
                    if whole:
                        return
        finally:
            self.inbox.waiter = None
        if outside and limit >= SETTLE_OUTSIDE and not self._capture.router.received:
            self._capture.silent = True

    def _explain_nothing(self, trace: Trace, outside: bool, expected: bool | None) -> None:
        if expected:
            raise EnvironmentFault(
                "the agent's trace never came: no span of this conversation reached us",
                where=f"conversation {self.conversation_id}",
                hint=self._how_to_reach_us(outside),
            )
        if outside and expected is None:
            trace.notes.append(f"no span of the agent's reached us: {self._how_to_reach_us(outside)}")

    def _how_to_reach_us(self, outside: bool) -> str:
        if not outside:
            return "no OpenTelemetry tracer provider of this process recorded a span for it; is one set up?"
        if self.endpoint is None:
            return "no OTLP receiver was started for it"
        settings = " ".join(f"{name}={value}" for name, value in main_settings(self.endpoint).items())
        hint = f"start the agent with {settings} (docs/capture.md names other SDKs' variables)"
        if strays := self._capture.router.unassigned:
            hint += (
                f"; {strays} spans did come that belong to no conversation: let the agent take up the "
                "traceparent header, or put the baggage entry simulate.conversation.id into "
                "gen_ai.conversation.id"
            )
        return hint

    def close(self) -> None:
        """Count what came after the trace was handed over; called when the conversation's context is left."""
        late = self.inbox.received - self._flushed
        if self._trace is not None and late > 0:
            self._capture.router.late += late
            self._trace.notes.append(f"{late} spans came after the trace was read; they are not in it")


def _check(conversation_id: str) -> None:
    valid = len(conversation_id) == 32 and not set(conversation_id) - set("0123456789abcdef")
    if not valid or not int(conversation_id, 16):
        raise ValueError(f"a conversation id is 32 lower-case hex digits, not all zero: {conversation_id!r}")


def _last_asked(conversation: Conversation, handed: Sequence[ToolUse] = ()) -> int:
    """When the agent was last sent something, in nanoseconds since the Unix epoch; 0 when it never was."""
    ends = [said.end for said in conversation.by("caller")]
    ends += [use.end for use in handed if use.call_id is not None and use.end is not None]
    return conversation.started_ns + round(max(ends) * 1e9) if ends and conversation.started_ns else 0
