"""Calls that stand only in what an agent or a step of a chain kept of the conversation: LangGraph's state,
CrewAI's output, pydantic-ai's messages. No model call and no tool tells of them: spans are missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from simulate.model.shapes import is_list, is_object
from simulate.trace.reading.hidden import hidden
from simulate.trace.reading.messages import incoming
from simulate.trace.reading.model_calls import ModelCall
from simulate.trace.reading.parts import Part
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


def kept_call(
    read: Iterable[tuple[Span, View]], calls: Sequence[ToolCall], models: Sequence[ModelCall]
) -> str | None:
    """Why there may be calls beside these: a span keeps more requests for a tool in a turn than are known."""
    known: Counter[str] | None = None
    for span, view in read:
        if view.kind not in _KEEPERS:
            continue
        for kept in _conversations_of(view):
            asked = _asked(kept)
            if not asked:
                continue
            known = _known(calls, models) if known is None else known
            name = next((name for name, count in asked.items() if count > known[name]), None)
            if name is not None and not _answers(kept, name, view, models):
                return (
                    f"the span {span.span_id} ({span.name}) keeps a call of {name} that no other span tells"
                )
    return None


def told_of_call(name: str, count: int, models: Sequence[ModelCall]) -> str | None:
    """Why there may be more calls of a tool than ``count`` and those that models asked for: one was told of
    more in the turn that it answered."""
    bare = ToolName(name).bare
    known = max(count, sum(_asked(view.output or ())[bare] for _, view in models))
    told = (span for span, view in models if _asked(view.input or ())[bare] > known)
    first = next(told, None)
    if first is None:
        return None
    return f"the model of the LLM span {first.span_id} was told of a call of {name} that no span tells"


def _answers(kept: Sequence[Message], name: str, view: View, models: Sequence[ModelCall]) -> bool:
    """Whether all calls of that name are answers in the shape of a call: what came of the agent's run, or
    what a model said."""
    said = [view.output_value]
    said += [loose(message.text) for _, model in models for message in model.output or ()]
    parts = [part for message in kept for part in message.tool_calls if part.get("name") == name]
    return bool(parts) and all(loose(part.get("arguments")) in said for part in parts)


def _known(calls: Sequence[ToolCall], models: Sequence[ModelCall]) -> Counter[str]:
    """By tool, how many calls the model calls and tools tell of; those in a history, too, since a turn may
    have begun in another trace."""
    known = Counter(call.name.bare for call in calls)
    asked = Counter[str]()
    for _, view in models:
        asked += _asked(view.output or ())
    known |= asked
    for _, view in models:
        known |= _asked(view.input or ())
    return known


def _asked(messages: Sequence[Message]) -> Counter[str]:
    """By tool, how many requests stand after the last words of the caller, each once."""
    last = max(
        (at for at, message in enumerate(messages) if message.role == "user" and message.text), default=-1
    )
    asked = {
        (ToolName(name).bare, identity)
        for message in messages[last + 1 :]
        for name, identity in _requests(message)
    }
    return Counter(name for name, _ in asked)


def _requests(message: Message) -> Iterator[tuple[str, str]]:
    for part in message.tool_calls:
        name = part.get("name")
        # frameworks write hand-overs into a history that no model asked for
        if name is not None and part.get("runs") is not False and not HANDOFF.match(ToolName(str(name)).bare):
            yield str(name), _identity(part)
    if message.role == "assistant":
        for found in _ACTION.finditer(message.text):
            yield found["name"], message.text


def _identity(part: Part) -> str:
    return str(part.get("id") or loose(part.get("arguments")))


def _conversations_of(view: View) -> Iterator[Sequence[Message]]:
    if view.kind is Kind.AGENT:
        yield view.input or ()
    yield view.output or ()
    yield from _conversations(view.output_value)


def _conversations(value: Any, depth: int = 0) -> Iterator[Sequence[Message]]:
    """The lists of messages in a value, however deep."""
    value = decoded(value)
    if depth > _DEEPEST or hidden(value):
        return
    if is_list(value):
        if any(map(_is_message, value)):
            yield incoming(value) or ()
        else:
            for part in value:
                yield from _conversations(part, depth + 1)
    elif is_object(value):
        if _is_message(value):
            yield incoming([value]) or ()
        else:
            for part in value.values():
                yield from _conversations(part, depth + 1)


def _is_message(value: Any) -> bool:
    return is_object(value) and (not _MESSAGE.isdisjoint(value) or value.get("type") in _KINDS)
