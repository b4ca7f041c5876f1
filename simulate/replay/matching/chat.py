"""The chat form: what a model request says, whatever its wire or its trace looked like.

A production trace does not hold the bytes of a request, only its messages. So a recording made from a trace,
and a live request that is to be matched against it, are both brought to the same flat list of atoms:
``[role, "text", text]``, ``["assistant", "call", name, arguments]``, ``["tool", "result", value]``. Grouping,
call ids, reasoning and empty parts mean nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import orjson

from simulate.model.shapes import is_list, is_object
from simulate.replay.matching.components import parts_of
from simulate.replay.matching.json_values import plain
from simulate.replay.matching.keys import digest
from simulate.replay.matching.rules import Rules
from simulate.trace.reading.messages import incoming
from simulate.trace.span import Message, View

ENDPOINT = "chat"
_CHAT_PATHS = ("/chat/completions", "/responses", "/messages", "/converse", "/converse-stream")

Atom = list[Any]


def is_chat(endpoint: str) -> bool:
    """Whether a request of this endpoint is a conversation with a model."""
    path = endpoint.rsplit(" ", 1)[-1]
    return path.endswith(_CHAT_PATHS) or path.endswith((":generateContent", ":streamGenerateContent"))


def chat_key(form: dict[str, Any]) -> str:
    """The key of a chat form: the messages alone. The other parts are compared where the trace knows them."""
    return digest(ENDPOINT, (), "json", form["history"])


def form_of_request(endpoint: str, body: Any, rules: Rules) -> dict[str, Any] | None:
    """The chat form of an HTTP request's body; None where it is not a conversation."""
    parts = parts_of(endpoint, body)
    if parts is None:
        return None
    system = atoms(incoming(_wrapped(parts.system, "system")) or [])
    return rules.value(
        {
            "model": parts.model,
            "system": [atom[-1] for atom in system if atom[1] == "text"],
            "tools": tool_schemas(parts.tools),
            "parameters": plain(parts.parameters),
            "history": atoms(incoming(_wrapped(parts.history, "user")) or []),
        }
    )


def form_of_view(view: View, rules: Rules) -> dict[str, Any]:
    """The chat form of a trace's model span; parts that the trace does not say are None."""
    messages = list(view.input or [])
    system: list[str] = [view.instructions] if view.instructions else []
    while messages and messages[0].role in {"system", "developer"}:
        text = messages.pop(0).text
        if text and text.strip() not in [one.strip() for one in system]:
            system.append(text)
    return rules.value(
        {
            "model": view.request_model,
            "system": [text.strip() for text in system] or None,
            "tools": tool_schemas(view.tool_definitions),
            "parameters": plain(view.parameters) or None,
            "history": atoms(messages),
        }
    )


def _wrapped(messages: list[Any], role: str) -> list[Any]:
    """Plain texts and parts without a role as messages, so that all read alike."""
    wrapped: list[Any] = []
    for message in messages:
        if isinstance(message, (str, list)):
            wrapped.append({"role": role, "content": message})
        elif is_object(message) and "role" not in message and "parts" in message:
            wrapped.append({**message, "role": role})
        else:
            wrapped.append(message)
    return wrapped


def atoms(messages: Iterable[Message]) -> list[Atom]:
    """Messages as a flat list of what was said, called and returned."""
    found: list[Atom] = []
    for message in messages:
        texts: list[str] = []
        role = {"developer": "system", "model": "assistant", "human": "user"}.get(message.role, message.role)

        def flush(role: str = role, texts: list[str] = texts) -> None:
            text = "".join(texts).strip()
            texts.clear()
            if text:
                # a tool's message with plain text is its result
                found.append(["tool", "result", parsed(text)] if role == "tool" else [role, "text", text])

        for part in message.parts:
            kind = part.get("type")
            if kind == "text":
                texts.append(str(part.get("content", "")))
            elif kind == "tool_call":
                flush()
                found.append(["assistant", "call", str(part.get("name")), parsed(part.get("arguments"))])
            elif kind == "tool_call_response":
                flush()
                found.append(["tool", "result", parsed(part.get("response", part.get("result")))])
            elif kind not in {"reasoning", "thinking"}:
                flush()
                found.append([role, str(kind), plain({k: v for k, v in part.items() if k != "type"})])
        flush()
    return found


def parsed(value: Any) -> Any:
    """JSON inside a text as the value it is; texts stripped: a result reads alike however it was written."""
    if isinstance(value, str):
        text = value.strip()
        if text[:1] in {"{", "["}:
            try:
                return orjson.loads(text)
            except orjson.JSONDecodeError:
                return text
        return text
    if is_list(value):
        parts = value
        if parts and all(isinstance(part, dict) and "text" in part for part in parts):
            return parsed("".join(str(part["text"]) for part in parts))
    return plain(value)


def tool_schemas(tools: Any) -> list[dict[str, Any]] | None:
    """Tools as name, description and parameters, in the order given; None where nothing is known of them."""
    if isinstance(tools, str):
        tools = parsed(tools)
    if is_object(tools):
        tools = tools.get("tools")
    if not is_list(tools) or not tools:
        return None
    schemas: list[dict[str, Any]] = []
    for tool in tools:
        tool = parsed(tool)
        if not is_object(tool):
            continue
        member = tool
        for group in ("functionDeclarations", "function_declarations"):
            if group in member:
                schemas += tool_schemas(member[group]) or []
                break
        else:
            inside = [member[key] for key in ("function", "toolSpec") if isinstance(member.get(key), dict)]
            inner = cast("dict[str, Any]", inside[0]) if inside else member
            schemas.append(
                {
                    "name": inner.get("name") or inner.get("type"),
                    "description": inner.get("description"),
                    "parameters": inner.get("parameters")
                    or inner.get("input_schema")
                    or inner.get("inputSchema"),
                }
            )
    return schemas or None


def contradicts(recorded: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a request differs in a part that the trace is sure of."""
    system = recorded.get("system")
    return (
        not same_model(recorded.get("model"), now.get("model"))
        or (system is not None and system != now.get("system"))
        or _tools_differ(recorded.get("tools"), now.get("tools"))
        or _parameters_differ(recorded.get("parameters"), now.get("parameters"))
    )


_DATED = re.compile(r"[-@]\d{4}-?\d{2}-?\d{2}(?:-v\d+(?::\d+)?)?$|-v\d+:\d+$")
_PREFIX = re.compile(r"^(?:.*/)?(?:(?:us|eu|apac|global)\.)?(?:(?:anthropic|amazon|meta|mistral|cohere)\.)?")


def same_model(recorded: str | None, now: str | None) -> bool:
    """Whether a trace's model may be the one that is asked for: many instrumentations tell the name that
    answered, with its date or its provider, where the request has neither."""
    if recorded is None or recorded == now:
        return True
    if now is None:
        return False
    for part in (_DATED, _PREFIX):
        one, other = part.search(recorded), part.search(now)
        if bool(one and one[0]) != bool(other and other[0]):  # one of the two has it
            recorded, now = part.sub("", recorded), part.sub("", now)
    return recorded == now


def told_by_both(recorded: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """A request, with the recording's own parts where the trace tells nothing of them or all that it tells
    is the same: nobody knows whether they changed."""
    told = {**now}
    if recorded.get("model") is not None and same_model(recorded["model"], now.get("model")):
        told["model"] = recorded["model"]
    for part in ("model", "system", "tools", "parameters"):
        if recorded.get(part) is None and part in recorded:
            told[part] = None
    if told.get("tools") is not None and not _tools_differ(recorded.get("tools"), now["tools"]):
        told["tools"] = recorded["tools"]
    if told.get("parameters") is not None:
        known = cast("dict[str, Any]", recorded.get("parameters") or {})
        told["parameters"] = {name: value for name, value in now["parameters"].items() if name in known}
    return told


def _tools_differ(recorded: Any, now: Any) -> bool:
    if recorded is None:
        return False
    if all(
        tool.get("parameters") is None for tool in cast("list[dict[str, Any]]", recorded)
    ):  # the trace has their names only
        return [tool["name"] for tool in recorded] != [
            tool["name"] for tool in cast("list[dict[str, Any]]", now or [])
        ]
    return recorded != now


_TOKENS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def _parameters_differ(recorded: Any, now: Any) -> bool:
    then = cast("dict[str, Any]", recorded or {})
    return any(name in (now or {}) and now[name] != value for name, value in then.items())
