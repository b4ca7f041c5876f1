"""What a span says in words, in a line or two: what went in and what came out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from simulate.trace.span import Kind, Message, View

LONG = 400
"""Characters of one line; who needs more opens the page or the JSON."""


def said(view: View) -> Iterator[str]:
    """``› what went in`` and ``‹ what came out``, as far as the span tells; nothing for steps in between."""
    if view.kind is Kind.LLM:
        last = view.input[-1] if view.input else None
        if last is not None and last.role in ("user", "human"):
            yield from _line("›", last.text)
        for message in view.output or ():
            yield from _line("‹", _told(message))
    elif view.kind is Kind.TOOL:
        yield from _line("›", view.tool_arguments)
        yield from _line("‹", view.tool_result)
    elif view.kind is Kind.RETRIEVER:
        yield from _line("›", view.query)
        for each in view.documents or ():
            score = each.get("score")
            about = [str(each["id"])] if each.get("id") is not None else []
            about += [f"{score:.3g}"] if isinstance(score, float | int) else []
            head = f"[{' '.join(about)}] " if about else ""
            yield from _line("‹", head + _text(each.get("content")))
    elif view.kind is Kind.HANDOFF:
        yield from _line("›", view.input_value)
    yield from _line("›", view.voice.get("transcript"))
    if view.kind in (Kind.TTS, Kind.TURN):
        yield from _line("‹", view.voice.get("text"))


def _told(message: Message) -> str:
    calls = [f"{call.get('name')}({_text(call.get('arguments'))})" for call in message.tool_calls]
    return " ".join([*([message.text] if message.text.strip() else []), *calls])


def _line(mark: str, value: Any) -> Iterator[str]:
    text = " ".join(_text(value)[: 4 * LONG].split())
    if text:
        yield f"{mark} {text[:LONG]}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
