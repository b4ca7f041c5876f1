"""The tool calls of a trace: what was asked for, what ran and what was answered, put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

from simulate.trace.reading.facts import Unknown
from simulate.trace.reading.messages import arguments_of
from simulate.trace.reading.model_calls import ViewOf
from simulate.trace.reading.nesting import Above
from simulate.trace.reading.tool_call import Answered, Arguments, Asked, Ran, ToolCall
from simulate.trace.reading.tool_name import ToolName
from simulate.trace.span import Kind, Message, Span, View


class _Calls:
    """The calls found so far, to be found again by id and by name in traces of any length."""

    def __init__(self) -> None:
        self.all: list[ToolCall] = []
        self._by_id: dict[str, list[ToolCall]] = defaultdict(list)
        self._by_name: dict[str, list[ToolCall]] = defaultdict(list)

    def add(self, call: ToolCall, *, free: bool) -> None:
        """``free``: no message has been found yet that asked for it."""
        self.all.append(call)
        self.known_as(call, call.call_id)
        if free:
            self._by_name[call.name.bare].append(call)

    def known_as(self, call: ToolCall, call_id: str | None) -> None:
        """The call has this id."""
        call.call_id = call.call_id or call_id
        if call_id is not None and all(one is not call for one in self._by_id[call_id]):
            self._by_id[call_id].append(call)

    def of_id(self, call_id: str | None, name: ToolName | None = None) -> ToolCall | None:
        """The call of this id; of this name too, where one is given."""
        found = self._by_id.get(call_id or "", [])
        return next((call for call in found if name is None or name.matches(call.name)), None)

    def take(self, name: ToolName, asked: dict[str, Any], call_id: str | None) -> ToolCall | None:
        """A free call of this tool: one with the same arguments, else one whose arguments nobody told."""
        queue = self._by_name.get(name.bare, [])
        free = [call for call in queue if call.call_id is None or call_id is None]
        found = next((call for call in free if call.arguments == asked), None)
        if found is None:
            found = next((call for call in free if isinstance(call.arguments, Unknown) or not asked), None)
        if found is not None:
            self.taken(found)
        return found

    def taken(self, call: ToolCall) -> None:
        """The message that asked for it is found."""
        queue = self._by_name.get(call.name.bare, [])
        place = next((index for index, one in enumerate(queue) if one is call), None)
        if place is not None:
            del queue[place]


def tool_calls(
    spans: Sequence[Span], by_id: Mapping[str, Span], view: ViewOf, models: Sequence[tuple[Span, View]]
) -> list[ToolCall]:
    """The agent's tool calls in the order in which they began, each once."""
    origin = min((span.start_ns for span in spans), default=0)
    calls = _from_spans(spans, by_id, view, origin)
    _add_from_messages(calls, models, origin)
    return sorted(calls.all, key=lambda call: call.start if call.start is not None else 0.0)


def _from_spans(spans: Sequence[Span], by_id: Mapping[str, Span], view: ViewOf, origin: int) -> _Calls:
    above = Above(by_id, lambda span: view(span).kind is Kind.TOOL)
    calls = _Calls()
    by_span: dict[str, ToolCall] = {}
    for span in sorted(spans, key=lambda span: span.start_ns):
        one = view(span)
        if one.kind is not Kind.TOOL:
            continue
        name = ToolName(one.tool_name or span.name)
        call = _same(name, one.tool_call_id, span, above, by_span, calls)
        if call is None:
            end = None if span.end_ns is None else (span.end_ns - origin) / 1e9
            ran = Ran(_untold(span, "arguments"), [], (span.start_ns - origin) / 1e9, end)
            answered = Answered(_untold(span, "result"), None, span.span_id)
            call = ToolCall(name, one.tool_call_id, ran=ran, answered=answered)
            calls.add(call, free=True)
        by_span[span.span_id] = call
        _tell(call, span, one)
        calls.known_as(call, one.tool_call_id)
    return calls


def _tell(call: ToolCall, span: Span, view: View) -> None:
    """What one more span says of a call that ran."""
    ran, answered = cast("Ran", call.ran), cast("Answered", call.answered)
    ran.span_ids.append(span.span_id)
    if view.tool_arguments is not None and (isinstance(ran.arguments, Unknown) or not ran.arguments):
        ran.arguments = _arguments(view.tool_arguments)
    if view.tool_result is not None and isinstance(answered.result, Unknown):
        answered.result = view.tool_result
    answered.error = answered.error or view.error


def _untold(span: Span, what: str) -> Unknown:
    return Unknown(f"the span {span.span_id} ({span.name}) has no gen_ai.tool.call.{what}")


def _same(
    name: ToolName,
    call_id: str | None,
    span: Span,
    above: Above,
    by_span: dict[str, ToolCall],
    calls: _Calls,
) -> ToolCall | None:
    """The call that this tool span tells of once more: an enclosing one of the same tool, or of the same
    id."""
    passed = {span.span_id}
    parent = above.of(span)
    while parent is not None and parent.span_id not in passed:
        call = by_span.get(parent.span_id)
        if call is not None:
            return call if name.matches(call.name) else None
        passed.add(parent.span_id)
        parent = above.of(parent)
    return calls.of_id(call_id, name)


def _arguments(value: Any) -> Arguments:
    value = arguments_of(value)
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    return {"input": value}


def _add_from_messages(calls: _Calls, models: Sequence[tuple[Span, View]], origin: int) -> None:
    results = _results(models)
    for span, one in models:
        for message in one.output or ():
            for part in message.tool_calls:
                if part.get("name") is not None:
                    call = _asked(part, span, calls, origin)
                    if isinstance(call.result, Unknown) and call.call_id in results:
                        answered = call.answered or Answered(None)
                        answered.result, answered.span_id = results[call.call_id]
                        call.answered = answered


def _asked(part: dict[str, Any], span: Span, calls: _Calls, origin: int) -> ToolCall:
    """The call that this part of a model's answer asks for, new or already known from its span."""
    call_id = None if part.get("id") is None else str(part["id"])
    name = ToolName(str(part["name"]))
    arguments = cast("dict[str, Any]", _arguments(part.get("arguments")))
    asked = Asked(arguments, span.span_id, ((span.end_ns or span.start_ns) - origin) / 1e9)
    call = calls.of_id(call_id)
    if call is not None:
        calls.taken(call)
    else:
        call = calls.take(name, arguments, call_id)
    if call is None:
        call = ToolCall(name, call_id)
        calls.add(call, free=False)
    call.asked = asked
    ran = call.ran
    if ran is not None and not isinstance(ran.arguments, Unknown) and ran.arguments.keys() == {"input"}:
        ran.arguments = arguments
    calls.known_as(call, call_id)
    return call


def _results(models: Sequence[tuple[Span, View]]) -> dict[str | None, tuple[Any, str]]:
    found: dict[str | None, tuple[Any, str]] = {}
    for span, one in models:
        for part in _parts(one.input, "tool_call_response"):
            if part.get("id") is not None:
                found[str(part["id"])] = (part.get("response", part.get("result")), span.span_id)
    return found


def _parts(messages: list[Message] | None, kind: str) -> list[dict[str, Any]]:
    return [part for message in messages or () for part in message.parts if part.get("type") == kind]
