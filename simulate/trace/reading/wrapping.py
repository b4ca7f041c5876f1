"""What frameworks wrap round a tool's arguments and its result, taken off again."""

from __future__ import annotations

import re
from typing import Any, cast

from simulate.model.shapes import is_list, is_object, list_of
from simulate.trace.reading.parts import unwrapped
from simulate.trace.reading.values import decoded, loose, printed, text
from simulate.trace.span import View

_TEXT = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_PRINTED = re.compile(rf"(?:^|ToolMessage\()content=(?P<content>{_TEXT})(?=[ ,)])(?P<rest>.*)", re.DOTALL)
_FIELD = re.compile(rf"[ ,(](?P<name>name|tool_call_id|status)=(?P<value>{_TEXT})")


def tool_message(value: Any) -> dict[str, Any] | None:
    """The fields of a ``ToolMessage``, with its ``tool_call_id``; None where it is something else.

    It comes plain, under ``data``, serialised under ``kwargs``, printed by Python, as the ``output`` of a
    tool's run, or as the last message of a ``Command`` that the tool gave back.
    """
    value = decoded(value)
    if isinstance(value, str):
        return _printed(value)
    if not is_object(value):
        return None
    held = value
    if "tool_call_id" in held and held.get("type", "tool") in ("tool", "ToolMessage"):
        return held
    if isinstance(held.get("update"), dict):
        messages = held["update"].get("messages")
        found = map(tool_message, reversed(list_of(messages)))
        return next((one for one in found if one is not None), None)
    inner = (tool_message(held[key]) for key in ("data", "output", "kwargs") if key in held)
    return next((one for one in inner if one is not None), None)


def _printed(value: str) -> dict[str, Any] | None:
    if "tool_call_id=" not in value:
        return None
    found = _PRINTED.search(value[max(0, value.rfind("ToolMessage(")) :])
    if found is None:
        return None
    fields = {one["name"]: printed(one["value"]) for one in _FIELD.finditer(found["rest"])}
    return {**fields, "content": printed(found["content"])} if "tool_call_id" in fields else None


_CALLED = frozenset({"args", "kwargs", "sanitize_inputs_outputs"})


def arguments(value: Any, tool_name: str | None = None) -> Any:
    """A tool's arguments, out of what it was started with.

    LangChain has ``{input_str, inputs, tags, …}``, decorators have ``{args, kwargs}``, to which smolagents
    adds a switch of its own, BeeAI has ``{input, options}``, CrewAI ``{tool_string, tool, calling}``, and
    clients of MCP ``{tool_name, arguments}`` or the whole request.
    """
    if not is_object(value):
        return value
    held = value
    inner: Any = None
    if "input_str" in held:
        inner = _object(held.get("inputs")) or loose(held["input_str"])
    elif held.keys() <= _CALLED:
        inner = held.get("kwargs") if not held.get("args") else _only_positional(held)
    elif "sanitize_inputs_outputs" in held:
        inner = {key: given for key, given in held.items() if key not in _CALLED}
    elif "tool_string" in held:
        inner = (_object(held.get("calling")) or {}).get("arguments")
    elif held.get("method") == "tools/call" and is_object(held.get("params")):
        inner = held["params"].get("arguments", {})
    elif held.keys() == {"input", "options"}:
        inner = _object(held["input"])
    elif held.keys() in ({"tool_name", "arguments"}, {"name", "arguments"}):
        named = held.get("tool_name", held.get("name")) == tool_name
        inner = decoded(held["arguments"]) if named else None
    return held if inner is None else inner


def _object(value: Any) -> dict[str, Any] | None:
    return value if is_object(value) else None


def _only_positional(held: dict[str, Any]) -> dict[str, Any] | None:
    """The object that was given as the one positional argument."""
    given = list_of(held["args"])
    return None if held.get("kwargs") or len(given) != 1 else _object(decoded(given[0]))


_AGNO = re.compile(
    r"status='\w+' result=(?P<result>.*) error=(?P<error>.*) updated_session_state=.*", re.DOTALL
)
"""How Python prints a call's result in Agno."""
_CREW = re.compile(
    r"\s*I encountered an error while trying to use the tool\. This was the error: (?P<error>.*?)\.\n",
    re.DOTALL,
)
"""What CrewAI tells the model of a tool that failed."""


def take_result(value: Any, found: View) -> None:
    """Set a tool's result, with its name, id and error as far as what is wrapped round it tells them."""
    message = tool_message(value)
    if message is not None:
        found.tool_call_id = found.tool_call_id or text(message["tool_call_id"])
        found.tool_result = decoded(message.get("content"))
        failed = message.get("status") == "error"
    else:
        found.tool_result, failed = _inner(value)
    found.tool_result = loose(unwrapped(found.tool_result))
    if failed and found.error is None:
        found.error = text(found.tool_result)


def _inner(value: Any) -> tuple[Any, bool]:
    """The result itself, and whether the tool failed."""
    if isinstance(value, str):
        if value.startswith('{"output": {'):
            return None, False  # LangChain's wrapping, cut off by a limit of the exporter
        if agno := _AGNO.fullmatch(value):
            failed = agno["error"] != "None"
            return decoded(printed(agno["error" if failed else "result"])), failed
        crew = _CREW.match(value)
        return (value, False) if crew is None else (crew["error"], True)
    if is_list(value):
        pair = value
        if (
            len(pair) == 2
            and isinstance(pair[0], bool)
            and isinstance(pair[1], dict)
            and "content" in pair[1]
        ):
            return cast("dict[str, Any]", pair[1])["content"], not pair[0]  # AG2: success, and a message
    if not is_object(value):
        return cast("Any", value), False
    held = value
    if {"raw_output", "tool_name"} <= held.keys():  # LlamaIndex
        return held["raw_output"], held.get("is_error") is True
    if held.keys() == {"id", "name", "response"}:  # Gemini's function response
        return held["response"], False
    if held.keys() == {"_value"}:  # traceAI, where it is no object
        return held["_value"], False
    if held.keys() == {"output", "kwargs"}:  # LangChain's callback, as OpenLLMetry writes it
        return held["output"], False
    if "content" in held and isinstance(held.get("isError"), bool):  # MCP
        return held["content"], held["isError"]
    return held, False
