"""Steps that an agent took, handed over while it runs, as what evaluators read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import orjson

from simulate.errors import InputError
from simulate.model.reference import ExpectedCall, Reference
from simulate.model.shapes import is_object
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.trace.reading import ToolCall
from simulate.trace.span import Span, Trace

TRACE_ID, SPAN_ID = "0" * 31 + "1", "0" * 15 + "1"
"""Of a trace that is never written: steps carry no ids."""
NAMES = ("name", "tool", "tool_name")
ARGUMENTS = ("arguments", "args", "parameters", "tool_input", "input")
RESULTS = ("result", "output", "observation", "tool_output")
EXPECTED = "a tool's name, a mapping with `name`, `arguments` and `result`, or an OpenAI message"


def context_of(
    trajectory: Iterable[Any],
    *,
    reference: Reference,
    expected: Sequence[Any] | None = None,
    user_input: str | None = None,
    final_output: str | None = None,
    documents: Sequence[str | Mapping[str, Any]] = (),
) -> EvaluationContext:
    """What evaluators read, made of the steps of an agent that still runs. Raises InputError for a step that
    is none."""
    calls: list[ToolUse] = []
    said: list[Utterance] = []
    for number, step in enumerate(trajectory, 1):
        _take(step, number, calls, said)
    if user_input is not None:
        said.insert(0, Utterance("caller", user_input, 1, 0.0, 0.0))
    if final_output is not None and not any(one.text == final_output for one in said[-1:]):
        said.append(Utterance("agent", final_output, max([1, *(one.turn for one in said)]), 0.0, 0.0))
    if expected is not None:
        tools = [_expected(one) for one in expected]
        reference = Reference.model_validate({**reference.model_dump(by_alias=True), "tools": tools})
    spans = [_search(documents)] if documents else []
    conversation = Conversation(TRACE_ID, utterances=said) if said else None
    return EvaluationContext(
        Trace(TRACE_ID, spans), reference, conversation, calls=[ToolCall.of(one) for one in calls]
    )


def _expected(one: Any) -> Any:
    if isinstance(one, ExpectedCall):
        return one.model_dump()
    return {"name": one} if isinstance(one, str) else one


def _search(documents: Sequence[str | Mapping[str, Any]]) -> Span:
    held = [{"content": one} if isinstance(one, str) else dict(one) for one in documents]
    attributes = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.retrieval.documents": orjson.dumps(held).decode(),
    }
    return Span(TRACE_ID, SPAN_ID, "retrieval", attributes=attributes)


def _take(step: Any, number: int, calls: list[ToolUse], said: list[Utterance]) -> None:
    if isinstance(step, str):
        calls.append(ToolUse(step, {}, arguments_known=False, result_known=False))
        return
    if isinstance(step, ToolCall):
        step = step.plain()
    if isinstance(step, ToolUse):
        calls.append(step)
        return
    fields = _fields(step)
    if "role" in fields:
        _message(fields, calls, said)
        return
    name = _first(fields, NAMES)
    if not isinstance(name, str):
        raise InputError(f"step {number} names no tool: {step!r:.80}", hint=f"a step is {EXPECTED}")
    calls.append(_call(name, fields, fields.get("error")))


def _fields(step: Any) -> Mapping[str, Any]:
    if isinstance(step, Mapping):
        return cast("Mapping[str, Any]", step)
    names = ("role", "content", "tool_calls", "tool_call_id", "error", *NAMES, *ARGUMENTS, *RESULTS)
    return {name: getattr(step, name) for name in names if hasattr(step, name)}


def _first(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _call(name: str, fields: Mapping[str, Any], error: Any = None) -> ToolUse:
    arguments = _decoded(_first(fields, ARGUMENTS))
    known = is_object(arguments)
    result_known = any(one in fields for one in RESULTS)
    return ToolUse(
        name,
        arguments if known else {},
        _first(fields, RESULTS),
        None if error is None else str(error),
        call_id=fields.get("id"),
        arguments_known=known,
        result_known=result_known,
    )


def _message(fields: Mapping[str, Any], calls: list[ToolUse], said: list[Utterance]) -> None:
    """One of OpenAI's chat messages."""
    role, text = fields["role"], fields.get("content")
    turn = max((one.turn for one in said), default=0)
    if role == "tool":
        asked = fields.get("tool_call_id")
        # the first of that id that has no answer yet: ids repeat
        open_calls = (one for one in calls if one.call_id == asked and not one.result_known)
        answered = next(open_calls, None)
        if answered is not None:
            answered.result, answered.result_known = _decoded(text), True
        return
    if role == "user" and isinstance(text, str):
        said.append(Utterance("caller", text, turn + 1, 0.0, 0.0))
    elif role == "assistant" and isinstance(text, str) and text:
        said.append(Utterance("agent", text, turn, 0.0, 0.0))
    for asked in cast("list[Any]", fields.get("tool_calls") or []):
        one = _fields(asked)
        inner = _fields(one["function"]) if "function" in one else one
        name = _first(inner, NAMES)
        calls.append(_call(str(name), {**inner, "id": one.get("id")}))


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
