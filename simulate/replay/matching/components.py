"""What a model request is made of, so that a divergence can name the part that changed.

Parts are read from the canonical body of OpenAI's chat and responses, Anthropic's messages, Google's
generateContent and Bedrock's converse, and from the chat form of recordings that were made from a trace.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulate.model.shapes import is_list, is_object, list_of
from simulate.replay.matching.json_values import short_hash


@dataclass(slots=True)
class Parts:
    """One model request, taken apart. ``history`` holds the messages after the system prompt."""

    model: str | None = None
    system: list[Any] = field(default_factory=list[Any])
    tools: Any = None
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    history: list[Any] = field(default_factory=list[Any])
    paths: list[str] = field(default_factory=list[str])
    """Where in the body each message of ``history`` stands."""


_SYSTEM_FIELDS = ("system", "instructions", "systemInstruction", "system_instruction")
_TOOL_FIELDS = ("tools", "functions", "toolConfig")
_HISTORY_FIELDS = ("messages", "input", "contents", "history")
_BOOKKEEPING = ("stream", "stream_options")


def parts_of(endpoint: str, body: Any) -> Parts | None:
    """The parts of a model request; None for any other request."""
    if not is_object(body):
        return None
    members = body
    name = next((name for name in _HISTORY_FIELDS if name in members), None)
    if name is None:
        return None
    parts = Parts(model=_model(endpoint, members))
    history = members[name]
    messages = history if is_list(history) else [history]
    for index, message in enumerate(messages):
        if role_of(message) in {"system", "developer"} and not parts.history:
            parts.system.append(message)
        else:
            parts.history.append(message)
            parts.paths.append(f"$.{name}[{index}]" if is_list(history) else f"$.{name}")
    for field_name, value in members.items():
        if field_name in _SYSTEM_FIELDS:
            parts.system.append(value)
        elif field_name in _TOOL_FIELDS:
            parts.tools = value
        elif field_name not in {name, "model", *_BOOKKEEPING}:
            parts.parameters[field_name] = value
    if not parts.tools:
        parts.tools = None
    return parts


def _model(endpoint: str, body: dict[str, Any]) -> str | None:
    if isinstance(body.get("model"), str):
        return body["model"]
    path = endpoint.rsplit(" ", 1)[-1]
    if path.startswith(("/models/", "/model/")):
        return path.split("/")[2].partition(":")[0]
    return None


def role_of(message: Any) -> str:
    """Who a message is from; a tool's result is ``tool`` in every provider's shape."""
    if isinstance(message, str):
        return "user"
    if is_list(message):  # an atom of the chat form: [role, type, …]
        return str(message[0]) if message else ""
    if not is_object(message):
        return ""
    member = message
    if member.get("type") in {"function_call_output", "mcp_call_output"}:
        return "tool"
    for parts in (member.get("content"), member.get("parts")):
        for part in list_of(parts):
            if is_object(part) and (
                part.get("type") == "tool_result" or "functionResponse" in part or "toolResult" in part
            ):
                return "tool"
    return str(member.get("role") or member.get("type") or "")


def fingerprint(endpoint: str, body: Any) -> dict[str, str]:
    """A short hash for each part; ``history`` is one hash a message, separated by spaces."""
    parts = parts_of(endpoint, body)
    if parts is None:
        return {"body": short_hash(body)}
    return {
        "model": parts.model or "",
        "system": short_hash(parts.system) if parts.system else "",
        "tools": short_hash(parts.tools) if parts.tools is not None else "",
        "parameters": short_hash(parts.parameters) if parts.parameters else "",
        "history": " ".join(short_hash(message) for message in parts.history),
    }
