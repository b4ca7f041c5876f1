"""What happened in a trace, as a person would retell it: calls, answers, turns, not spans."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any

from simulate.trace.belonging import several
from simulate.trace.diff import content as contents
from simulate.trace.diff.forest import Forest, plant
from simulate.trace.reading import ToolCall, ToolName, TraceReading, Unknown
from simulate.trace.span import Kind, Span, Trace, View


@dataclass(slots=True)
class ActionRecord:
    """A call of a tool, or something that is told like one.

    ``batch`` orders acts: those of one batch were asked for together, and came in no order that matters.
    """

    name: str
    node: int
    arguments: Any = None
    result: Any = None
    error: str | None = None
    turn: int | None = None
    batch: int = 0
    spans: list[str] = field(default_factory=list[str])
    attempts: int = 1
    result_known: bool = True
    key: str = ""
    """Equal for acts that are told under one name: for a tool, however each side writes its name."""

    def __post_init__(self) -> None:
        self.key = self.key or self.name


@dataclass(slots=True)
class ModelCall:
    """One call of a model; ``text`` is None where content was not captured."""

    node: int
    span: Span
    view: View
    turn: int
    text: str | None
    asks: bool


@dataclass(slots=True)
class Speech:
    """What one side said aloud, and how; seconds since the trace began."""

    speaker: str
    text: str | None
    start: float
    node: int
    interrupted: bool | None = None


@dataclass(slots=True)
class Story:
    """One trace retold. ``captured`` is False where the model calls do not carry what was said."""

    reading: TraceReading
    forest: Forest
    tools: list[ActionRecord]
    models: list[ModelCall]
    acts: dict[Kind, list[ActionRecord]]
    captured: bool
    partly_dark: str
    """Which model calls do not, where only some do."""
    evidence: bool
    """Whether a tool call would show in this trace."""
    turns: int
    speech: list[Speech]
    mixed: list[str] = field(default_factory=list[str])
    """The ids of its conversations, where they are several."""

    @property
    def trace(self) -> Trace:
        return self.reading.trace

    @property
    def duration(self) -> float | None:
        """Seconds from the first start to the last end."""
        ends = [span.end_ns for span in self.forest.spans if span.end_ns is not None]
        starts = [span.start_ns for span in self.forest.spans if span.start_ns]
        return (max(ends) - min(starts)) / 1e9 if ends and starts else None

    def answers(self) -> dict[int, ModelCall]:
        """The last thing that a model said in each turn without asking for a tool."""
        found: dict[int, ModelCall] = {}
        for call in self.models:
            if call.text and not call.asks:
                found[call.turn] = call
        if not found and not self.models:
            return self._of_agents()
        return found

    def _of_agents(self) -> dict[int, ModelCall]:
        """Where no model call is recorded, what the outermost agents gave back."""
        forest = self.forest
        agents = [node for node in forest.children(-1) if forest.views[node].kind in _AGENTS]
        texts = [(node, _text(forest.views[node])) for node in agents]
        return {
            turn: ModelCall(node, forest.spans[node], forest.views[node], turn, text, asks=False)
            for turn, (node, text) in enumerate(texts, 1)
            if text
        }

    @property
    def silent(self) -> list[ModelCall]:
        """The model calls that did not fail, and of which nobody recorded the answer."""
        return [
            call for call in self.models
            if not call.text and not call.asks and call.view.error is None and call.view.output_tokens != 0
        ]  # fmt: skip


_AGENTS = (Kind.AGENT, Kind.CHAIN, Kind.TURN)


def _text(view: View) -> str | None:
    """What a span gave back, as text."""
    said = contents.said(view.output)
    if not said and isinstance(view.output_value, str):
        return view.output_value
    return said


def tell(source: Trace | TraceReading) -> Story:
    """Retell a trace."""
    reading = TraceReading.of(source)
    spans, origin = reading.spans, reading.origin
    forest = plant(spans, [view for _, view in reading])
    node_of = {span.span_id: node for node, span in enumerate(forest.spans)}
    models = _models(reading.llm_calls, node_of)
    _as_said(models, forest)
    moments = [call.span.start_ns for call in models]
    tools = [_act(call, node_of, models, moments, origin) for call in reading.tool_calls]
    if not models:
        _batches_by_time(tools, reading.tool_calls)
    return Story(
        reading=reading,
        forest=forest,
        tools=_folded(tools),
        models=models,
        acts=_acts(forest, models, moments),
        captured=any(call.view.input is not None or call.view.output is not None for call in models),
        partly_dark=reading.evidence.content.why_not,
        evidence=bool(reading.evidence.tools),
        turns=max((call.turn for call in models), default=0),
        speech=_speech(forest, origin),
        mixed=several(reading),
    )


def _models(calls: list[tuple[Span, View]], node_of: dict[str, int]) -> list[ModelCall]:
    """Turns are counted by the caller's messages so far; an inner agent's shorter history counts none."""
    found: list[ModelCall] = []
    turn = 0
    for span, view in calls:
        heard = sum(1 for message in view.input or () if message.role == "user" and message.text.strip())
        turn = max(turn, heard)
        text = _text(view)
        asks = any(message.tool_calls for message in view.output or ())
        found.append(ModelCall(node_of[span.span_id], span, view, turn, text, asks))
    return found


def _as_said(models: list[ModelCall], forest: Forest) -> None:
    """What the caller got is what the agent's own span says that it answered: its code may have changed what
    the model said. Only the last answer below an agent is its answer."""
    last: dict[int, ModelCall] = {}
    for call in models:
        if call.text and not call.asks:
            node = forest.parent[call.node]
            while node >= 0:
                if forest.views[node].kind is Kind.AGENT:
                    last[node] = call
                node = forest.parent[node]
    for node, call in last.items():
        text = contents.said(forest.views[node].output)
        if text:
            call.text = text


def _act(
    call: ToolCall, node_of: dict[str, int], models: list[ModelCall], moments: list[int], origin: int
) -> ActionRecord:
    moment = origin + round((call.start or 0.0) * 1e9)
    batch = bisect_right(moments, moment)
    return ActionRecord(
        name=call.name,
        node=node_of.get(call.span_id or "", -1),
        arguments=_known(call.arguments),
        result=_known(call.result),
        result_known=not isinstance(call.result, Unknown),
        error=call.error,
        turn=models[batch - 1].turn if batch else None,
        batch=batch,
        spans=[call.span_id] if call.span_id else [],
    )


def _known(fact: Any) -> Any:
    """A plain value; None where nobody told it."""
    return None if isinstance(fact, Unknown) else contents.plain(fact)


def _batches_by_time(tools: list[ActionRecord], calls: list[ToolCall]) -> None:
    """Without model calls, calls that overlap in time are taken as asked for together."""
    batch, until = 0, float("-inf")
    for act, call in zip(tools, calls, strict=True):
        start = call.start or 0.0
        if start >= until:
            batch += 1
        until = max(until, call.end if call.end is not None else start)
        act.batch = batch


def _folded(tools: list[ActionRecord]) -> list[ActionRecord]:
    """A call repeated because it failed is one call that took several attempts."""
    told: list[ActionRecord] = []
    for act in tools:
        before = told[-1] if told else None
        if (
            before is not None
            and before.error is not None
            and ToolName(before.name).matches(act.name)
            and contents.same(before.arguments, act.arguments)
        ):
            act.attempts = before.attempts + 1
            act.spans = before.spans + act.spans
            told[-1] = act
        else:
            told.append(act)
    return told


def _acts(forest: Forest, models: list[ModelCall], moments: list[int]) -> dict[Kind, list[ActionRecord]]:
    """Retrievals, handoffs, agents and guardrails in the order of their start."""
    found: dict[Kind, list[ActionRecord]] = {kind: [] for kind in _TOLD}
    for node in sorted(range(len(forest)), key=lambda node: forest.spans[node].start_ns):
        view, span = forest.views[node], forest.spans[node]
        read = _TOLD.get(view.kind)
        if read is None:
            continue
        name, arguments, result = read(span, view)
        if not name:
            # an agent that does not say its name is not another one than one that does
            continue
        batch = bisect_right(moments, span.start_ns)
        turn = models[batch - 1].turn if batch else None
        found[view.kind].append(
            ActionRecord(
                name, node, arguments, result, error=view.error, turn=turn, batch=batch, spans=[span.span_id]
            )
        )
    return found


def _retrieval(span: Span, view: View) -> tuple[str, Any, Any]:
    return span.name, view.query or view.input_value, _documents(view)


def _documents(view: View) -> Any:
    if view.documents is None:
        return contents.plain(view.output_value)
    return [document.get("id") or document.get("content") for document in view.documents]


def _handoff(span: Span, view: View) -> tuple[str, Any, Any]:
    return view.handoff_to or span.name, view.handoff_from, None


def _agent(_: Span, view: View) -> tuple[str, Any, Any]:
    return view.agent_name or "", None, None


def _guardrail(span: Span, view: View) -> tuple[str, Any, Any]:
    return span.name, None, contents.plain(view.output_value)


_TOLD = {
    Kind.RETRIEVER: _retrieval,
    Kind.HANDOFF: _handoff,
    Kind.AGENT: _agent,
    Kind.GUARDRAIL: _guardrail,
}


def _speech(forest: Forest, origin: int) -> list[Speech]:
    """Who spoke when. A span inside another that tells the same words is the same speech."""
    found: list[Speech] = []
    last: dict[str, tuple[int, str]] = {}
    for node, view in enumerate(forest.views):
        if not view.voice:
            continue
        start = (forest.spans[node].start_ns - origin) / 1e9
        for speaker, key in (("caller", "transcript"), ("agent", "text")):
            words = view.voice.get(key)
            if not isinstance(words, str) or not words.strip():
                continue
            holder, before = last.get(speaker, (-1, ""))
            plain = contents.plain_text(words)
            inside = 0 <= holder < node < holder + forest.size[holder]
            if inside and (plain in before or before in plain):
                continue
            last[speaker] = (node, plain)
            found.append(Speech(speaker, words, start, node, view.voice.get("interrupted")))
    found += _wordless(forest, origin, sorted(speech.node for speech in found))
    found.sort(key=lambda speech: speech.start)
    return found


_SPEAKERS = {"user": "caller", "caller": "caller", "human": "caller", "agent": "agent", "assistant": "agent"}


def _wordless(forest: Forest, origin: int, told: list[int]) -> list[Speech]:
    """Turns that say whose they are, where neither they nor what is inside them say the words."""
    found: list[Speech] = []
    for node, view in enumerate(forest.views):
        speaker = _SPEAKERS.get(str(view.voice.get("speaker")).lower()) if view.voice else None
        if speaker is None or view.kind is not Kind.TURN:
            continue
        inside = bisect_left(told, node + forest.size[node]) - bisect_left(told, node)
        if not inside:
            start = (forest.spans[node].start_ns - origin) / 1e9
            found.append(Speech(speaker, None, start, node, view.voice.get("interrupted")))
    return found
