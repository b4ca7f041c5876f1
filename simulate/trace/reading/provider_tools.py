"""Tools in an answer that are no function calls of the agent's code: those that the provider runs itself, and
those that a model asked for in words, which its server did not take apart."""

from __future__ import annotations

import re
from typing import Any

import orjson

from simulate.model.shapes import is_list, is_object
from simulate.trace.reading.parts import RUN_BY_PROVIDER, Part, arguments_of, response_part

_RESULTS = ("output", "outputs", "results", "result")


def provider_answer(held: Part) -> Part | None:
    """What came of a call that the provider ran; None where it does not say that it ran."""
    if held.get("type") not in RUN_BY_PROVIDER:
        return None
    call_id, error = held.get("call_id") or held.get("id"), held.get("error")
    if error is not None or held.get("status") == "failed":
        return response_part(call_id, error or "it failed", failed=True)
    result = next((held[key] for key in _RESULTS if held.get(key) is not None), None)
    if result is not None:
        return response_part(call_id, result)
    if held.get("status") == "completed":
        return {"type": "tool_call_response", "id": call_id, "untold": True}
    return None


_IN_WORDS = re.compile(
    r"<tool_call>\s*(?P<hermes>\{.*?\})\s*(?:</tool_call>|$)"
    r"|\[TOOL_CALLS\]\s*(?P<mistral>\[.*\])"
    r"|<function=(?P<name>[\w.:-]+)>\s*(?P<llama>\{.*?\})?\s*(?:</function>|$)",
    re.DOTALL,
)
_MARKS = ("<tool_call>", "[TOOL_CALLS]", "<function=")


def calls_in_words(text: str) -> list[Part]:
    """The calls that a text asks for in the words of Hermes and Qwen, of Mistral or of Llama."""
    if not any(mark in text for mark in _MARKS):
        return []
    found: list[Part] = []
    for at in _IN_WORDS.finditer(text):
        told = _loaded(at["hermes"] or at["mistral"] or at["llama"] or "{}")
        if at["name"]:
            told = {"name": at["name"], "arguments": told}
        for one in told if is_list(told) else [told]:
            if is_object(one) and isinstance(one.get("name"), str):
                arguments = arguments_of(one.get("arguments", one.get("parameters")))
                found.append({"type": "tool_call", "id": None, "name": one["name"], "arguments": arguments})
    return found


def _loaded(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None
