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
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.sdk.trace import ReadableSpan

from simulate.trace.files.base import Notes
from simulate.trace.otlp.decode import from_blocks, from_sdk
from simulate.trace.root import TURN
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
RAISE = "raise trace_limit (in MB) under [tool.simulate]"
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
    turns: dict[str, int] = field(default_factory=dict[str, int])
    """By the parent that a turn's request named: the turn."""
    owner: Router | None = None
    """Who opened it; None before that."""
    shared: bool = False
    """A trace of the agent's own serves this conversation and another."""
    waiter: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
    size: int = 0
    """Bytes of what came over the wire."""
    refused: int = 0
    """Spans that came beyond the limit and were not kept."""

    def take(self, item: Item, number: int, size: int) -> None:
        """Put in what came over the wire, ``number`` spans of ``size`` bytes each, where it fits."""
        self.size += number * size
        if self.owner is not None and self.size > self.owner.limit:
            self.refused += number
            self.owner.refused += number
            return
        self.arrived.append(item)
        self.changed()

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
            spans = list(from_blocks([item], self.notes)) if isinstance(item, tuple) else [item]
            for span in spans:
                self._under_root(span)
            self._decoded += spans
        return self._decoded

    def _under_root(self, span: Span) -> None:
        """A turn's parent is the root under another id; what it told of the turn stays as an attribute."""
        if (turn := self.turns.get(span.parent_id or "")) is not None:
            span.parent_id = self.root_span_id
            span.attributes.setdefault(TURN, turn)
        for link in span.links:
            if (turn := self.turns.get(link.span_id)) is not None:
                link.span_id = self.root_span_id
                span.attributes.setdefault(TURN, turn)

    def spans(self) -> list[Span]:
        """Everything that came; spans of this process first."""
        return [*self.local, *self.decoded()]

    def youngest_ns(self) -> int:
        """When the last of them started; 0 where none came."""
        return max((span.start_ns for span in self.spans()), default=0)


class Router:
    """Inboxes by trace id and by conversation id; one for in-process spans and the receiver together.

    ``limit`` is how many bytes those of one conversation, or of none, may have that come over the wire."""

    def __init__(self, limit: int = sys.maxsize) -> None:
        self.limit = limit
        self._routes: dict[Key, ConversationSpans] = {}
        self._by_id: dict[str, ConversationSpans] = {}
        self._lock = threading.Lock()
        self._unassigned: dict[Key, list[Item | ReadableSpan]] = {}
        self._sizes: dict[Key, int] = {}
        """Bytes of what is put aside, by trace."""
        self._aside = 0
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
        self.refused = 0
        """Spans of conversations whose limit was reached."""
        self.incomplete = set[str]()
        """Addresses of agents whose spans left something out after a whole settle time, too."""

    @property
    def idle(self) -> bool:
        """Whether no conversation is open."""
        return not self._by_id

    def register(self, inbox: ConversationSpans) -> None:
        """Let spans of this trace reach ``inbox``; raises ValueError where the id is in use."""
        with self._lock:
            if inbox.conversation_id in self._by_id:
                raise ValueError(f"conversation {inbox.conversation_id} is already open")
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
            sizes = sum(self._sizes.pop(each, 0) for each in (key, *_other(key)))
            self._aside -= sizes
            inbox.size += sizes
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
        self,
        key: Key,
        item: Item | ReadableSpan,
        links: Iterable[Key],
        attributes: Mapping[str, Any],
        size: int = 0,
    ) -> None:
        """Find the conversation of a span whose trace id is none that we sent, or put it aside; ``size`` is
        its bytes, where it came over the wire.

        A trace that serves several conversations (a worker's) is parted by session attributes."""
        inbox = self._routes.get(key)
        found = self.claimed(links if inbox is None else (), attributes)
        if inbox is None and found is None:
            self.keep(key, item, size)
            return
        if inbox is None and found is not None:
            self.claim(key, *found)
        target = found[0] if found is not None else inbox
        if target is not None:
            if inbox is not None and target is not inbox:
                target.shared = inbox.shared = True
            if isinstance(item, ReadableSpan):
                target.add(item)
                target.changed()
            else:
                target.take(item, 1, size)

    def keep(self, key: Key, item: Item | ReadableSpan, size: int = 0) -> None:
        """Put a span aside that belongs to no conversation as far as one knows."""
        with self._lock:
            if (inbox := self._routes.get(key)) is not None:  # claimed a moment ago, by another thread
                inbox.add(item)
                return
            if key in self._closed:
                self.late += 1
                return
            self.unassigned += 1
            full = self._aside + size > self.limit
            if full or self.unassigned - self.overflowed > KEEP_UNASSIGNED:
                self.overflowed += 1
                return
            self._aside += size
            self._sizes[key] = self._sizes.get(key, 0) + size
            self._unassigned.setdefault(key, []).append(item)


def _both(trace_id: str) -> tuple[int, bytes]:
    return int(trace_id, 16), bytes.fromhex(trace_id)


def _other(key: Key) -> tuple[Key]:
    return (key.to_bytes(16, "big"),) if isinstance(key, int) else (int.from_bytes(key, "big"),)
