"""The tool calls in the messages that a model was told: each request with the answer that follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from simulate.model.shapes import is_list, is_object
from simulate.trace.reading.facts import Fact, Unknown
from simulate.trace.reading.hidden import hidden
from simulate.trace.reading.parts import Part, arguments_of
from simulate.trace.reading.tool_call import Answered, Arguments
from simulate.trace.reading.tool_name import ToolName
from simulate.trace.reading.values import cut_off, loose
from simulate.trace.span import Message, Span


class _Named(Protocol):
    @property
    def name(self) -> ToolName: ...


W = TypeVar("W", bound=_Named)


@dataclass(slots=True, eq=False)
class RepeatedRequest:
    """A request that a history repeats, at message ``at`` of ``messages``."""

    part: Part
    name: ToolName
    call_id: str | None
    arguments: Arguments
    at: int
    messages: Sequence[Message]
    answer: Part | None = None


class History:
    """The requests in the messages that a model was told, each with the answer that follows it."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.asked: list[RepeatedRequest] = []
        self.answers: list[Part] = []
        """Those to requests that the messages do not repeat."""
        self._messages = messages
        armed: list[RepeatedRequest] = []
        for at, message in enumerate(messages):
            for part in message.parts:
                kind = part.get("type")
                if kind == "tool_call" and part.get("name") is not None:
                    name = ToolName(str(part["name"]))
                    one = RepeatedRequest(
                        part, name, call_id_of(part), arguments_asked(part.get("arguments")), at, messages
                    )
                    armed.append(one)
                    self.asked.append(one)
                elif kind == "tool_call_response":
                    one = _answered_by(part, armed)
                    if one is None:
                        self.answers.append(part)
                    else:
                        one.answer = part
                        armed.remove(one)

    def went_on_after(self, asked: RepeatedRequest) -> bool:
        """Whether the model spoke again after it was not answered."""
        return any(message.role == "assistant" for message in self._messages[asked.at + 1 :])


def _answered_by(part: Part, armed: Sequence[RepeatedRequest]) -> RepeatedRequest | None:
    """The first request that waits for this answer: by id, by name, or where neither tells, by order."""
    call_id, name = call_id_of(part), part.get("name")
    if call_id is not None:
        same = [one for one in armed if one.call_id == call_id]
        if same or any(one.call_id is not None for one in armed):
            return first_waiting(same, name)
    return first_waiting(armed, name)


def answered(part: Part, told: Span) -> Answered:
    """What a message says that a tool answered; ``told`` is the span of the model call that got it."""
    if part.get("untold") is True:
        untold: Fact[Any] = Unknown(f"the span {told.span_id} tells that it ran, and not what came of it")
        return Answered(untold, None, told.span_id)
    result: Fact[Any] = loose(part.get("response", part.get("result")))
    if cut_off(result) or hidden(result):
        how = "hidden" if hidden(result) else "cut off"
        result = Unknown(f"what the span {told.span_id} was told of its result is {how}", recorded=True)
    failed = None
    if part.get("is_error") is True:
        failed = str("" if isinstance(result, Unknown) else result) or "the tool failed"
    return Answered(result, failed, told.span_id)


def first_waiting(waiting: Sequence[W], name: Any) -> W | None:
    """The first of that name; the first of all where none has it."""
    named = [one for one in waiting if name is not None and one.name.matches(str(name))]
    return next(iter(named or waiting), None)


def call_id_of(part: Part) -> str | None:
    """A call's id as a text; some give a list of one."""
    value = part.get("id")
    if is_list(value):
        value = next(iter(value), None)
    return None if value is None or value == "" else str(value)


def arguments_asked(value: Any) -> Arguments:
    """The arguments of a call that a message tells."""
    if value is None:
        return Unknown("a message tells the call and not its arguments")
    value = arguments_of(value)
    if cut_off(value) or hidden(value):
        how = "hidden" if hidden(value) else "cut off"
        return Unknown(f"a message tells its arguments, and they are {how}", recorded=True)
    return value if is_object(value) else {"input": value}
