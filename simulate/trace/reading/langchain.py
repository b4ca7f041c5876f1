"""What LangChain wraps round a tool: the call in a run's bookkeeping, the answer in a message."""

from __future__ import annotations

import ast
import re
from typing import Any, cast

from simulate.trace.reading.values import decoded, loose

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


def arguments(value: Any) -> Any:
    """A tool's arguments, out of what its run was started with: ``{input_str, inputs, tags, …}``."""
    held = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if "input_str" not in held:
        return cast("Any", value)
    given = held.get("inputs")
    return cast("Any", given) if isinstance(given, dict) else loose(held["input_str"])
