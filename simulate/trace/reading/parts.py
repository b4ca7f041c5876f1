"""Parts of chat messages, and the calls and answers of tools in them, of every shape in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from simulate.trace.reading.values import decoded, loose, text

Part = dict[str, Any]


def kind_of(value: Part) -> str:
    """What a part says it is; Vercel's calls, and any-agent's, say it by their fields alone."""
    kind = str(value.get("type") or value.get("kind") or value.get("part_kind"))
    if kind in PARTS or not ("tool.name" in value or {"toolCallId", "toolName"} <= value.keys()):
        return kind
    return "tool-result" if "output" in value or "result" in value else "tool-call"


def part_of(item: Any) -> Part:
    item = decoded(item) if isinstance(item, str) and item[:2] == '{"' else item
    if isinstance(item, str):
        return text_part(item)
    if not isinstance(item, dict):
        return generic_part({"content": item})
    held = cast("Part", item)
    if "type" not in held and isinstance(held.get("message_content"), dict):
        return part_of(held["message_content"])
    if "type" not in held and isinstance(held.get("tool_call"), dict):
        return call_part(held)
    read = PARTS.get(kind_of(held))
    if read is not None:
        return read(held)
    for key, reader in _BY_KEY.items():
        if held.get(key) is not None:
            return reader(held)
    return generic_part(held)


def text_part(content: str) -> Part:
    return {"type": "text", "content": content}


def _texts(held: Part) -> Part:
    content = next((held[key] for key in ("content", "text", "value") if held.get(key) is not None), "")
    return text_part(text(content) or "")


def _reasoning(held: Part) -> Part:
    keys = ("content", "text", "thinking", "reasoning", "summary")
    return {"type": "reasoning", "content": next((held[key] for key in keys if held.get(key)), "")}


def arguments_of(value: Any) -> Any:
    """Arguments of a tool call as an object where they are one; an absent value means no arguments.

    Objects are also read out of JSON, of Python's own notation, and of a recorded call's ``args`` and
    ``kwargs``.
    """
    value = loose(value)
    if isinstance(value, dict):
        held = cast("dict[str, Any]", value)
        if held.keys() == {"args", "kwargs"} and not held["args"]:
            return held["kwargs"]
        return held
    return {} if value is None or value == "" else value


_TYPES = frozenset(
    "str int float bool list dict Any string integer number boolean array object any".split()  # noqa: SIM905
)


def not_a_schema(value: Any) -> Any:
    """Arguments out of an attribute in which instrumentations also put the tool's parameter schema."""
    value = arguments_of(value)
    if not isinstance(value, dict) or not value:
        return cast("Any", value)
    held = cast("Part", value)
    if "properties" in held and held.get("type") == "object":
        return None
    return None if all(_is_type(one) for one in held.values()) else held


def _is_type(value: Any) -> bool:
    """Whether a parameter's type is written where its value would be."""
    kind: Any = cast("Part", value).get("type") if isinstance(value, dict) else value
    return isinstance(kind, str) and kind in _TYPES


def call_part(held: Part) -> Part:
    held = cast("Part", held.get("tool_call", held))
    function = held.get("function") or held.get("functionCall") or held.get("function_call") or held
    inner = cast("Part", function) if isinstance(function, dict) else {"name": function}
    keys = ("arguments", "args", "input", "tool_arguments", "tool.args")
    arguments = next((inner[key] for key in keys if inner.get(key) is not None), None)
    if arguments is None:
        arguments = next((held[key] for key in keys if held.get(key) is not None), None)
    ids = ("call_id", "toolCallId", "tool_call_id", "toolUseId", "id")
    call_id = next((held[key] for key in ids if held.get(key)), None)
    name = next((inner[key] for key in _NAMES if inner.get(key)), None)
    return {
        "type": "tool_call",
        "id": call_id or inner.get("id"),
        "name": None if name is None else str(name),
        "arguments": arguments_of(arguments),
    }


_NAMES = ("name", "toolName", "tool_name", "tool.name")


def response_part(call_id: Any, response: Any, name: Any = None) -> Part:
    part = {"type": "tool_call_response", "id": call_id, "response": unwrapped(response)}
    if name:
        part["name"] = str(name)
    return part


def unwrapped(response: Any) -> Any:
    """The answer itself, out of ``{type: text, value}`` and lists of one text."""
    response = decoded(response)
    if isinstance(response, dict):
        held = cast("Part", response)
        if held.get("type") in ("text", "json", "error-text", "error-json") and "value" in held:
            return held["value"]
        return held
    if isinstance(response, list):
        members = cast("list[Any]", response)
        only = cast("Part", members[0]) if len(members) == 1 and isinstance(members[0], dict) else {}
        if only.get("type") == "text" or only.keys() == {"text"}:
            return part_of(only)["content"]
        return only["json"] if only.keys() == {"json"} else members
    return response


def _answer(held: Part) -> Part:
    inner = held.get("functionResponse") or held.get("function_response")
    held = {**held, **cast("Part", inner)} if isinstance(inner, dict) else held
    keys = ("response", "result", "output", "content")
    response = next((held[key] for key in keys if held.get(key) is not None), None)
    call_id = next(
        (
            held[key]
            for key in ("call_id", "tool_use_id", "toolUseId", "toolCallId", "tool_call_id", "id")
            if held.get(key)
        ),
        None,
    )
    return response_part(call_id, response, held.get("name") or held.get("toolName") or held.get("tool_name"))


def _haystack_result(held: Part) -> Part:
    origin = held.get("origin")
    call = call_part(cast("Part", origin)) if isinstance(origin, dict) else {}
    return response_part(call.get("id"), held.get("result"), call.get("name"))


def tool_offered(definition: Any) -> str | None:
    """The name in a tool's definition, in the shape of the conventions or of OpenAI."""
    if not isinstance(definition, dict):
        return None
    held = cast("Part", definition)
    name = held.get("name")
    return name if isinstance(name, str) and name else tool_offered(held.get("function"))


def generic_part(held: Part) -> Part:
    # "generic" stands first where the part says no type of its own
    part: Part = {"type": "generic", **held}
    return part if isinstance(part["type"], str) else {**held, "type": "generic"}


def _media(held: Part) -> Part:
    return {**held, "type": kind_of(held)}


PARTS: dict[str, Callable[[Part], Part]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "user-prompt", "system-prompt", "refusal"), _texts),
    **dict.fromkeys(("reasoning", "thinking", "reasoning_content"), _reasoning),
    **dict.fromkeys(("tool_call", "tool-call", "tool_use", "function_call"), call_part),
    **dict.fromkeys(
        ("tool_call_response", "tool-result", "tool_result", "tool-return", "function_call_output"), _answer
    ),
    **dict.fromkeys(
        ("blob", "file", "uri", "image", "image_url", "input_audio", "audio", "input_image"), _media
    ),
}
_BY_KEY: dict[str, Callable[[Part], Part]] = {
    "function_call": call_part,
    "functionCall": call_part,
    "function_response": _answer,
    "functionResponse": _answer,
    "toolUse": lambda held: call_part(held["toolUse"]),
    "tool_call_result": lambda held: _haystack_result(held["tool_call_result"]),
    "toolResult": lambda held: _answer(held["toolResult"]),
    "text": _texts,
}
