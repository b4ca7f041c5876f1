"""What of a span counts as its content, in one form for all dialects.

Identities, moments and ordinals (span ids, call ids, response ids, times, step numbers) are left out here,
so that nothing after this page can mistake them for a change.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b
from typing import Any, cast

import orjson

from simulate.model.shapes import is_list, is_object
from simulate.trace.span import Attributes, Kind, Message, Span, View

_SPACE = re.compile(r"\s+")
_IDENTITY = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b(?:call|chatcmpl|msg|resp|toolu|run|ctx|item|speech)[_-][A-Za-z0-9]{8,}(?:-[0-9a-f-]+)?\b"
    r"|\b0x[0-9a-f]{6,}\b",
    re.IGNORECASE,
)
_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', " ": " ", "–": "-", "—": "-"})
_IDENTITY_KEYS = frozenset(
    {"call_id", "tool_call_id", "toolCallId", "tool_use_id", "run_id", "trace_id", "span_id"}
)
_LONG = 20_000
DEEPEST = 60
"""Levels of nesting that are compared."""


def plain_text(text: str) -> str:
    """Text as far as its wording goes: spaces, case, quotes, closing stops and generated ids do not count."""
    text = _SPACE.sub(" ", text).strip()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    if "-" in text or "_" in text or "0x" in text:
        text = _IDENTITY.sub("<id>", text)
    return text.casefold().rstrip(" .!")


def plain(value: Any, depth: int = 0) -> Any:
    """A value with JSON texts opened and generated ids gone; texts keep their wording."""
    if isinstance(value, str):
        return _opened(value, depth)
    if depth > DEEPEST:
        return f"{type(value).__name__} nested too deeply to compare"
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value)
        return {str(key): plain(item, depth + 1) for key, item in items.items() if key not in _IDENTITY_KEYS}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in cast("list[Any]", value)]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes, {blake2b(value, digest_size=8).hexdigest()}>"
    if isinstance(value, float):
        # NaN is not equal to itself, but a trace is
        return "NaN" if value != value else int(value) if value.is_integer() else value
    return value


def _opened(text: str, depth: int) -> Any:
    stripped = text.strip()
    if stripped[:1] in ("{", "[") and stripped[-1:] in ("}", "]"):
        try:
            return plain(orjson.loads(stripped), depth + 1)
        except orjson.JSONDecodeError:
            pass
    if "-" in text or "_" in text or "0x" in text:
        return _IDENTITY.sub("<id>", text)
    return text


def dumped(value: Any) -> bytes:
    """A stable text of a plain value, for hashing and for equality."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, orjson.JSONEncodeError):
        # integers beyond 64 bits and the like; exact wording matters less than never failing
        return repr(value).encode("utf-8", "surrogatepass")


def same(one: Any, other: Any) -> bool:
    """Equal as values, where texts are compared by their wording only."""
    if one == other:
        return True
    if isinstance(one, str) and isinstance(other, str):
        return plain_text(one) == plain_text(other)
    if is_object(one) and is_object(other):
        first, second = one, other
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if is_list(one) and is_list(other):
        left, right = one, other
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return False


def label(span: Span, view: View) -> str:
    """What a person calls the span, apart from what went through it."""
    kind = view.kind
    if kind is Kind.TOOL and view.tool_name:
        return f"TOOL {view.tool_name}"
    if kind is Kind.LLM:
        return "LLM"
    if kind is Kind.AGENT:
        return f"AGENT {view.agent_name}" if view.agent_name else "AGENT"
    if kind in _NAMELESS:
        return kind.value
    name = span.name
    if "-" in name or "_" in name:
        name = _IDENTITY.sub("<id>", name)
    return f"{kind.value} {name}"


_NAMELESS = frozenset({Kind.STT, Kind.TTS, Kind.CONVERSATION, Kind.EMBEDDING, Kind.RERANKER})


def said(messages: list[Message] | None) -> str | None:
    """The text of messages; None when none was captured."""
    if messages is None:
        return None
    return "\n".join(text for message in messages if (text := message.text))


def asked(messages: list[Message] | None) -> list[tuple[str, Any]]:
    """The tool calls that messages ask for, as name and plain arguments."""
    return [
        (str(part.get("name") or ""), plain(part.get("arguments")))
        for message in messages or ()
        for part in message.tool_calls
    ]


_ADDRESSED = (
    "url.full", "http.url", "http.target", "url.path", "http.route", "db.query.text", "db.statement",
    "rpc.method", "messaging.destination.name",
)  # fmt: skip
"""What a span of plain plumbing was about, best first."""


def content(span: Span, view: View) -> Attributes:
    """The content of a span, field by field; a field that the span does not say is absent."""
    found: Attributes = {}
    reader = _BY_KIND.get(view.kind)
    if reader is None:
        _other(view, found)
        for name in _ADDRESSED:
            if name in span.attributes:
                found["address"] = plain(span.attributes[name])
                break
    else:
        reader(view, found)
    if view.error is not None or span.status == "error":
        found["error"] = _clip(view.error or span.status_message or "error")
    return {key: value for key, value in found.items() if value is not None and value not in ("", [])}


def _tool(view: View, found: Attributes) -> None:
    found["tool"] = view.tool_name
    found["arguments"] = plain(view.tool_arguments if view.tool_arguments is not None else view.input_value)
    found["result"] = plain(view.tool_result if view.tool_result is not None else view.output_value)


def _llm(view: View, found: Attributes) -> None:
    found["model"] = view.request_model or view.response_model
    found["said"] = _clip(said(view.output) or (_text(view.output_value) if view.output is None else None))
    calls = asked(view.output)
    if calls:
        found["asked"] = [list(call) for call in calls]
    if view.input:
        last = view.input[-1]
        found["heard"] = _clip(last.text or dumped([plain(part) for part in last.parts]).decode())
    elif view.input_value is not None:
        found["heard"] = _clip(_text(view.input_value))


def _retriever(view: View, found: Attributes) -> None:
    found["query"] = view.query or _text(view.input_value)
    if view.documents is not None:
        found["documents"] = [
            document.get("id") or _clip(_text(document.get("content"))) for document in view.documents
        ]


def _handoff(view: View, found: Attributes) -> None:
    found["from"], found["to"] = view.handoff_from, view.handoff_to


def _speech(view: View, found: Attributes) -> None:
    for key in ("transcript", "text", "language", "voice", "interrupted"):
        found[key] = view.voice.get(key)
    found["model"] = view.request_model


def _other(view: View, found: Attributes) -> None:
    found["input"] = _clip(_text(view.input_value) or said(view.input))
    found["output"] = _clip(_text(view.output_value) or said(view.output))


_BY_KIND = {
    Kind.TOOL: _tool,
    Kind.LLM: _llm,
    Kind.RETRIEVER: _retriever,
    Kind.HANDOFF: _handoff,
    Kind.STT: _speech,
    Kind.TTS: _speech,
    Kind.TURN: _speech,
}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return dumped(plain(value)).decode("utf-8", "replace")


def _clip(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONG else f"{text[:_LONG]}… {len(text)} characters"
