"""Tools in an answer that are no function calls of the agent's code: those that the provider runs itself, and
those that a model asked for in words, which its server did not take apart."""

from __future__ import annotations

import json
import re
from typing import Any

from simulate.model.shapes import is_list, is_object
from simulate.trace.reading.parts import RUN_BY_PROVIDER, Part, arguments_of, response_part
from simulate.trace.span import Message

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


_HERMES, _MISTRAL, _LLAMA = "<tool_call>", "[TOOL_CALLS]", "<function="
_NAME = re.compile(r'"name"\s*:\s*"(?P<name>[^"]+)"')


def calls_in_words(message: Message) -> list[Part]:
    """The calls that a message asks for in the words of Hermes and Qwen, of Mistral or of Llama."""
    text = message.text
    if _HERMES in text:
        bodies = [one.partition("</tool_call>")[0] for one in text.split(_HERMES)[1:]]
        return [call for body in bodies for call in _calls(body)]
    if _MISTRAL in text:
        return _calls(text.partition(_MISTRAL)[2])
    if _LLAMA in text:
        found: list[Part] = []
        for one in text.split(_LLAMA)[1:]:
            name, _, body = one.partition(">")
            arguments = _loaded(body.partition("</function>")[0])
            found.append(_call({"name": name.strip(), "arguments": arguments}))
        return found
    alone = _loaded(text.removeprefix(_TAG)) if text.startswith(_TAG) else None
    return [_call(one) for one in (*message.parts, alone) if is_object(one) and _is_call(one)]


_TAG = "<|python_tag|>"


def _calls(body: str) -> list[Part]:
    """The calls in one text; of one that cannot be read, the name."""
    told = _loaded(body)
    found = [one for one in (told if is_list(told) else [told]) if is_object(one)]
    calls = [_call(one) for one in found if isinstance(one.get("name"), str)]
    name = None if calls else _NAME.search(body)
    return calls if name is None else [_call({"name": name["name"], "arguments": body.strip()})]


def _is_call(told: Part) -> bool:
    """Whether an object that is a whole answer is a call, as Llama writes one."""
    given = told.get("parameters", told.get("arguments"))
    return is_object(given) and isinstance(told.get("name"), str) and told.keys() <= _MEMBERS


_MEMBERS = {"type", "name", "parameters", "arguments"}


def _call(told: Part) -> Part:
    arguments = arguments_of(told.get("arguments", told.get("parameters")))
    return {"type": "tool_call", "id": None, "name": told["name"], "arguments": arguments}


def _loaded(text: str) -> Any:
    try:
        return _DECODER.raw_decode(text.strip())[0]
    except (ValueError, RecursionError):
        return None


_DECODER = json.JSONDecoder()
