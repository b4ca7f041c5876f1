"""What evaluators read: one trace, retold once and shared by all of them.

A scenario's run knows its conversation; a production trace only has spans, and its conversation is told by
its model calls. Nothing is computed before an evaluator asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from simulate.model.reference import Reference
from simulate.model.transcript import Conversation, ToolUse
from simulate.scoring.evaluators import transcript_of_trace
from simulate.scoring.evaluators.transcript_of_trace import Answer, Said
from simulate.trace import reading
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


@dataclass
class EvaluationContext:
    """One trace with what is known beside it. ``conversation`` and ``uses`` come from a scenario's run; where
    they are None, the spans tell them."""

    trace: Trace
    reference: Reference = field(default_factory=Reference)
    conversation: Conversation | None = None
    uses: Sequence[ToolUse] | None = None
    blind: str | None = None
    """Why ``uses`` say nothing, where they were given."""

    @cached_property
    def views(self) -> dict[str, View]:
        """The canonical view of every span."""
        return reading.views(self.trace)

    @cached_property
    def models(self) -> list[tuple[Span, View]]:
        """The model calls, each once."""
        return reading.llm_calls(self.trace, self.views)

    @cached_property
    def tool_uses(self) -> list[ToolUse]:
        """The tool calls, each once, in the order in which they began."""
        return reading.tool_calls(self.trace, self.views) if self.uses is None else list(self.uses)

    @cached_property
    def calls_shown(self) -> list[str]:
        """The first twenty tool calls, for people."""
        return [
            transcript_of_trace.shown(use.name, use.arguments if use.arguments_known else None)
            for use in self.tool_uses[:20]
        ]

    @cached_property
    def no_tools_because(self) -> str | None:
        """Why the trace says nothing about tools; None where it does, be it that none was called."""
        if self.uses is not None:
            return self.blind if not self.uses else None
        evident, why_not = reading.has_tool_evidence(self.trace, self.views)
        return None if evident else why_not

    @cached_property
    def said(self) -> list[Said]:
        """What caller and agent said, in order."""
        if self.conversation is not None:
            return transcript_of_trace.from_conversation(self.conversation)
        return transcript_of_trace.from_trace(self.trace, self.views, self.models)

    @cached_property
    def answers(self) -> list[Answer]:
        """What the agent said in this trace, each with what was asked and what the agent had at hand."""
        return transcript_of_trace.answers(self.said, self.retrievals, self.tool_uses, self.origin)

    @cached_property
    def no_answers_because(self) -> str:
        """Why ``answers`` is empty."""
        captured, why_not = reading.content_captured(self.trace, self.views)
        return "the agent said nothing" if captured or self.conversation is not None else why_not

    @cached_property
    def origin(self) -> int:
        """What the seconds of the tool calls count from, in nanoseconds since the Unix epoch."""
        if self.uses is not None and self.conversation is not None:
            return self.conversation.started_ns
        return min((span.start_ns for span in self.trace.spans), default=0)

    @cached_property
    def retrievals(self) -> list[Retrieval]:
        """The searches whose documents are recorded; a reranker's stand for those of the search before it."""
        found: dict[Kind, list[Retrieval]] = {Kind.RETRIEVER: [], Kind.RERANKER: []}
        for span in self.trace.spans:
            view = self.views[span.span_id]
            if view.kind in found and view.documents is not None:
                found[view.kind].append(Retrieval(span, view.query, view.documents))
        chosen = found[Kind.RERANKER] or found[Kind.RETRIEVER]
        return sorted(chosen, key=lambda one: one.span.start_ns)

    @cached_property
    def no_documents_because(self) -> str:
        """Why ``retrievals`` is empty."""
        silent = [one for one in self.views.values() if one.kind in (Kind.RETRIEVER, Kind.RERANKER)]
        if silent:
            return f"{len(silent)} retrieval spans carry no documents: not captured, or none was found"
        return "the trace has no retrieval span"

    @cached_property
    def handoffs(self) -> list[Handoff]:
        """From agent to agent, in order."""
        found = [
            Handoff(span, view.handoff_to, view.handoff_from, view.input_value)
            for span in self.trace.spans
            if (view := self.views[span.span_id]).kind is Kind.HANDOFF and view.handoff_to
        ]
        return sorted(found, key=lambda one: one.span.start_ns)

    @cached_property
    def goal(self) -> str | None:
        """What the caller came for: told, or else their first words."""
        if self.reference.goal:
            return self.reference.goal
        return next((one.text for one in self.said if one.speaker == "caller" and one.text.strip()), None)

    @cached_property
    def instructions(self) -> str | None:
        """The system prompt of the first model call that shows one."""
        for _, view in self.models:
            texts = [message.text for message in view.input or () if message.role in ("system", "developer")]
            told = view.instructions or "\n".join(texts)
            if told.strip():
                return told
        return None

    @property
    def last_span(self) -> str | None:
        """The span of the agent's last answer; else the trace's root."""
        for answer in reversed(self.answers):
            if answer.span_id is not None:
                return answer.span_id
        return self.root

    @cached_property
    def root(self) -> str | None:
        """The first span whose parent is not in the trace."""
        ids = {span.span_id for span in self.trace.spans}
        roots = [span for span in self.trace.spans if span.parent_id not in ids]
        return min(roots, key=lambda span: span.start_ns).span_id if roots else None
