"""Calls that stand only in what an agent or a step of a chain kept of the conversation: LangGraph's state,
CrewAI's output, pydantic-ai's messages. No model call and no tool tells of them: spans are missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from simulate.model.shapes import is_list, is_object
from simulate.trace.reading.hidden import hidden
from simulate.trace.reading.messages import messages
from simulate.trace.reading.model_calls import ModelCall
from simulate.trace.reading.tool_call import ToolCall
from simulate.trace.reading.tool_name import ToolName
from simulate.trace.reading.tool_pairing import HANDOFF
from simulate.trace.reading.values import decoded, loose
from simulate.trace.span import Kind, Message, Span, View

_KEEPERS = frozenset({Kind.AGENT, Kind.CHAIN, Kind.WORKFLOW, Kind.CONVERSATION, Kind.TURN, Kind.UNKNOWN})
_MESSAGE = frozenset({"role", "tool_calls", "toolCalls", "lc", "parts", "part_kind"})
_KINDS = frozenset({"human", "ai", "tool", "system", "tool_call", "function_call", "tool_use"})
_DEEPEST = 8
_ACTION = re.compile(r"^Action:[ \t]*(?P<name>[\w.-]+)[ \t]*\nAction Input:", re.MULTILINE)
"""How an agent of ReAct's asks for a tool."""


@dataclass(frozen=True, slots=True)
class _KeptMessage:
    """What matters of one message."""

    by_caller: bool
    asked: tuple[tuple[ToolName, str, Any], ...]
    """Name, identity and arguments of each request."""


def kept_call(
    read: Iterable[tuple[Span, View]], calls: Callable[[], Sequence[ToolCall]], models: Sequence[ModelCall]
) -> str | None:
    """Why there may be calls beside these: a span keeps more requests for a tool in a turn than are known.
    The calls are asked for only where a span keeps any."""
    known: list[Counter[ToolName]] | None = None
    seen: dict[bytes, list[_KeptMessage]] = {}
    for span, view in read:
        if view.kind not in _KEEPERS:
            continue
        for kept in _conversations_of(view, seen):
            asked = _asked(kept)
            if not asked:
                continue
            known = _known(calls(), models) if known is None else known
            name = next((name for name, count in asked.items() if count > _most(known, name)), None)
            if name is not None and not _answers(kept, name, view, models):
                where = f"the span {span.span_id} ({span.name})"
                return f"{where} keeps a call of {name.bare} that no other span tells"
    return None


def told_of_call(name: str, count: int, models: Sequence[ModelCall]) -> str | None:
    """Why there may be more calls of a tool than ``count`` and those that models asked for: one was told of
    more in the turn that it answered."""
    tool = ToolName(name)
    known = max(count, sum(_most([_asked(_lines(view.output))], tool) for _, view in models))
    told = (span for span, view in models if _most([_asked(_lines(view.input))], tool) > known)
    first = next(told, None)
    return None if first is None else _told_of(first, name)


def told_of_more(calls: Sequence[ToolCall], models: Sequence[ModelCall]) -> str | None:
    """The same for every tool: ``calls`` are not all that was done in the turns of these model calls."""
    known = _told(calls, models)
    for span, view in models:
        for name, count in _asked(_lines(view.input)).items():
            if count > _most(known, name):
                return _told_of(span, name.bare)
    return None


def _told_of(span: Span, name: str) -> str:
    return f"the model of the LLM span {span.span_id} was told of a call of {name} that no span tells"


def _answers(kept: Sequence[_KeptMessage], name: str, view: View, models: Sequence[ModelCall]) -> bool:
    """Whether all calls of that name are answers in the shape of a call: what came of the agent's run, or
    what a model said."""
    said = [view.output_value]
    said += [loose(message.text) for _, model in models for message in model.output or ()]
    return all(
        loose(arguments) in said for line in kept for called, _, arguments in line.asked if called == name
    )


def _known(calls: Sequence[ToolCall], models: Sequence[ModelCall]) -> list[Counter[ToolName]]:
    """By tool, how many calls each telling has: that of the tools, of the model calls, and of each history,
    since a turn may have begun in another trace."""
    return [*_told(calls, models), *(_asked(_lines(view.input)) for _, view in models)]


def _told(calls: Sequence[ToolCall], models: Sequence[ModelCall]) -> list[Counter[ToolName]]:
    asked = sum((_asked(_lines(view.output)) for _, view in models), Counter[ToolName]())
    return [Counter(call.name for call in calls), asked]


def _most(told: Iterable[Counter[ToolName]], name: ToolName) -> int:
    """The most calls of that tool that one telling has, in whatever way it spells the name."""
    counts = (sum(count for other, count in one.items() if name.matches(other)) for one in told)
    return max(counts, default=0)


def _asked(lines: Sequence[_KeptMessage]) -> Counter[ToolName]:
    """By tool, how many requests stand after the last words of the caller, each once."""
    asked = set[tuple[ToolName, str]]()
    for line in reversed(lines):
        if line.by_caller:
            break
        asked.update((name, identity) for name, identity, _ in line.asked)
    return Counter(name for name, _ in asked)


def _lines(told: Sequence[Message] | None) -> list[_KeptMessage]:
    return [
        _KeptMessage(each.role == "user" and bool(each.text), tuple(_requests(each))) for each in told or ()
    ]


def _requests(message: Message) -> Iterator[tuple[ToolName, str, Any]]:
    for part in message.tool_calls:
        if part.get("name") is None or part.get("runs") is False:
            continue
        name, arguments = ToolName(str(part["name"])), part.get("arguments")
        if not HANDOFF.match(name.bare):  # frameworks write hand-overs into a history that no model asked for
            yield name, str(part.get("id") or loose(arguments)), arguments
    if message.role == "assistant":
        for found in _ACTION.finditer(message.text):
            yield ToolName(found["name"]), message.text, None


def _conversations_of(view: View, seen: dict[bytes, list[_KeptMessage]]) -> Iterator[Sequence[_KeptMessage]]:
    if view.kind is Kind.AGENT:
        yield _lines(view.input)
    yield _lines(view.output)
    yield from _conversations(view.output_value, seen)


def _conversations(
    value: Any, seen: dict[bytes, list[_KeptMessage]], depth: int = 0
) -> Iterator[Sequence[_KeptMessage]]:
    """The lists of messages in a value, however deep."""
    value = decoded(value)
    if depth > _DEEPEST or hidden(value):
        return
    if is_list(value) and any(map(_is_message, value)):
        yield [line for each in value for line in _lines_of(each, seen)]
    elif _is_message(value):
        yield _lines_of(value, seen)
    elif is_list(value) or is_object(value):
        for part in value.values() if is_object(value) else value:
            yield from _conversations(part, seen, depth + 1)


def _lines_of(message: Any, seen: dict[bytes, list[_KeptMessage]]) -> list[_KeptMessage]:
    """The lines of one message, read once however many steps keep it."""
    try:
        written = orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:  # half of an emoji, or a number beyond 64 bits
        return _read(message)
    if written not in seen:
        seen[written] = _read(message)
    return seen[written]


def _read(message: Any) -> list[_KeptMessage]:
    try:
        return _lines(messages(message, "user"))
    except RecursionError:
        return []  # nested deeper than anybody would mean it


def _is_message(value: Any) -> bool:
    if not is_object(value):
        return False
    kind = value.get("type")  # a list in JSON schemas
    return not _MESSAGE.isdisjoint(value) or (isinstance(kind, str) and kind in _KINDS)
