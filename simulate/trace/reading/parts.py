"""Parts of chat messages, and the calls and answers of tools in them, of every shape in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from simulate.model.shapes import is_list, is_object
from simulate.trace.reading.values import decoded, loose, text

Part = dict[str, Any]


def kind_of(value: Part) -> str:
    """What a part says it is; Vercel's calls, and any-agent's, say it by their fields alone."""
    kind = str(value.get("type") or value.get("kind") or value.get("part_kind"))
    if reader_of(kind) is not None or not (
        "tool.name" in value or {"toolCallId", "toolName"} <= value.keys()
    ):
        return kind
    return "tool-result" if "output" in value or "result" in value else "tool-call"


def part_of(item: Any) -> Part:
    item = decoded(item) if isinstance(item, str) and item[:2] == '{"' else item
    if isinstance(item, str):
        return text_part(item)
    if not is_object(item):
        return generic_part({"content": item})
    held = item
    if "type" not in held and isinstance(held.get("message_content"), dict):
        return part_of(held["message_content"])
    if "type" not in held and isinstance(held.get("tool_call"), dict):
        return call_part(held)
    read = reader_of(kind_of(held))
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
    if is_object(value):
        held = value
        if held.keys() == {"args", "kwargs"} and not held["args"]:
            return held["kwargs"]
        return held
    return {} if value in (None, "", "null", "None") else value


_TYPES = frozenset(
    "str int float bool list dict Any string integer number boolean array object any".split()  # noqa: SIM905
)


def not_a_schema(value: Any) -> Any:
    """Arguments out of an attribute in which instrumentations also put the tool's parameter schema."""
    value = arguments_of(value)
    if not is_object(value) or not value:
        return cast("Any", value)
    held = value
    if "properties" in held and held.get("type") == "object":
        return None
    return None if all(_is_type(one) for one in held.values()) else held


def _is_type(value: Any) -> bool:
    """Whether a parameter's type is written where its value would be."""
    kind: Any = value.get("type") if is_object(value) else value
    return isinstance(kind, str) and kind in _TYPES


def call_part(held: Part) -> Part:
    within = held.get("tool_call")
    held = cast("Part", within) if isinstance(within, dict) else held
    function = held.get("function") or held.get("functionCall") or held.get("function_call") or held
    inner = function if is_object(function) else {"name": function}
    keys = ("arguments", "args", "input", "parameters", "tool_arguments", "tool.args")
    given = [each[key] for each in (inner, held) for key in keys if key in each]
    arguments = next((one for one in given if one is not None), None)
    # pydantic-ai leaves out what it was told not to record; OpenInference and Gemini, what is empty
    untold = not given and inner is held
    ids = ("call_id", "toolCallId", "tool_call_id", "toolUseId", "id")
    call_id = next((held[key] for key in ids if held.get(key)), None)
    name = next((inner[key] for key in _NAMES if inner.get(key)), None)
    return {
        "type": "tool_call",
        "id": call_id or inner.get("id"),
        "name": None if name is None else str(name),
        "arguments": None if untold else arguments_of(arguments),
    }


RUN_BY_CLIENT = frozenset(
    {"custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call"}
)
RUN_BY_PROVIDER = frozenset(
    {"mcp_call", "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"}
)
"""Items of OpenAI's Responses; those that the provider runs hold what came of it, too."""
_GIVEN = ("arguments", "input", "action", "operation")


def builtin_call(held: Part) -> Part:
    """A call of a tool that has a type of its own, by which it is named unless it tells a name."""
    name = str(held.get("name") or str(held["type"]).removesuffix("_call"))
    if held.get("server_label"):
        name = f"{held['server_label']}.{name}"
    given: Any = next((held[key] for key in _GIVEN if held.get(key) is not None), None)
    if given is None:
        given = {key: held[key] for key in ("code", "queries") if held.get(key) is not None}
    call_id = held.get("call_id") or held.get("id")
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments_of(given)}


_NAMES = ("name", "toolName", "tool_name", "tool.name")


def response_part(call_id: Any, response: Any, name: Any = None, *, failed: bool = False) -> Part:
    """``failed`` says that the response is the tool's error."""
    part = {"type": "tool_call_response", "id": call_id, "response": unwrapped(response)}
    if name:
        part["name"] = str(name)
    if failed:
        part["is_error"] = True
    return part


def says_failed(held: Part) -> bool:
    """Whether a tool's answer says that it is an error: Anthropic's and MCP's flag, the status of Bedrock and
    LangChain, the kind of Vercel's output."""
    output = held.get("output")
    kind: Any = cast("Part", output).get("type") if isinstance(output, dict) else None
    return (
        any(held.get(key) is True for key in ("is_error", "isError"))
        or held.get("status") == "error"
        or kind in ("error-text", "error-json")
    )


def unwrapped(response: Any) -> Any:
    """The answer itself, out of ``{type: text, value}`` and lists of one text."""
    response = decoded(response)
    if is_object(response):
        held = response
        if held.get("type") in ("text", "json", "error-text", "error-json") and "value" in held:
            return held["value"]
        return held
    if is_list(response):
        members = response
        only = cast("Part", members[0]) if len(members) == 1 and isinstance(members[0], dict) else {}
        if only.get("type") == "text" or only.keys() == {"text"}:
            return part_of(only).get("content", members)
        return only["json"] if only.keys() == {"json"} else members
    return response


def _answer(held: Part) -> Part:
    inner = held.get("functionResponse") or held.get("function_response")
    held = {**held, **inner} if is_object(inner) else held
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
    name = held.get("name") or held.get("toolName") or held.get("tool_name")
    return response_part(call_id, response, name, failed=says_failed(held))


def _haystack_result(held: Part) -> Part:
    origin = held.get("origin")
    call = call_part(origin) if is_object(origin) else {}
    return response_part(call.get("id"), held.get("result"), call.get("name"))


def tool_offered(definition: Any) -> str | None:
    """The name in a tool's definition, in the shape of the conventions or of OpenAI."""
    if not is_object(definition):
        return None
    held = definition
    name = held.get("name")
    return name if isinstance(name, str) and name else tool_offered(held.get("function"))


def generic_part(held: Part) -> Part:
    # "generic" stands first where the part says no type of its own
    part: Part = {"type": "generic", **held}
    return part if isinstance(part["type"], str) else {**held, "type": "generic"}


def _media(held: Part) -> Part:
    return {**held, "type": kind_of(held)}


def _of_inner(held: Part, key: str, read: Callable[[Part], Part]) -> Part:
    return read(held[key]) if isinstance(held[key], dict) else generic_part(held)


def _of_server(held: Part, read: Callable[[Part], Part]) -> Part:
    """A tool of the provider's, as the conventions tell it: with its facts in an object of its own."""
    inner: Any = held.get(held["type"])
    facts = {key: value for key, value in inner.items() if key != "type"} if is_object(inner) else inner
    told = {"arguments": facts, "response": facts}
    return read({"id": held.get("id"), "name": held.get("name"), **told})


PARTS: dict[str, Callable[[Part], Part]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "user-prompt", "system-prompt", "refusal"), _texts),
    **dict.fromkeys(("reasoning", "thinking", "reasoning_content"), _reasoning),
    **dict.fromkeys(
        ("tool_call", "tool-call", "tool_use", "function_call", "server_tool_use", "mcp_tool_use"), call_part
    ),
    "server_tool_call": lambda held: _of_server(held, call_part),
    "server_tool_call_response": lambda held: _of_server(held, _answer),
    **dict.fromkeys((*RUN_BY_CLIENT, *RUN_BY_PROVIDER), builtin_call),
    **dict.fromkeys(
        ("tool_call_response", "tool-result", "tool_result", "tool-return", "mcp_tool_result"), _answer
    ),
    **dict.fromkeys(
        ("blob", "file", "uri", "image", "image_url", "input_audio", "audio", "input_image"), _media
    ),
}
_ANSWERS = ("_tool_result", "_call_output")
"""How the types of other answers end: ``web_search_tool_result``, ``computer_call_output``."""


def reader_of(kind: str) -> Callable[[Part], Part] | None:
    """What reads a part of this type; None for one that is no part of a message that we know."""
    return PARTS.get(kind) or (_answer if kind.endswith(_ANSWERS) else None)


_BY_KEY: dict[str, Callable[[Part], Part]] = {
    "function_call": call_part,
    "functionCall": call_part,
    "function_response": _answer,
    "functionResponse": _answer,
    "toolUse": lambda held: _of_inner(held, "toolUse", call_part),
    "tool_call_result": lambda held: _of_inner(held, "tool_call_result", _haystack_result),
    "toolResult": lambda held: _of_inner(held, "toolResult", _answer),
    "text": _texts,
}
