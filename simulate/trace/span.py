"""The span as it came, and the one shape in which everything else reads it.

``Span`` holds the raw attributes, which nothing ever writes over. ``View`` is what a versioned mapper of
`trace/dialects` makes of them: computed, cheap to throw away, never stored in place of the raw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, cast

Attributes = dict[str, Any]
# the bare classes: dict[str, Any] as a factory takes ten times as long, and there are eleven a span
_attributes = cast("Callable[[], Attributes]", dict)
_list = cast("Callable[[], list[Any]]", list)


class Kind(StrEnum):
    """What a span is about; ``trace-shape`` in the documentation defines each."""

    CHAIN = "CHAIN"
    AGENT = "AGENT"
    LLM = "LLM"
    TOOL = "TOOL"
    RETRIEVER = "RETRIEVER"
    EMBEDDING = "EMBEDDING"
    RERANKER = "RERANKER"
    GUARDRAIL = "GUARDRAIL"
    EVALUATOR = "EVALUATOR"
    GATEWAY = "GATEWAY"
    STT = "STT"
    TTS = "TTS"
    TURN = "TURN"
    CONVERSATION = "CONVERSATION"
    HANDOFF = "HANDOFF"
    WORKFLOW = "WORKFLOW"
    UNKNOWN = "UNKNOWN"


@dataclass(slots=True)
class Event:
    """Something that happened at one moment inside a span; ``time_ns`` since the Unix epoch."""

    name: str
    time_ns: int = 0
    attributes: Attributes = field(default_factory=_attributes)


@dataclass(slots=True)
class Link:
    """A span that this one points to without being its child."""

    trace_id: str
    span_id: str
    attributes: Attributes = field(default_factory=_attributes)


@dataclass(slots=True)
class Span:
    """One span exactly as its file or exporter had it.

    Ids are lower-case hex where the source's are (32 and 16 digits in OpenTelemetry), and otherwise the
    source's own text (Langfuse and LangSmith use other ids). Times are nanoseconds since the Unix epoch;
    ``start_ns`` is 0 where the source does not say, ``end_ns`` None for a span that never ended. Values of
    ``attributes`` are those of OTLP's AnyValue: str, bool, int, float, bytes, list, dict, None.
    """

    trace_id: str
    span_id: str
    name: str
    parent_id: str | None = None
    start_ns: int = 0
    end_ns: int | None = None
    attributes: Attributes = field(default_factory=_attributes)
    events: list[Event] = field(default_factory=_list)
    links: list[Link] = field(default_factory=_list)
    status: Literal["unset", "ok", "error"] = "unset"
    status_message: str | None = None
    otel_kind: Literal["internal", "server", "client", "producer", "consumer", "unspecified"] = "internal"
    scope: str = ""
    scope_version: str | None = None
    resource: Attributes = field(default_factory=_attributes)
    scope_attributes: Attributes = field(default_factory=_attributes)
    trace_state: str | None = None
    flags: int | None = None
    dropped: int = 0
    """Attributes, events and links that the exporter says it dropped."""

    @property
    def duration(self) -> float | None:
        """Seconds; None while the span has no end, or where its start is unknown."""
        return (self.end_ns - self.start_ns) / 1e9 if self.end_ns is not None and self.start_ns else None

    @property
    def service(self) -> str | None:
        """The resource's ``service.name``."""
        name = self.resource.get("service.name")
        return None if name is None else str(name)


@dataclass(slots=True)
class Trace:
    """The spans of one trace id, in any order, as they came; `len` counts them, iterating gives them."""

    trace_id: str
    spans: list[Span] = field(default_factory=_list)
    source: str | None = None
    """The file, or the capture, that the spans came from."""
    notes: list[str] = field(default_factory=_list)
    """What a reader should know: spans lost, late, repaired; one plain sentence each."""

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def start_ns(self) -> int:
        """When the first span began; 0 where none says."""
        return min((span.start_ns for span in self.spans if span.start_ns), default=0)

    @property
    def end_ns(self) -> int | None:
        """When the last span ended; None where none says."""
        return max((span.end_ns for span in self.spans if span.end_ns is not None), default=None)

    @property
    def duration(self) -> float | None:
        """Seconds from the first start to the last end; None where either is unknown."""
        start, end = self.start_ns, self.end_ns
        return (end - start) / 1e9 if start and end is not None else None

    def get(self, span_id: str) -> Span | None:
        """The span of that id."""
        return next((span for span in self.spans if span.span_id == span_id), None)


@dataclass(slots=True)
class Message:
    """One chat message in the parts of the GenAI conventions.

    Each part is a dict with a ``type``: ``text`` {content}, ``tool_call`` {id, name, arguments},
    ``tool_call_response`` {id, response}, ``reasoning`` {content}, ``blob``/``file``/``uri``, or another.
    """

    role: str
    parts: list[dict[str, Any]] = field(default_factory=_list)
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(str(part.get("content", "")) for part in self.parts if part.get("type") == "text")

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tool calls it asks for."""
        return [part for part in self.parts if part.get("type") == "tool_call"]


@dataclass(slots=True)
class Score:
    """An evaluation result that a trace carries; 1 is good unless the source says otherwise."""

    name: str
    value: float | None = None
    label: str | None = None
    explanation: str | None = None
    threshold: float | None = None
    attributes: Attributes = field(default_factory=_attributes)

    def passed(self, least: float | None = None) -> bool | None:
        """Whether the result is good: by ``least``, else by its own threshold, else by a label that is a
        verdict in itself. None where nothing says so; a bare number is not a verdict."""
        threshold = self.threshold if least is None else least
        if self.value is not None and threshold is not None:
            return self.value >= threshold
        label = (self.label or "").casefold()
        return True if label in _GOOD else False if label in _BAD else None


_GOOD = frozenset({"pass", "passed", "success", "succeeded", "ok", "safe"})
_BAD = frozenset({"fail", "failed", "failure", "error", "unsafe", "hallucinated"})


@dataclass(slots=True)
class View:
    """A span in the canonical shape. None means the span does not say; it never means zero.

    Seconds for every duration, US dollars for ``cost``. ``documents`` of a retrieval are dicts with ``id``,
    ``content``, ``score``, ``metadata`` as far as known.
    """

    kind: Kind
    dialect: str
    operation: str | None = None
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    total_tokens: int | None = None
    """As the source adds up its own numbers; not computed."""
    cost: float | None = None
    time_to_first_token: float | None = None
    parameters: Attributes = field(default_factory=_attributes)
    finish_reasons: list[str] = field(default_factory=_list)
    response_id: str | None = None
    instructions: str | None = None
    input: list[Message] | None = None
    output: list[Message] | None = None
    input_value: Any = None
    output_value: Any = None
    tool_definitions: list[Any] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    tool_arguments: Any = None
    tool_result: Any = None
    documents: list[dict[str, Any]] | None = None
    query: str | None = None
    agent_name: str | None = None
    handoff_from: str | None = None
    handoff_to: str | None = None
    conversation_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    step: int | None = None
    error: str | None = None
    paused: bool | None = None
    """Whether it stopped to wait for somebody's answer, such as an approval, and is to be run anew then."""
    scores: list[Score] = field(default_factory=_list)
    voice: Attributes = field(default_factory=_attributes)
    """``transcript``, ``text``, ``language``, ``voice``, ``characters``, ``audio_seconds``, ``interrupted``,
    ``interruption_source``, ``end_of_turn_delay``, ``user_to_agent_latency``, ``time_to_first_byte``."""
    gateway: Attributes = field(default_factory=_attributes)
    """``strategy``, ``original_target``, ``fallback``, ``resolved_provider``, ``cache_hit``,
    ``guardrails``."""
    tags: Attributes = field(default_factory=_attributes)
    """``feature.id``, ``tenant.id``, ``experiment.id``, ``cohort.name`` and the like, where set."""
    deferred: Callable[[], list[Message] | None] | None = field(default=None, repr=False, compare=False)
    """Reads ``input`` when it is first asked for: most questions are not about the history, which is most of
    a trace."""

    def defer_input(self, read: Callable[[], list[Message] | None]) -> None:
        """Let ``input`` be read when it is first asked for."""
        self.deferred = read


if not TYPE_CHECKING:  # to a type checker, `input` is the field that it looks like
    # not __getattr__: with it, reading any field of any view takes twice as long
    _input = View.input

    def _read_input(view: View) -> list[Message] | None:
        if view.deferred is not None:
            _set_input(view, view.deferred())
        return _input.__get__(view)

    def _set_input(view: View, messages: list[Message] | None) -> None:
        _input.__set__(view, messages)
        view.deferred = None

    View.input = property(_read_input, _set_input)


def group(spans: Iterable[Span], source: str | None = None) -> list[Trace]:
    """Traces in the order in which their first span came."""
    traces: dict[str, Trace] = {}
    for span in spans:
        trace = traces.get(span.trace_id)
        if trace is None:
            trace = traces[span.trace_id] = Trace(span.trace_id, source=source)
        trace.spans.append(span)
    return list(traces.values())
