"""Which conversation a span belongs to.

A span comes from a thread of this process or over the wire, and is found by, in this order:

1. its trace id: that of the conversation, which we sent along, or one that was claimed before;
2. the context variable of the conversation in which it started (in this process only);
3. a span link to the conversation's trace;
4. a session attribute of the span or its resource that equals the conversation's id.

A trace found by 2 to 4 is claimed whole, with the spans of it that came before. What cannot be assigned
is kept, up to a limit, and counted: nothing is thrown away silently.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.sdk.trace import ReadableSpan

from simulate.trace.files.base import Notes
from simulate.trace.otlp.decode import from_blocks, from_sdk
from simulate.trace.span import Attributes, Event, Span

if TYPE_CHECKING:
    from simulate.trace.otlp.decode.protobuf_spans import Block

    Item = Block | Span

Key = int | bytes
"""A trace id, as the SDK (an integer) or as protobuf (16 bytes) has it."""
Claim = Literal["context", "link", "session"]

# Keys under which agents repeat a session that they were told of, by dialect or copied from baggage.
SESSION_KEYS = frozenset(
    {
        "gen_ai.conversation.id",
        "simulate.conversation.id",
        "session.id",
        "session_id",
        "conversation.id",
        "conversation_id",
        "langfuse.session.id",
        "langsmith.metadata.session_id",
        "langsmith.metadata.thread_id",
        "traceloop.association.properties.session_id",
        "traceloop.association.properties.conversation_id",
        "ai.telemetry.metadata.sessionId",
        "lk.pii.room_name",
        "lk.room_name",
    }
)
KEEP_UNASSIGNED = 100_000
_REMEMBER_CLOSED = 4_096


@dataclass(slots=True, eq=False)
class ConversationSpans:
    """What came for one conversation. Lists and dicts change by single operations only, so that the agent's
    threads, the receiver's thread and the conversation's loop can share them without a lock."""

    conversation_id: str
    root_span_id: str
    attributes: Attributes = field(default_factory=dict[str, Any])
    """What the run is told of who calls (``user.id``, ``tenant.id`` …), put on spans of this process."""
    local: list[Span] = field(default_factory=list[Span])
    """Spans of this process, converted as they end: the SDK's own take four times the memory."""
    open: dict[int, str] = field(default_factory=dict[int, str])
    """Spans of this process that have started and not ended: id to name."""
    arrived: deque[Item] = field(default_factory=deque["Item"])
    """What came over the wire and was not yet looked into."""
    notes: Notes = field(default_factory=lambda: Notes(tolerant=True))
    """What was wrong with spans that came over the wire."""
    _decoded: list[Span] = field(default_factory=list[Span])
    scores: list[tuple[str, Event]] = field(default_factory=list[tuple[str, Event]])
    """Evaluation results that came as log events, with the id of their span."""
    claims: dict[Key, Claim] = field(default_factory=dict[Key, Claim])
    """Traces that the agent started itself, and how they were found."""
    owner: Router | None = None
    """Who opened it; None before that."""
    shared: bool = False
    """A trace of the agent's own serves this conversation and another."""
    waiter: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def changed(self) -> None:
        """Wake a flush that waits; may be called from any thread."""
        waiter = self.waiter
        if waiter is not None and not waiter[0].is_closed():
            waiter[0].call_soon_threadsafe(waiter[1].set)

    def add(self, item: Item | ReadableSpan) -> None:
        """Put one span in."""
        if isinstance(item, ReadableSpan):
            span = from_sdk(item)
            # one text for all spans, not one each
            if span.trace_id == self.conversation_id:
                span.trace_id = self.conversation_id
            if span.parent_id == self.root_span_id:
                span.parent_id = self.root_span_id
            if self.attributes:
                span.attributes = self.attributes | span.attributes
            self.local.append(span)
        else:
            self.arrived.append(item)

    @property
    def received(self) -> int:
        """How many spans came so far."""
        arrived = (len(item[2]) if isinstance(item, tuple) else 1 for item in tuple(self.arrived))
        return len(self.local) + len(self._decoded) + self.notes.left_out + sum(arrived)

    def decoded(self) -> list[Span]:
        """What came over the wire; each span is decoded once, when it is first asked for."""
        while self.arrived:
            item = self.arrived.popleft()
            if isinstance(item, tuple):
                self._decoded += from_blocks([item], self.notes)
            else:
                self._decoded.append(item)
        return self._decoded

    def spans(self) -> list[Span]:
        """Everything that came; spans of this process first."""
        return [*self.local, *self.decoded()]

    def youngest_ns(self) -> int:
        """When the last of them started; 0 where none came."""
        return max((span.start_ns for span in self.spans()), default=0)


class Router:
    """Inboxes by trace id and by conversation id; one for in-process spans and the receiver together."""

    def __init__(self) -> None:
        self._routes: dict[Key, ConversationSpans] = {}
        self._by_id: dict[str, ConversationSpans] = {}
        self._lock = threading.Lock()
        self._unassigned: dict[Key, list[Item | ReadableSpan]] = {}
        self._closed: OrderedDict[Key, None] = OrderedDict()
        self.unassigned = 0
        """Spans that belong to no conversation."""
        self.overflowed = 0
        """Those of them that were not even kept."""
        self.late = 0
        """Spans that came after their conversation was closed."""
        self.stood_in = False
        """Some spans came only because we stood in for a global provider that nobody set."""
        self.received = 0
        """Spans that came over the wire, wherever they belong."""

    @property
    def idle(self) -> bool:
        """Whether no conversation is open."""
        return not self._by_id

    def register(self, inbox: ConversationSpans) -> None:
        """Let spans of this trace reach ``inbox``; raises ValueError where the id is in use."""
        with self._lock:
            if inbox.conversation_id in self._by_id:
                raise ValueError(f"conversation {inbox.conversation_id} is open already")
            self._by_id[inbox.conversation_id] = inbox
            inbox.owner = self
            for key in _both(inbox.conversation_id):
                self._routes[key] = inbox
                self._closed.pop(key, None)

    def forget(self, inbox: ConversationSpans) -> None:
        """The conversation is over; spans that still come for it count as late."""
        with self._lock:
            self._by_id.pop(inbox.conversation_id, None)
            for key in (*_both(inbox.conversation_id), *inbox.claims):
                if self._routes.pop(key, None) is not None:
                    self._closed[key] = None
            while len(self._closed) > _REMEMBER_CLOSED:
                self._closed.popitem(last=False)

    def holds(self, inbox: ConversationSpans) -> bool:
        """Whether ``inbox`` is one of ours and open."""
        return self._by_id.get(inbox.conversation_id) is inbox

    def outlived(self, key: Key) -> None:
        """A trace begun by work that a conversation left behind: its spans count as late."""
        with self._lock:
            self._closed[key] = None

    def find(self, key: Key) -> ConversationSpans | None:
        """The inbox of a trace."""
        return self._routes.get(key)

    def claim(self, key: Key, inbox: ConversationSpans, how: Claim) -> None:
        """Give a trace that the agent started itself to a conversation, with what came of it before."""
        with self._lock:
            inbox.claims[key] = how
            self._routes[key] = inbox
            for other in _other(key):
                inbox.claims[other] = how
                self._routes[other] = inbox
            earlier = [item for each in (key, *_other(key)) for item in self._unassigned.pop(each, ())]
            self.unassigned -= len(earlier)
        for item in earlier:
            inbox.add(item)
        inbox.changed()

    def claimed(
        self, links: Iterable[Key], attributes: Mapping[str, Any]
    ) -> tuple[ConversationSpans, Claim] | None:
        """The conversation that a span of an unknown trace points to, by link or by session attribute."""
        for key in links:
            if (inbox := self._routes.get(key)) is not None:
                return inbox, "link"
        for name in SESSION_KEYS & attributes.keys():
            value = attributes[name]
            if isinstance(value, str) and (inbox := self._by_id.get(value.replace("-", "").lower())):
                return inbox, "session"
        return None

    def assign(
        self, key: Key, item: Item | ReadableSpan, links: Iterable[Key], attributes: Mapping[str, Any]
    ) -> None:
        """Find the conversation of a span whose trace id is none that we sent, or put it aside.

        A trace that serves several conversations (a worker's) is parted by session attributes."""
        inbox = self._routes.get(key)
        found = self.claimed(links if inbox is None else (), attributes)
        if inbox is None and found is None:
            self.keep(key, item)
            return
        if inbox is None and found is not None:
            self.claim(key, *found)
        target = found[0] if found is not None else inbox
        if target is not None:
            if inbox is not None and target is not inbox:
                target.shared = inbox.shared = True
            target.add(item)
            target.changed()

    def keep(self, key: Key, item: Item | ReadableSpan) -> None:
        """Put a span aside that belongs to no conversation as far as one knows."""
        with self._lock:
            if (inbox := self._routes.get(key)) is not None:  # claimed a moment ago, by another thread
                inbox.add(item)
                return
            if key in self._closed:
                self.late += 1
                return
            self.unassigned += 1
            if self.unassigned - self.overflowed > KEEP_UNASSIGNED:
                self.overflowed += 1
                return
            self._unassigned.setdefault(key, []).append(item)


def _both(trace_id: str) -> tuple[int, bytes]:
    return int(trace_id, 16), bytes.fromhex(trace_id)


def _other(key: Key) -> tuple[Key]:
    return (key.to_bytes(16, "big"),) if isinstance(key, int) else (int.from_bytes(key, "big"),)
