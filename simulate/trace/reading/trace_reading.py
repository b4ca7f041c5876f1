"""What a trace says, computed once, whoever asks: views, calls, searches, hand-offs, cost, visibility."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from simulate.trace.joining import joined
from simulate.trace.pricing import TraceCost, cost_of_calls
from simulate.trace.reading.classify import read
from simulate.trace.reading.dialect import dialects
from simulate.trace.reading.facts import Visible
from simulate.trace.reading.kept_calls import kept_call
from simulate.trace.reading.model_calls import Groups, ViewOf, model_calls, told_by
from simulate.trace.reading.nesting import Above
from simulate.trace.reading.tool_call import ToolCall
from simulate.trace.reading.tool_pairing import tool_calls
from simulate.trace.reading.visibility import Visibility, content_visible, names_visible, tools_visible
from simulate.trace.span import Kind, Span, Trace, View


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One search: its query and what it brought, best first."""

    span: Span
    query: str | None
    documents: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Handoff:
    """One agent handed over to another."""

    span: Span
    to: str
    from_: str | None
    payload: Any


_ORDINALS = 86_400 * 10**9
"""Times of the first day of 1970 are places in an order, as transcripts without times get them."""


@cache
def _completed_dialects() -> frozenset[str]:
    """Dialects whose views change with the spans around them."""
    return frozenset(dialect.name for dialect in dialects() if dialect.context is not None)


class TraceReading:
    """One trace, read. Each answer is computed when it is first asked for, and kept.

    The trace must not change while its reading is in use; make a new one after it did. The raw spans are
    never changed by reading them.
    """

    def __init__(self, trace: Trace, earlier: TraceReading | None = None) -> None:
        """``earlier`` is a reading of the same trace while it was shorter: spans that had ended then are not
        read again."""
        self.trace = trace
        self._known: dict[int, tuple[Span, View]] = {}
        """By ``id`` of a span, which stays its own as long as the span is kept here."""
        if earlier is not None:
            self._known = {
                id(span): (span, view)
                for span, view in earlier
                if span.end_ns is not None and view.dialect not in _completed_dialects()
            }

    @classmethod
    def of(cls, source: Trace | TraceReading) -> TraceReading:
        """The reading itself, or that of a trace."""
        return source if isinstance(source, TraceReading) else cls(source)

    def __iter__(self) -> Iterator[tuple[Span, View]]:
        """Every span with its view, in the order in which they came."""
        return iter(self._pairs)

    @cached_property
    def _pairs(self) -> list[tuple[Span, View]]:
        views = self.views
        return [(span, views[span.span_id]) for span in self.spans]

    @cached_property
    def spans(self) -> list[Span]:
        """The spans, each once, in the order in which they came."""
        return joined(self.trace.spans)[0]

    @cached_property
    def by_id(self) -> dict[str, Span]:
        """The spans by their ids."""
        return {span.span_id: span for span in self.spans}

    @cached_property
    def views(self) -> dict[str, View]:
        """The canonical view of every span by span id, completed from the neighbours where a dialect needs
        them (Pipecat's tool calls, LiveKit's input deltas)."""
        found = {span.span_id: self._read(span) for span in self.spans}
        speaking = {one.dialect for one in found.values()}
        for dialect in dialects():
            if dialect.context is not None and dialect.name in speaking:
                dialect.context(self.trace, found)
        return found

    def _read(self, span: Span) -> View:
        known = self._known.get(id(span))
        return read(span) if known is None else known[1]

    def view(self, span: Span) -> View:
        """The canonical view of a span."""
        return self.views.get(span.span_id) or read(span)

    def view_alone(self, span: Span) -> View:
        """The view of a span without what its neighbours tell of it, where the others are not read yet."""
        return self.view(span) if "views" in self.__dict__ else read(span)

    def _view_of(self) -> ViewOf:
        """`view` for the spans of this trace alone, which is asked for most."""
        views = self.views
        return lambda span: views[span.span_id]

    @cached_property
    def origin(self) -> int:
        """When the first span began, in nanoseconds since the Unix epoch; 0 in an empty trace."""
        return min((span.start_ns for span in self.spans if span.start_ns), default=0)

    @property
    def began(self) -> int | None:
        """`origin` where it is a moment; None where no span tells one, or where times are mere ordinals."""
        return self.origin if self.origin > _ORDINALS else None

    @cached_property
    def roots(self) -> list[Span]:
        """The spans whose parent is not in the trace, in the order in which they began."""
        found = [span for span in self.spans if span.parent_id not in self.by_id]
        return sorted(found, key=lambda span: span.start_ns)

    @cached_property
    def _told(self) -> Groups:
        return told_by(self.spans, self.by_id, self._view_of(), Kind.LLM)

    @cached_property
    def told_by(self) -> dict[str, list[Span]]:
        """By the id of each span that tells of a model call: all that tell of that call."""
        return {span.span_id: group for group in self._told for span in group}

    @cached_property
    def llm_calls(self) -> list[tuple[Span, View]]:
        """The model calls, each once, in the order in which they began."""
        return model_calls(self._told, self._view_of())

    @cached_property
    def embeddings(self) -> list[tuple[Span, View]]:
        """The calls of embedding models, each once, in the order in which they began."""
        view = self._view_of()
        return model_calls(told_by(self.spans, self.by_id, view, Kind.EMBEDDING), view)

    @cached_property
    def tool_calls(self) -> list[ToolCall]:
        """The agent's tool calls, each once, in the order in which they began. Times are seconds since
        ``origin``. Whoever takes an empty list for "no tool was called" asks ``evidence.tools`` first."""
        return tool_calls(self.spans, self.by_id, self._view_of(), self.llm_calls)

    @cached_property
    def retrievals(self) -> list[Retrieval]:
        """The searches whose documents are recorded; a reranker's stand for those of the search before it."""
        found: dict[Kind, list[Retrieval]] = {Kind.RETRIEVER: [], Kind.RERANKER: []}
        for span, view in self:
            if view.kind in found and view.documents is not None:
                found[view.kind].append(Retrieval(span, view.query, view.documents))
        chosen = found[Kind.RERANKER] or found[Kind.RETRIEVER]
        return sorted(chosen, key=lambda one: one.span.start_ns)

    @cached_property
    def handoffs(self) -> list[Handoff]:
        """From agent to agent, in order. A span that does not say from whom is from the agent around it."""
        agents = Above(self.by_id, lambda span: self.view(span).kind is Kind.AGENT)

        def around(span: Span) -> str | None:
            agent = agents.of(span)
            return None if agent is None else self.view(agent).agent_name or agent.name

        found = [
            Handoff(span, view.handoff_to, view.handoff_from or around(span), view.input_value)
            for span, view in self
            if view.kind is Kind.HANDOFF and view.handoff_to
        ]
        return sorted(found, key=lambda one: one.span.start_ns)

    @cached_property
    def tools_visible(self) -> Visible:
        """Whether a tool call would show in this trace."""
        tools = [(span, view) for span, view in self if view.kind is Kind.TOOL]
        found = names_visible([*self.llm_calls, *tools])
        found = found and tools_visible(self.llm_calls, [span for span, _ in tools])
        return Visible(kept_call(self, lambda: self.tool_calls, self.llm_calls) or "") if found else found

    @cached_property
    def evidence(self) -> Visibility:
        """What could be seen in this trace, and why not."""
        return Visibility(self.tools_visible, content_visible(self.llm_calls))

    @cached_property
    def cost(self) -> TraceCost:
        """What the model calls cost."""
        return cost_of_calls([*self.llm_calls, *self.embeddings], self)

    @cached_property
    def unknown_spans(self) -> Counter[str]:
        """How many spans of each name no dialect knows."""
        return Counter(span.name for span, view in self if view.kind is Kind.UNKNOWN)
