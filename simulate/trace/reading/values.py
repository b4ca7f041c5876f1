"""Readers of single attribute values: one instrumentation writes 42, the next "42", a third a JSON string.

Each takes whatever a span holds and returns the value, or None where the span says nothing usable.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

import orjson

from simulate.model.shapes import is_list, is_object, object_of
from simulate.trace.otlp.ids import clean
from simulate.trace.reading.hidden import hidden

Reader = Callable[[Any], Any]

SAYS_NOTHING = frozenset({"", "unknown", "NOT_GIVEN", "None", "null"})
"""What instrumentations write where they know nothing."""


def text(value: Any) -> str | None:
    """A text; numbers are written out, structures as JSON."""
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def known(value: Any) -> str | None:
    """A name, unless it is one of the texts that stand for not knowing."""
    found = value if isinstance(value, str) else text(value)
    return None if found is None or found in SAYS_NOTHING else found


_FRAMEWORKS = frozenset({
    "agno", "autogen", "crewai", "gateway", "gcp.vertex.agent", "haystack", "langchain", "langgraph",
    "llamaindex", "llama_index", "microsoft.agent_framework", "pydantic-ai", "pydantic_ai", "semantic_kernel",
    "smolagents", "spring_ai", "strands-agents",
})  # fmt: skip
_API = re.compile(r"\.(chat|completion|completions|embedding|generative-ai|messages|responses)$")


def provider(value: Any) -> str | None:
    """Who serves the model, without the name of the API; a framework that calls it is not who serves it."""
    found = known(value)
    return None if found is None or found.lower() in _FRAMEWORKS else _API.sub("", found)


def integer(value: Any) -> int | None:
    """A whole number, also from a text; never from a truth value."""
    if type(value) is int:
        return value
    found = number(value)
    return None if found is None else int(found)


def number(value: Any) -> float | None:
    """A finite number, also from a text; never from a truth value."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    return None


def milliseconds(value: Any) -> float | None:
    """Milliseconds, as seconds."""
    found = number(value)
    return None if found is None else found / 1000


def flag(value: Any) -> bool | None:
    """A truth value, also from the texts ``true`` and ``false``."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower())


def as_is(value: Any) -> Any:
    """The value, with a JSON object or array in a text read out."""
    return decoded(value)


def loose(value: Any) -> Any:
    """Like ``as_is``, and also out of Python's own notation of a dict or list (``str`` of a result)."""
    value = decoded(value)
    if isinstance(value, str) and value[:2] in ("{'", "['", "[{"):
        return printed(value)
    return value


def printed(value: str) -> Any:
    """What Python printed, read back; the text itself where it is nothing that can be."""
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def given(value: Any) -> Any:
    """A parameter, unless it was not given."""
    return None if isinstance(value, str) and value in SAYS_NOTHING else decoded(value)


def decoded(value: Any) -> Any:
    """What a text holds if it is a JSON object, array or quoted text; else the value itself."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str) and value[:1] in ("{", "[", '"'):
        try:
            return orjson.loads(value)
        except ValueError:
            return _lenient(value)
    return value


def _lenient(value: str) -> Any:
    """Python's own JSON also has NaN, which the standard has not; halves of emojis become U+FFFD."""
    try:
        found = json.loads(value)
        if "\\ud" not in value.lower():
            return found
        return json.loads(clean(json.dumps(found, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return value


def cut_off(value: Any) -> bool:
    """Whether it is the beginning of a JSON object or list: exporters cut long values."""
    return isinstance(value, str) and value[:2] in ('{"', "{'", "[{", '["') and isinstance(loose(value), str)


def texts(value: Any) -> list[str] | None:
    """A list of texts, also from one text or a JSON array."""
    value = decoded(value) if isinstance(value, str) else value
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [str(item) for item in cast("Iterable[Any]", value)]
    return [str(value)]


def items(value: Any) -> list[Any] | None:
    """A list, whose members are read out of JSON where they are texts."""
    value = decoded(value)
    if value is None:
        return None
    if is_list(value):
        return [decoded(item) for item in value if item not in (None, "null")] or None
    return [value]


def documents(value: Any) -> list[dict[str, Any]] | None:
    """Retrieved documents as ``{id, content, score, metadata}``, from lists, JSON texts and wrapped forms."""
    value = decoded(value)
    if is_object(value):
        held = value
        inner = next(
            (held[key] for key in ("documents", "results", "matches", "hits", "contents") if key in held),
            None,
        )
        value = [held] if inner is None else inner
    if not is_list(value):
        return None
    return [_document(item) for item in value]


_CONTENT = ("content", "page_content", "pageContent", "text", "document", "body")
_SCORE = ("score", "relevance_score", "similarity", "similarity_score")


def _document(item: Any) -> dict[str, Any]:
    item = decoded(item)
    if not is_object(item):
        return {} if hidden(item) else {"content": text(item)}
    held = item
    for wrapper in ("document", "node"):
        if isinstance(held.get(wrapper), dict):
            held = {**held, **cast("dict[str, Any]", held[wrapper])}
            held.pop(wrapper)
    found: dict[str, Any] = {}
    for name, keys in (("id", ("id", "id_", "document_id", "doc_id")), ("content", _CONTENT)):
        value = next((held[key] for key in keys if held.get(key) is not None), None)
        if value is not None and not hidden(value):
            found[name] = text(value)
    if held.get("metadata") is not None:
        found["metadata"] = decoded(held["metadata"])
    beside = found.get("metadata")
    places = (
        held,
        object_of(beside),
    )  # LangChain has it there
    score = next((number(place[key]) for place in places for key in _SCORE if key in place), None)
    if score is not None:
        found["score"] = score
    return found


def nested(pairs: Iterable[tuple[str, Any]]) -> Any:
    """Dotted keys as the structure they were flattened from: ``{"0.role": "user"}`` → ``[{"role": "user"}]``.

    A level whose keys are all numbers becomes a list in the order of those numbers, gaps closed.
    """
    root: dict[str, Any] = {}
    for path, value in pairs:
        steps = path.split(".")
        here = root
        for step in steps[:-1]:
            below = here.get(step)
            if not is_object(below):
                below = here[step] = {} if below is None else {"": below}
            here = below
        here[steps[-1]] = value
    return _lists(root)


def _lists(level: Any) -> Any:
    if not is_object(level):
        return level
    held = level
    if held and all(key.isdigit() for key in held):
        return [_lists(held[key]) for key in sorted(held, key=int)]
    return {key: _lists(value) for key, value in held.items()}
