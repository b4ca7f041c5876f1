"""What evaluators read: one trace, retold once and shared by all of them.

A scenario's run knows its conversation; a production trace only has spans, and its conversation is told by
its model calls. Nothing is computed before an evaluator asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from simulate.model.reference import Reference
from simulate.model.transcript import Conversation
from simulate.scoring.evaluators import transcript_of_trace
from simulate.scoring.evaluators.transcript_of_trace import AgentAnswer, TraceUtterance
from simulate.trace.reading import Handoff, Retrieval, ToolCall, TraceReading, Unknown
from simulate.trace.reading.kept_calls import told_of_more
from simulate.trace.span import Kind, Span, Trace, View


@dataclass
class EvaluationContext:
    """One trace, or its reading, with what is known beside it. ``conversation`` and ``calls`` come from a
    scenario's run; where they are None, the spans tell them."""

    source: Trace | TraceReading
    reference: Reference = field(default_factory=Reference)
    conversation: Conversation | None = None
    calls: Sequence[ToolCall] | None = None
    blind: str | None = None
    """Why ``calls`` say nothing, where they were given."""
    contacts: Sequence[str] = ()
    """The company's own addresses, domains and phone numbers, which are nobody's personal data."""

    @cached_property
    def reading(self) -> TraceReading:
        """What the trace says."""
        return TraceReading.of(self.source)

    @property
    def trace(self) -> Trace:
        """The spans."""
        return self.reading.trace

    @property
    def models(self) -> list[tuple[Span, View]]:
        """The model calls, each once."""
        return self.reading.llm_calls

    @cached_property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls, each once, in the order in which they began; not those that are known never to have
        run."""
        calls = self.reading.tool_calls if self.calls is None else self.calls
        return [call for call in calls if call.happened is not False]

    @cached_property
    def calls_shown(self) -> list[str]:
        """The first twenty tool calls, for people."""
        return [transcript_of_trace.shown(call.name, call.arguments) for call in self.tool_calls[:20]]

    @cached_property
    def no_tools_because(self) -> str | None:
        """Why the trace says nothing about tools; None where it does, be it that none was called."""
        if self.calls is not None:
            hidden = self.blind
        else:
            hidden = self.reading.evidence.tools.why_not or told_of_more(self.tool_calls, self.models)
        unclear = (call.happened for call in self.tool_calls)
        return hidden or next((each.why for each in unclear if isinstance(each, Unknown)), None)

    @cached_property
    def said(self) -> list[TraceUtterance]:
        """What caller and agent said, in order."""
        if self.conversation is not None:
            return transcript_of_trace.from_conversation(self.conversation)
        return transcript_of_trace.from_reading(self.reading)

    @cached_property
    def answers(self) -> list[AgentAnswer]:
        """What the agent said in this trace, each with what was asked and what the agent had at hand."""
        return transcript_of_trace.answers(self.said, self.retrievals, self.tool_calls, self.origin)

    @cached_property
    def no_answers_because(self) -> str:
        """Why ``answers`` is empty."""
        captured = self.reading.evidence.content
        return "the agent said nothing" if captured or self.conversation is not None else captured.why_not

    @cached_property
    def origin(self) -> int:
        """What the seconds of the tool calls count from, in nanoseconds since the Unix epoch."""
        if self.calls is not None and self.conversation is not None:
            return self.conversation.started_ns
        return self.reading.origin

    @property
    def retrievals(self) -> list[Retrieval]:
        """The searches whose documents are recorded."""
        return self.reading.retrievals

    @cached_property
    def no_documents_because(self) -> str:
        """Why ``retrievals`` is empty."""
        silent = [one for _, one in self.reading if one.kind in (Kind.RETRIEVER, Kind.RERANKER)]
        if silent:
            return f"{len(silent)} retrieval spans carry no documents: not captured, or none was found"
        return "the trace has no retrieval span"

    @property
    def handoffs(self) -> list[Handoff]:
        """From agent to agent, in order."""
        return self.reading.handoffs

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

    @property
    def root(self) -> str | None:
        """The first span whose parent is not in the trace."""
        return self.reading.roots[0].span_id if self.reading.roots else None
