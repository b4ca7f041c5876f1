"""The conversation of a trace: what was said, and what the agent had at hand when it answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from simulate.model.transcript import Conversation, Speaker
from simulate.trace.reading import Retrieval, ToolCall, TraceReading, Unknown
from simulate.trace.span import Kind, Message, Span, View

_PLAIN = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def shown(name: str, arguments: object) -> str:
    """A call as a person would write it."""
    return f"{name}({'…' if isinstance(arguments, Unknown) else plain(arguments)})"


def plain(value: object) -> str:
    """As JSON with sorted keys, whatever it is: equal for equal values."""
    try:
        return orjson.dumps(value, option=_PLAIN, default=str).decode()
    except (orjson.JSONEncodeError, UnicodeDecodeError):
        # numbers beyond 64 bits, lone surrogates
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


_TELLING = (Kind.CONVERSATION, Kind.TURN, Kind.AGENT, Kind.WORKFLOW, Kind.CHAIN)
"""Spans that may hold what was asked and answered where no model call does."""


@dataclass(slots=True)
class TraceUtterance:
    """One thing said. ``span_id`` is None for what only the history of a model call tells; ``at_ns`` is when
    it was complete."""

    speaker: Speaker
    text: str
    turn: int
    span_id: str | None = None
    at_ns: int | None = None
    told: bool = False
    """Whether it belongs to the past: told by a history, not said in this trace."""


@dataclass
class AgentAnswer:
    """Something that the agent said, what it answers, and what the agent had at hand, worked out late."""

    text: str
    turn: int
    span_id: str | None
    at: int
    """Its place in what was said."""
    said: Sequence[TraceUtterance]
    searches: Sequence[Retrieval]
    calls: Sequence[ToolCall]
    origin: int

    @property
    def asked(self) -> str | None:
        """The caller's last words before it."""
        return next((one.text for one in reversed(self.said[: self.at]) if one.speaker == "caller"), None)

    @property
    def before(self) -> list[TraceUtterance]:
        """Everything said before it."""
        return list(self.said[: self.at])

    @cached_property
    def documents(self) -> list[dict[str, Any]]:
        """What was found before it, each once."""
        until = self.said[self.at].at_ns
        found = [
            document
            for search in self.searches
            if until is None or search.span.start_ns <= until
            for document in search.documents
        ]
        return _once(found)

    @cached_property
    def results(self) -> list[ToolCall]:
        """The tool calls before it."""
        return [call for call in self.calls if _before(call, self.said[self.at], self.origin)]

    @property
    def context(self) -> list[dict[str, Any]]:
        """Documents and tool results as plain data, for a judge."""
        found: list[dict[str, Any]] = [
            {key: one[key] for key in ("id", "content") if one.get(key) is not None} for one in self.documents
        ]
        found += [
            {key: value for key, value in call.told().items() if key != "error" or value is not None}
            for call in self.results
            if call.error is not None or not (isinstance(call.result, Unknown) or call.result is None)
        ]
        return found


def from_conversation(conversation: Conversation) -> list[TraceUtterance]:
    """What was said in a run; noise, keys and silence left out."""
    return [
        TraceUtterance(
            one.speaker, one.received, one.turn, one.span_id, conversation.started_ns + int(one.end * 1e9)
        )
        for one in conversation.utterances
        if one.kind == "speech" and one.text.strip()
    ]


def from_reading(reading: TraceReading) -> list[TraceUtterance]:
    """What the spans tell: the model calls of the agent itself, or failing these its outer spans."""
    inner = _inside_tools(reading)
    calls = [(span, view) for span, view in reading.llm_calls if span.span_id not in inner]
    said = _from_models(calls)
    return said if any(one.speaker == "agent" for one in said) else _from_outer(reading)


def _inside_tools(reading: TraceReading) -> set[str]:
    """Ids of the spans below a tool: what a model says there, it says to the agent and not to the caller."""
    seen = reading.views
    parents = {span.span_id: span.parent_id for span in reading.spans}
    known: dict[str, bool] = {}
    for start in parents:
        path: list[str] = []
        current: str | None = start
        inside = False
        while current is not None and current in parents and current not in known:
            known[current] = False  # also ends the walk on a circle
            path.append(current)
            current = parents[current]
        above = current if current in known else None
        for span_id in reversed(path):
            inside = above is not None and (known[above] or seen[above].kind is Kind.TOOL)
            known[span_id] = inside
            above = span_id
    return {span_id for span_id, inside in known.items() if inside}


def _from_models(calls: Sequence[tuple[Span, View]]) -> list[TraceUtterance]:
    """Turns are counted by the caller's messages; of each turn the last thing that a model said without
    asking for a tool is the answer (before it, a planner or a router may have spoken)."""
    said: list[TraceUtterance] = []
    turn, heard = 0, list[str]()
    answer: TraceUtterance | None = None
    for span, view in calls:
        users = [one.text for one in view.input or () if one.role == "user" and one.text.strip()]
        new = _new(users, heard)
        if new:
            if answer is not None:
                said.append(answer)
                answer = None
            if not heard:
                said += _history(view.input or [], len(users) - 1)
                turn = sum(1 for one in said if one.speaker == "caller")
            heard += new
            for text in new[-1:] if not said or len(new) == len(users) else new:
                turn += 1
                said.append(TraceUtterance("caller", text, turn, span.span_id, span.start_ns))
        text = "".join(one.text for one in view.output or ()).strip()
        asks = any(one.tool_calls for one in view.output or ())
        if text and not asks:
            answer = TraceUtterance("agent", text, turn, span.span_id, span.end_ns or span.start_ns)
    return said if answer is None else [*said, answer]


def _new(users: list[str], heard: list[str]) -> list[str]:
    """What the caller said since the last call: the history grew, or a message came that none has heard."""
    if len(users) > len(heard):
        return users[len(heard) :] if users[: len(heard)] == heard else users[-1:]
    return users[-1:] if users and users[-1] not in heard else []


def _history(messages: Sequence[Message], last: int) -> list[TraceUtterance]:
    """What the first model call tells of the past: all before the caller's last message."""
    past: list[TraceUtterance] = []
    turn = 0
    for message in messages:
        if not message.text.strip():
            continue
        if message.role == "user":
            if turn == last:
                break
            turn += 1
            past.append(TraceUtterance("caller", message.text, turn, told=True))
        elif message.role == "assistant" and not message.tool_calls:
            past.append(TraceUtterance("agent", message.text, turn, told=True))
    return past


def _from_outer(reading: TraceReading) -> list[TraceUtterance]:
    """What the outermost spans tell that hold what was asked and answered."""
    spans, seen = reading.by_id, reading.views
    telling = {
        span.span_id: _exchange(view)
        for span, view in reading
        if view.kind in _TELLING or span.parent_id not in spans
    }
    agents = [span_id for span_id in telling if seen[span_id].kind in (Kind.AGENT, Kind.TURN)]
    chosen = [one for one in agents if telling[one][1]] or [one for one in telling if telling[one][1]]
    taken = set(chosen)
    said: list[TraceUtterance] = []
    turn = 0
    for span in sorted((spans[one] for one in chosen), key=lambda span: span.start_ns):
        if _below(span, taken, spans):
            continue
        asked, answered = telling[span.span_id]
        turn += 1
        if asked:
            said.append(TraceUtterance("caller", asked, turn, span.span_id, span.start_ns))
        said.append(TraceUtterance("agent", answered, turn, span.span_id, span.end_ns or span.start_ns))
    return said


def _below(span: Span, taken: set[str], spans: dict[str, Span]) -> bool:
    passed = {span.span_id}
    parent = spans.get(span.parent_id or "")
    while parent is not None and parent.span_id not in passed:
        if parent.span_id in taken:
            return True
        passed.add(parent.span_id)
        parent = spans.get(parent.parent_id or "")
    return False


def _exchange(view: View) -> tuple[str, str]:
    """What was asked last and what was answered."""
    users = [one.text for one in view.input or () if one.role == "user" and one.text.strip()]
    asked = users[-1] if users else view.input_value if isinstance(view.input_value, str) else ""
    texts = [one.text for one in view.output or () if one.text.strip()]
    answered = "".join(texts[-1:]) or (view.output_value if isinstance(view.output_value, str) else "")
    return asked.strip(), answered.strip()


def answers(
    said: Sequence[TraceUtterance], retrievals: Sequence[Retrieval], calls: Sequence[ToolCall], origin: int
) -> list[AgentAnswer]:
    """The agent's words in this trace, each with what came before it."""
    return [
        AgentAnswer(one.text, one.turn, one.span_id, at, said, retrievals, calls, origin)
        for at, one in enumerate(said)
        if one.speaker == "agent" and not one.told
    ]


def said_before(said: Sequence[TraceUtterance], call: ToolCall, origin: int) -> list[TraceUtterance]:
    """What was said before a call was made: all until the agent's first words after it. When the caller said
    something is often told only by a later model call."""
    found: list[TraceUtterance] = []
    for one in said:
        if one.speaker == "agent" and not one.told and _before(call, one, origin):
            break
        found.append(one)
    return found


def _before(call: ToolCall, said: TraceUtterance, origin: int) -> bool:
    if call.start is not None and said.at_ns is not None:
        # a call that the answer's own message asked for begins when that message ends
        return origin + int(call.start * 1e9) < said.at_ns
    return call.turn is None or call.turn <= said.turn


def _once(documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: dict[str, dict[str, Any]] = {}
    for one in documents:
        kept.setdefault(repr((one.get("id"), one.get("content"))), one)
    return list(kept.values())
