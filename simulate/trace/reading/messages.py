"""Chat messages of every shape in the one shape of the GenAI conventions.

Shapes met: OpenAI chat and responses, Anthropic, Gemini, the Vercel AI SDK, LangChain (plain and serialised),
pydantic-ai, LiveKit's chat context, OpenInference's and OpenLLMetry's flattened attributes, and plain text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any, cast

from simulate.model.shapes import is_list, is_object, list_of, object_of
from simulate.trace.reading.hidden import hidden
from simulate.trace.reading.parts import (
    RUN_BY_PROVIDER,
    Part,
    call_part,
    generic_part,
    kind_of,
    part_of,
    reader_of,
    response_part,
    says_failed,
    text_part,
)
from simulate.trace.reading.provider_tools import calls_in_words, provider_answer
from simulate.trace.reading.values import decoded, loose, text
from simulate.trace.span import Message

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
_BODIES = ("candidates", "output", "outputs", "response", "completion", "predictions")
"""Where the bodies of providers' answers have their messages: Gemini's, Bedrock's and others'."""
_WHO = {"tool_call_response": "tool", "tool_call": "assistant", "reasoning": "assistant"}
_PLAIN = frozenset({"role", "parts", "finish_reason"})
_BOOKKEEPING = frozenset({"agent_config_update", "agent_handoff", "cache_breakpoint"})


def incoming(value: Any) -> list[Message] | None:
    """What went into a model; a bare text is the user's."""
    found = _legible(messages(value, "user"))
    _read_observations(found or ())
    _name_answers(found or ())
    return found


def _legible(found: list[Message] | None) -> list[Message] | None:
    """The messages without words that were hidden: they are unknown, and not what was said."""
    for message in found or ():
        if any(_is_hidden(part) for part in message.parts):
            message.parts = [part for part in message.parts if not _is_hidden(part)]
    return found


def _is_hidden(part: Part) -> bool:
    return part["type"] == "text" and hidden(part.get("content"))


_CALLING, _OBSERVED = "Calling tools:\n", "Observation:\n"


def _read_observations(found: Sequence[Message]) -> None:
    """Smolagents repeats a call and its answer to the model in words."""
    for before, message in itertools.pairwise(found):
        if not (before.text.startswith(_CALLING) and message.text.startswith(_OBSERVED)):
            continue
        calls = loose(before.text.removeprefix(_CALLING))
        if is_list(calls) and len(calls) == 1 and isinstance(calls[0], dict):
            call = call_part(cast("Part", calls[0]))
            answer = message.text.removeprefix(_OBSERVED)
            before.parts = [call]
            message.role, message.parts = "tool", [response_part(call["id"], answer, call["name"])]


def _name_answers(found: Sequence[Message]) -> None:
    """Some APIs send tools' answers as the user's, and some instrumentations lose what they are: objects that
    follow right after calls are the answers to those calls, in their order."""
    armed: list[Part] = []
    for before, message in itertools.pairwise(found):
        armed = before.tool_calls or (armed if before.role == "tool" else [])
        if any(call.get("name") == message.role for call in armed):
            # LangChain's message in Langfuse's JavaScript handler has the tool's name as its role
            message.parts = [response_part(None, message.text, message.role)]
            message.role = "tool"
        calls = before.tool_calls
        if not calls or message.role != "user" or len(message.parts) > len(calls):
            continue
        results = [_object_in(part) for part in message.parts]
        if results and all(result is not None for result in results):
            message.role = "tool"
            message.parts = [
                response_part(call.get("id"), result, call.get("name"))
                for call, result in zip(calls, results, strict=False)
            ]


def _object_in(part: Part) -> dict[str, Any] | None:
    """What a part holds that is data and no words."""
    if part.get("type") == "generic":
        return {key: value for key, value in part.items() if key != "type"}
    held = decoded(part.get("content")) if part.get("type") == "text" else None
    if not is_object(held):
        return None
    return held


def outgoing(value: Any) -> list[Message] | None:
    """What came out of a model; a bare text is the assistant's."""
    found = _legible(messages(value, "assistant"))
    for message in found or ():
        if message.role == "assistant" and not message.tool_calls:
            message.parts += calls_in_words(message)
    return found


_CUT_OFF = re.compile(
    r"\s*[\[{][\s\[{]*[\"'](role|parts|messages|choices|candidates|message|generations|lc)[\"']\s*:"
)
"""How JSON of messages begins; where that is a text still, its end is missing: exporters cut long values."""


def messages(value: Any, role: str) -> list[Message] | None:
    """Messages of any known shape; ``role`` is taken where the source names none. None where there are
    none."""
    value = decoded(value)
    if value is None or value in ("", "null", {}) or (isinstance(value, str) and _CUT_OFF.match(value)):
        return None
    if is_list(value):
        return _from_list(value, role)
    if is_object(value):
        return _from_dict(value, role)
    return [Message(role, [text_part(text(value) or "")])]


def says_nothing(value: object) -> bool:
    """Whether a field of a view tells nothing: None, empty, or messages without a part, as some write where
    they put the answer into other attributes."""
    if is_list(value) and value:
        return all(isinstance(one, Message) and not one.parts for one in value)
    return value is None or value in ("", [], {})


def _from_list(values: list[Any], role: str) -> list[Message] | None:
    values = [decoded(value) for value in values]
    if len(values) == 1 and isinstance(values[0], list):
        return _from_list(cast("list[Any]", values[0]), role)
    if values and all(is_object(value) and _is_part(value) for value in values):
        return _parts_only(cast("list[Part]", values), role)
    found = [message for value in values for message in messages(value, role) or ()]
    return found or None


def _is_part(value: Part) -> bool:
    return "role" not in value and reader_of(kind_of(value)) is not None


def _parts_only(values: list[Part], role: str) -> list[Message]:
    """Parts without a message round them, as the responses API has them: results are the tool's."""
    found: list[Message] = []
    for value in values:
        for part in _with_answer(value):
            who = _WHO.get(part["type"], role)
            if found and found[-1].role == who:
                found[-1].parts.append(part)
            else:
                found.append(Message(who, [part]))
    return found


def _with_answer(item: Any) -> list[Part]:
    """A part, and what came of it where the provider ran it."""
    part, told = part_of(item), decoded(item)
    answer = provider_answer(told) if is_object(told) and part["type"] == "tool_call" else None
    return [part] if answer is None else [part, answer]


def _from_dict(value: dict[str, Any], role: str) -> list[Message] | None:
    if isinstance(value.get("parts"), list) and value.keys() <= _PLAIN:
        return [_plain(value, role)]
    inner: Any = decoded(value.get("message"))
    if isinstance(inner, (dict, list)) and "role" not in value:
        inner = cast("Any", {"role": role, "content": inner} if isinstance(inner, list) else inner)
        return _ended(messages(inner, role), value)
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
        name = str(path[-1]) if is_list(path) and path else ""
        return messages({"type": _ROLES.get(name, name), **value["kwargs"]}, role)
    if str(value.get("type")) in _BOOKKEEPING:
        return None
    content = value.get("content")
    if is_object(content) and "parts" in content and "role" not in value:
        return _ended(messages(content, role), value)
    if _is_part(value):
        return _parts_only([value], role)
    if _has_content(value):
        return [_message(value, role)]
    body = next((value[key] for key in _BODIES if isinstance(value.get(key), dict | list)), None)
    return _ended(messages(body, role), value) if body else [Message(role, [generic_part(value)])]


def _ended(found: list[Message] | None, around: dict[str, Any]) -> list[Message] | None:
    """The messages, the last with the reason that stands beside them."""
    if found and found[-1].finish_reason is None:
        found[-1].finish_reason = _reason(around)
    return found


def _reason(value: dict[str, Any]) -> str | None:
    told = next((value[key] for key in _REASONS if value.get(key) is not None), None)
    return None if told is None else str(told)


_REASONS = ("finish_reason", "finishReason", "stop_reason", "stopReason")


def _has_content(value: dict[str, Any]) -> bool:
    keys = ("content", "contents", "parts", "tool_calls", "function_call", "role", "text", "toolCalls")
    return any(key in value for key in keys)


def _system_first(value: dict[str, Any], found: list[Message] | None) -> list[Message] | None:
    config = value.get("config")
    system = value.get("system") or (object_of(config).get("system_instruction"))
    if system:
        return [*(messages(system, "system") or ()), *(found or ())]
    return found


def _plain(value: dict[str, Any], default: str) -> Message:
    """A message just as the conventions have it, which is what most are; the same as `_message` makes of
    it, sooner."""
    parts: list[Part] = []
    for item in cast("list[Any]", value["parts"]):
        told: Any = object_of(item).get("type")
        kind = told if isinstance(told, str) else ""
        read = reader_of(kind)
        if kind in RUN_BY_PROVIDER:
            parts += _with_answer(item)
        elif read is not None:
            parts.append(read(cast("Part", item)))
        elif not _bookkeeping(item):
            parts.append(part_of(item))
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
        parts.append(response_part(call_id, content, value.get("name"), failed=says_failed(value)))
    else:
        parts.extend(_content(content))
    calls = _calls(value)
    if any(call["name"] for call in calls):
        # told in the content once more, by some without its name
        parts = [part for part in parts if part["type"] != "tool_call"]
    parts.extend(calls)
    if role == "user" and parts and all(part["type"] == "tool_call_response" for part in parts):
        role = "tool"
    return Message(role, parts, _reason(value))


def _holds_parts(content: Any) -> bool:
    """Whether tool content already comes as tool results (Vercel, the conventions) and not as the bare
    answer."""
    if not is_list(content):
        return False
    kinds = {"tool-result", "tool_result", "tool_call_response", "tool-return"}
    return any(
        is_object(item)
        and ("toolResult" in item or "tool_call_result" in item or str(item.get("type")) in kinds)
        for item in content
    )


def _content(content: Any) -> list[Part]:
    content = decoded(content) if isinstance(content, str) and content[:2] in ("[{", '{"') else content
    if content is None or content == "":
        return []
    if is_list(content):
        return [part for item in content if not _bookkeeping(item) for part in _with_answer(item)]
    if isinstance(content, dict):
        return [part_of(content)]
    return [text_part(str(content))]


def _bookkeeping(item: Any) -> bool:
    return is_object(item) and str(item.get("type")) in _BOOKKEEPING


def _calls(value: dict[str, Any]) -> list[Part]:
    extra = value.get("additional_kwargs")
    calls = value.get("tool_calls") or value.get("toolCalls")
    if not calls and is_object(extra):
        calls = extra.get("tool_calls")
    calls = decoded(calls)
    if is_object(calls):
        calls = [calls]
    found = [call_part(call) for call in list_of(calls) if is_object(call)]
    alone = value.get("function_call")
    if is_object(alone) and not found:
        found.append(call_part(alone))
    elif value.get("function_call_name"):
        found.append(
            call_part(
                {"name": value["function_call_name"], "arguments": value.get("function_call_arguments_json")}
            )
        )
    return found
