"""What frameworks wrap round a tool's arguments and its result, taken off again."""

from __future__ import annotations

import ast
import re
from typing import Any, cast

from simulate.trace.reading.messages import unwrapped
from simulate.trace.reading.values import decoded, loose, text
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
    if not isinstance(value, dict):
        return None
    held = cast("dict[str, Any]", value)
    if "tool_call_id" in held and held.get("type", "tool") in ("tool", "ToolMessage"):
        return held
    if isinstance(held.get("update"), dict):
        messages = held["update"].get("messages")
        found = map(tool_message, reversed(cast("list[Any]", messages if isinstance(messages, list) else [])))
        return next((one for one in found if one is not None), None)
    inner = next((held[key] for key in ("data", "kwargs", "output") if held.get(key) is not None), None)
    return None if inner is None else tool_message(inner)


def _printed(value: str) -> dict[str, Any] | None:
    if "tool_call_id=" not in value:
        return None
    found = _PRINTED.search(value[max(0, value.rfind("ToolMessage(")) :])
    if found is None:
        return None
    fields = {one["name"]: ast.literal_eval(one["value"]) for one in _FIELD.finditer(found["rest"])}
    return {**fields, "content": ast.literal_eval(found["content"])} if "tool_call_id" in fields else None


_CALLED = frozenset({"args", "kwargs", "sanitize_inputs_outputs"})


def arguments(value: Any, tool_name: str | None = None) -> Any:
    """A tool's arguments, out of what it was started with.

    LangChain has ``{input_str, inputs, tags, …}``, decorators have ``{args, kwargs}``, smolagents adds a switch of
    its own, BeeAI has ``{input, options}``, and MCP's clients have ``{tool_name, arguments}``.
    """
    if not isinstance(value, dict):
        return value
    held = cast("dict[str, Any]", value)
    inner: Any = None
    if "input_str" in held:
        inner = held.get("inputs")
        inner = inner if isinstance(inner, dict) else loose(held["input_str"])
    elif held.keys() <= _CALLED and not held.get("args"):
        inner = held.get("kwargs")
    elif held.keys() <= _CALLED and not held.get("kwargs"):
        only = held["args"][0] if isinstance(held["args"], list) and len(held["args"]) == 1 else None
        inner = decoded(only)
        inner = inner if isinstance(inner, dict) else None
    elif "sanitize_inputs_outputs" in held:
        inner = {key: given for key, given in held.items() if key not in _CALLED}
    elif held.keys() == {"input", "options"} and isinstance(held["input"], dict):
        inner = held["input"]
    elif held.keys() in ({"tool_name", "arguments"}, {"name", "arguments"}):
        named = held.get("tool_name", held.get("name")) == tool_name
        inner = decoded(held["arguments"]) if named else None
    return cast("Any", held if inner is None else inner)


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
    if isinstance(value, list):
        pair = cast("list[Any]", value)
        if len(pair) == 2 and isinstance(pair[0], bool) and isinstance(pair[1], dict) and "content" in pair[1]:
            return cast("Any", pair[1]["content"]), not pair[0]  # AG2: success, and a message
    if not isinstance(value, dict):
        return value, False
    held = cast("dict[str, Any]", value)
    if {"raw_output", "tool_name"} <= held.keys():  # LlamaIndex
        return held["raw_output"], held.get("is_error") is True
    if held.keys() == {"id", "name", "response"}:  # Gemini's function response
        return held["response"], False
    if held.keys() == {"_value"}:  # traceAI, where it is no object
        return held["_value"], False
    if held.get("isError") is True:  # MCP
        return held.get("content"), True
    return held, False
