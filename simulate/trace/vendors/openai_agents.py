"""OpenAI's Agents SDK: the spans of its own tracing, as its exporter sends them and files hold them.

What each says becomes the attribute of the GenAI conventions that means the same; what has none is kept under
``openai.agents.``. Instrumentations of the SDK write dialects of their own.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulate.model.json_values import to_json
from simulate.model.text import line
from simulate.trace.files import base
from simulate.trace.files.base import Format, Notes, Record
from simulate.trace.span import Attributes, Span

_KINDS = {
    "agent": "AGENT", "function": "TOOL", "generation": "LLM", "response": "LLM", "handoff": "HANDOFF",
    "guardrail": "GUARDRAIL", "transcription": "STT", "speech": "TTS", "task": "WORKFLOW", "turn": "TURN",
}  # fmt: skip
_OPERATIONS = {"agent": "invoke_agent", "function": "execute_tool", "generation": "chat", "response": "chat"}
_NAMES = {
    ("agent", "name"): "gen_ai.agent.name",
    ("function", "name"): "gen_ai.tool.name",
    ("function", "input"): "gen_ai.tool.call.arguments",
    ("function", "output"): "gen_ai.tool.call.result",
    ("generation", "model"): "gen_ai.request.model",
    ("generation", "input"): "gen_ai.input.messages",
    ("generation", "output"): "gen_ai.output.messages",
    ("response", "response_id"): "gen_ai.response.id",
    ("handoff", "from_agent"): "gen_ai.handoff.source",
    ("handoff", "to_agent"): "gen_ai.handoff.target",
}


def fits(document: Any) -> bool:
    """A trace or a span of the SDK, a list of them, or the ``{"data": […]}`` that its exporter posts."""
    if isinstance(document, list):
        return bool(document) and fits(document[0])
    if not isinstance(document, dict):
        return False
    if isinstance(document.get("data"), list):
        return fits(document["data"])
    return document.get("object") in ("trace", "trace.span")


def spans(document: Any, notes: Notes) -> Iterator[Span]:
    """The spans of the document; a trace's own record holds none."""
    if isinstance(document, dict):
        document = document["data"] if isinstance(document.get("data"), list) else [document]
    return base.each(document, lambda raw: _span(raw, notes), notes)


def _span(raw: Record, notes: Notes) -> Span | None:
    if raw.get("object") == "trace":
        return None
    data: Record = raw["span_data"]
    kind = str(data.get("type"))
    name = str(data.get("name") or kind)
    error = raw.get("error")
    span = Span(
        str(raw["trace_id"]),
        str(raw["id"]),
        name,
        base.text_or_none(raw.get("parent_id")),
        *base.times(raw.get("started_at"), raw.get("ended_at"), notes, f"span {line(name, 40)}"),
        _attributes(kind, data),
        status="error" if error else "unset",
        status_message=base.text_or_none(error.get("message") if isinstance(error, dict) else error),
        scope="openai.agents",
    )
    base.note_size(span, notes)
    return span


def _attributes(kind: str, data: Record) -> Attributes:
    found: Attributes = {"openai.agents.type": kind}
    if kind in _KINDS:
        found["gen_ai.span.kind"] = _KINDS[kind]
    if kind in _OPERATIONS:
        found["gen_ai.operation.name"] = _OPERATIONS[kind]
    for key, value in data.items():
        if key == "usage" and isinstance(value, dict):
            tokens = {name: value.get(name) for name in ("input_tokens", "output_tokens")}
            found |= {f"gen_ai.usage.{name}": count for name, count in tokens.items() if count is not None}
        elif key != "type" and value is not None:
            found[_NAMES.get((kind, key), f"openai.agents.{key}")] = _text(value)
    return found


def _text(value: Any) -> Any:
    return value if isinstance(value, str | bool | int | float) else to_json(value).decode()


FORMAT = Format("OpenAI Agents SDK", 25, fits, spans)
