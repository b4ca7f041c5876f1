"""Chat messages of every shape in the one shape of the GenAI conventions.

Shapes met: OpenAI chat and responses, Anthropic, Gemini, the Vercel AI SDK, LangChain (plain and serialised),
pydantic-ai, LiveKit's chat context, OpenInference's and OpenLLMetry's flattened attributes, and plain text.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, cast

from simulate.trace.reading.values import decoded, loose, text
from simulate.trace.span import Message

Part = dict[str, Any]

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "AIMessageChunk": "assistant",
    "developer": "system",
    "function": "tool",
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "SystemMessage": "system",
    "ToolMessage": "tool",
}
_WRAPPERS = ("messages", "input_messages", "output_messages", "items", "contents", "choices", "generations")
_WHO = {"tool_call_response": "tool", "tool_call": "assistant", "reasoning": "assistant"}
_PLAIN = frozenset({"role", "parts", "finish_reason"})
_BOOKKEEPING = frozenset({"agent_config_update", "agent_handoff", "cache_breakpoint"})


def incoming(value: Any) -> list[Message] | None:
    """What went into a model; a bare text is the user's."""
    found = messages(value, "user")
    _name_answers(found or ())
    return found


def _name_answers(found: Sequence[Message]) -> None:
    """Some APIs send tools' answers as the user's, and some instrumentations lose what they are: objects that
    follow right after calls are the answers to those calls, in their order."""
    armed: list[Part] = []
    for before, message in itertools.pairwise(found):
        armed = before.tool_calls or (armed if before.role == "tool" else [])
        if any(call.get("name") == message.role for call in armed):
            # LangChain's message in Langfuse's JavaScript handler has the tool's name as its role
            message.parts = [_response(None, message.text, message.role)]
            message.role = "tool"
        calls = before.tool_calls
        if not calls or message.role != "user" or len(message.parts) > len(calls):
            continue
        results = [_object_in(part) for part in message.parts]
        if results and all(result is not None for result in results):
            message.role = "tool"
            message.parts = [
                _response(call.get("id"), result, call.get("name"))
                for call, result in zip(calls, results, strict=False)
            ]


def _object_in(part: Part) -> dict[str, Any] | None:
    """What a part holds that is data and no words."""
    if part.get("type") == "generic":
        return {key: value for key, value in part.items() if key != "type"}
    held = decoded(part.get("content")) if part.get("type") == "text" else None
    if not isinstance(held, dict):
        return None
    return cast("dict[str, Any]", held)


def outgoing(value: Any) -> list[Message] | None:
    """What came out of a model; a bare text is the assistant's."""
    return messages(value, "assistant")


def messages(value: Any, role: str) -> list[Message] | None:
    """Messages of any known shape; ``role`` is taken where the source names none. None where there are
    none."""
    value = decoded(value)
    if value is None or value in ("", "null", {}):
        return None
    if isinstance(value, list):
        return _from_list(cast("list[Any]", value), role)
    if isinstance(value, dict):
        return _from_dict(cast("dict[str, Any]", value), role)
    return [Message(role, [_text(text(value) or "")])]


def says_nothing(value: object) -> bool:
    """Whether a field of a view tells nothing: None, empty, or messages without a part, as some write where
    they put the answer into other attributes."""
    if isinstance(value, list) and value:
        return all(isinstance(one, Message) and not one.parts for one in cast("list[Any]", value))
    return value is None or value in ("", [], {})


def _from_list(values: list[Any], role: str) -> list[Message] | None:
    values = [decoded(value) for value in values]
    if len(values) == 1 and isinstance(values[0], list):
        return _from_list(cast("list[Any]", values[0]), role)
    if values and all(isinstance(value, dict) and _is_part(cast("Part", value)) for value in values):
        return _parts_only(cast("list[Part]", values), role)
    found = [message for value in values for message in messages(value, role) or ()]
    return found or None


def _is_part(value: Part) -> bool:
    return "role" not in value and _kind(value) in _PARTS


def _kind(value: Part) -> str:
    """What a part says it is; Vercel's calls, and any-agent's, say it by their fields alone."""
    kind = str(value.get("type") or value.get("kind") or value.get("part_kind"))
    if kind in _PARTS or not ("tool.name" in value or {"toolCallId", "toolName"} <= value.keys()):
        return kind
    return "tool-result" if "output" in value or "result" in value else "tool-call"


def _parts_only(values: list[Part], role: str) -> list[Message]:
    """Parts without a message round them, as the responses API has them: results are the tool's."""
    found: list[Message] = []
    for value in values:
        part = _part(value)
        who = _WHO.get(part["type"], role)
        if found and found[-1].role == who:
            found[-1].parts.append(part)
        else:
            found.append(Message(who, [part]))
    return found


def _from_dict(value: dict[str, Any], role: str) -> list[Message] | None:
    if isinstance(value.get("parts"), list) and value.keys() <= _PLAIN:
        return [_plain(value, role)]
    inner: Any = decoded(value.get("message"))
    if isinstance(inner, (dict, list)) and "role" not in value:
        reason = value.get("finish_reason")
        inner = cast("Any", {"role": role, "content": inner} if isinstance(inner, list) else inner)
        found = messages(inner, role)
        if found and reason is not None:
            found[-1].finish_reason = str(reason)
        return found
    if value.get("object") == "response" and isinstance(value.get("output"), list):
        return messages(value["output"], role)
    if "role" not in value:
        for key in _WRAPPERS:
            if key in value:
                return _system_first(value, messages(value[key], role))
        if isinstance(value.get("prompt"), (str, list)):
            return _system_first(value, messages(value["prompt"], role))
    if isinstance(value.get("kwargs"), dict) and value.get("lc"):
        path = value.get("id")
        name = str(cast("list[Any]", path)[-1]) if isinstance(path, list) and path else ""
        return messages({"type": _ROLES.get(name, name), **value["kwargs"]}, role)
    if str(value.get("type")) in _BOOKKEEPING:
        return None
    content = value.get("content")
    if isinstance(content, dict) and "parts" in content and "role" not in value:
        return messages(cast("dict[str, Any]", content), role)
    if _is_part(value):
        return _parts_only([value], role)
    return [_message(value, role)] if _has_content(value) else [Message(role, [_generic(value)])]


def _has_content(value: dict[str, Any]) -> bool:
    keys = ("content", "contents", "parts", "tool_calls", "function_call", "role", "text", "toolCalls")
    return any(key in value for key in keys)


def _system_first(value: dict[str, Any], found: list[Message] | None) -> list[Message] | None:
    config = value.get("config")
    system = value.get("system") or (
        cast("dict[str, Any]", config).get("system_instruction") if isinstance(config, dict) else None
    )
    if system:
        return [*(messages(system, "system") or ()), *(found or ())]
    return found


def _plain(value: dict[str, Any], default: str) -> Message:
    """A message just as the conventions have it, which is what most are; the same as `_message` makes of
    it, sooner."""
    parts: list[Part] = []
    for item in cast("list[Any]", value["parts"]):
        kind: Any = cast("Part", item).get("type") if isinstance(item, dict) else None
        read = _PARTS.get(kind) if isinstance(kind, str) else None
        if read is not None:
            parts.append(read(cast("Part", item)))
        elif not _bookkeeping(item):
            parts.append(_part(item))
    role = _role(value.get("role"), default)
    if role == "user" and parts and all(part["type"] == "tool_call_response" for part in parts):
        role = "tool"
    reason = value.get("finish_reason")
    return Message(role, parts, None if reason is None else str(reason))


def _role(named: Any, default: str) -> str:
    return _ROLES.get(str(named), str(named)) if named and named != "message" else default


def _message(value: dict[str, Any], default: str) -> Message:
    role = _role(value.get("role") or value.get("type"), default)
    parts: list[Part] = []
    call_id = value.get("tool_call_id") or value.get("toolCallId") or value.get("call_id")
    content = next(
        (value[key] for key in ("parts", "contents", "content") if value.get(key) is not None), None
    )
    content = value.get("text") if content is None else content
    if role == "tool" and isinstance(content, str) and content.startswith('[{"toolResult"'):
        content = decoded(content)
    answers = call_id is not None or ("parts" not in value and content not in (None, []))
    if role == "tool" and answers and not _holds_parts(content):
        parts.append(_response(call_id, content, value.get("name")))
    else:
        parts.extend(_content(content))
    calls = _calls(value)
    if any(call["name"] for call in calls):
        # told in the content once more, by some without its name
        parts = [part for part in parts if part["type"] != "tool_call"]
    parts.extend(calls)
    if role == "user" and parts and all(part["type"] == "tool_call_response" for part in parts):
        role = "tool"
    reason = value.get("finish_reason") or value.get("finishReason")
    return Message(role, parts, None if reason is None else str(reason))


def _holds_parts(content: Any) -> bool:
    """Whether tool content already comes as tool results (Vercel, the conventions) and not as the bare
    answer."""
    if not isinstance(content, list):
        return False
    kinds = {"tool-result", "tool_result", "tool_call_response", "tool-return"}
    return any(
        isinstance(item, dict)
        and (
            "toolResult" in item or "tool_call_result" in item or str(cast("Part", item).get("type")) in kinds
        )
        for item in cast("list[Any]", content)
    )


def _content(content: Any) -> list[Part]:
    content = decoded(content) if isinstance(content, str) and content[:2] in ("[{", '{"') else content
    if content is None or content == "":
        return []
    if isinstance(content, list):
        return [_part(item) for item in cast("list[Any]", content) if not _bookkeeping(item)]
    if isinstance(content, dict):
        return [_part(content)]
    return [_text(str(content))]


def _bookkeeping(item: Any) -> bool:
    return isinstance(item, dict) and str(cast("Part", item).get("type")) in _BOOKKEEPING


def _calls(value: dict[str, Any]) -> list[Part]:
    extra = value.get("additional_kwargs")
    calls = value.get("tool_calls") or value.get("toolCalls")
    if not calls and isinstance(extra, dict):
        calls = cast("dict[str, Any]", extra).get("tool_calls")
    calls = decoded(calls)
    if isinstance(calls, dict):
        calls = [cast("Part", calls)]
    found = [
        _call(cast("Part", call))
        for call in cast("list[Any]", calls if isinstance(calls, list) else [])
        if isinstance(call, dict)
    ]
    alone = value.get("function_call")
    if isinstance(alone, dict) and not found:
        found.append(_call(cast("Part", alone)))
    elif value.get("function_call_name"):
        found.append(
            _call(
                {"name": value["function_call_name"], "arguments": value.get("function_call_arguments_json")}
            )
        )
    return found


def _part(item: Any) -> Part:
    item = decoded(item) if isinstance(item, str) and item[:2] == '{"' else item
    if isinstance(item, str):
        return _text(item)
    if not isinstance(item, dict):
        return _generic({"content": item})
    held = cast("Part", item)
    if "type" not in held and isinstance(held.get("message_content"), dict):
        return _part(held["message_content"])
    if "type" not in held and isinstance(held.get("tool_call"), dict):
        return _call(held)
    read = _PARTS.get(_kind(held))
    if read is not None:
        return read(held)
    for key, reader in _BY_KEY.items():
        if held.get(key) is not None:
            return reader(held)
    return _generic(held)


def _text(content: str) -> Part:
    return {"type": "text", "content": content}


def _texts(held: Part) -> Part:
    content = next((held[key] for key in ("content", "text", "value") if held.get(key) is not None), "")
    return _text(text(content) or "")


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


def _call(held: Part) -> Part:
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


def _response(call_id: Any, response: Any, name: Any = None) -> Part:
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
            return _part(only)["content"]
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
    return _response(call_id, response, held.get("name") or held.get("toolName") or held.get("tool_name"))


def _haystack_result(held: Part) -> Part:
    origin = held.get("origin")
    call = _call(cast("Part", origin)) if isinstance(origin, dict) else {}
    return _response(call.get("id"), held.get("result"), call.get("name"))


def _generic(held: Part) -> Part:
    return {"type": "generic", **held}


def _media(held: Part) -> Part:
    return dict(held)


_PARTS: dict[str, Callable[[Part], Part]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "user-prompt", "system-prompt", "refusal"), _texts),
    **dict.fromkeys(("reasoning", "thinking", "reasoning_content"), _reasoning),
    **dict.fromkeys(("tool_call", "tool-call", "tool_use", "function_call"), _call),
    **dict.fromkeys(
        ("tool_call_response", "tool-result", "tool_result", "tool-return", "function_call_output"), _answer
    ),
    **dict.fromkeys(
        ("blob", "file", "uri", "image", "image_url", "input_audio", "audio", "input_image"), _media
    ),
}
_BY_KEY: dict[str, Callable[[Part], Part]] = {
    "function_call": _call,
    "functionCall": _call,
    "function_response": _answer,
    "functionResponse": _answer,
    "toolUse": lambda held: _call(held["toolUse"]),
    "tool_call_result": lambda held: _haystack_result(held["tool_call_result"]),
    "toolResult": lambda held: _answer(held["toolResult"]),
    "text": _texts,
}
