"""A filter as it is written on a command line: ``kind=TOOL name~refund duration>1s error``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any, cast

from simulate.errors import InputError

_PLACES = ("has_child", "has_descendant", "near", "under")
_TERM = re.compile(
    rf"(?P<not>!)?(?:(?P<place>{'|'.join(_PLACES)}):)?(?P<word>[\w.\-/]+)(?:(?P<op>!=|>|<|=|~)(?P<value>.*))?",
    re.DOTALL,
)


def parse_short(text: str) -> dict[str, Any]:
    """``kind=TOOL name~refund duration>1s error`` as data; all terms must hold, with or without ``and``.

    ``=`` is equal (``a,b`` for one of several kinds), ``!=`` not, ``~`` a regular expression, ``>`` and
    ``<`` compare durations and numbers, ``!`` before a term turns it around. Any other word than kind, name,
    duration and error is an attribute or a field of the canonical view (``output_tokens>10000``), or a score
    (``score.Groundedness<0.7``). ``near:``, ``under:``, ``has_child:`` and ``has_descendant:`` before a term
    ask it of the spans there: ``kind=AGENT has_descendant:error``. Tokens and cost are those of model calls:
    beside a kind of span that has none, they are asked of the spans near it (``kind=RETRIEVER
    output_tokens>10000``). Quotes keep spaces together.
    """
    try:
        terms = shlex.split(text)
    except ValueError as error:
        raise InputError(f"{text!r} is not a filter: {error}", where="--filter") from None
    if not terms:
        raise InputError("an empty filter would hold for every span", where="--filter")
    parts = [_term(term) for term in terms if term != "and"]
    if not parts:
        raise InputError("nothing stands beside 'and'", where="--filter")
    kinds = {kind for part in parts for kind in part.get("kind", ())}
    if kinds and kinds <= _WITHOUT_TOKENS:
        parts = [{"or": [part, {"near": part}]} if _of_model_calls(part) else part for part in parts]
    return parts[0] if len(parts) == 1 else {"and": parts}


_WITHOUT_TOKENS = frozenset({"RETRIEVER", "RERANKER", "TOOL", "GUARDRAIL", "HANDOFF"})
_MODEL_CALLS = frozenset(
    {"input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost"}
)


def _of_model_calls(part: Mapping[str, Any]) -> bool:
    """Whether a term bounds what only model calls have: beside a retriever, those near it are meant."""
    return any(
        is_bound(value) and (name in _MODEL_CALLS or name.startswith(("gen_ai.usage.", "gen_ai.cost.")))
        for name, value in part.get("attribute", {}).items()
    )


def _term(term: str) -> dict[str, Any]:
    found = _TERM.fullmatch(term)
    if found is None:
        hint = "write such as kind=TOOL name~refund duration>1s error"
        raise InputError(f"{term!r} is not a term of a filter", where="--filter", hint=hint)
    word, op, value = found["word"], found["op"], found["value"]
    made = _positive(word, op, value)
    made = {"not": made} if op == "!=" else made
    made = {found["place"]: made} if found["place"] else made
    return {"not": made} if found["not"] else made


def _positive(word: str, op: str | None, value: str | None) -> dict[str, Any]:
    if op is None:
        if word == "error":
            return {"error": True}
        if word in ("kind", "name", "duration"):
            raise InputError(f"{word} needs a value, such as {word}=…", where="--filter")
        return {"attribute": {word: {"any": True}}}
    if op in "<>":
        if word in ("name", "kind", "error"):
            raise InputError(f"{word} is no number, and only numbers are compared", where="--filter")
        bound = {"above" if op == ">" else "below": value}
        return {"duration": bound} if word == "duration" else {"attribute": {word: bound}}
    if word == "duration":
        raise InputError("a duration is compared by > or <", where="--filter")
    if word == "error":
        return {"error": str(value).lower() == "true"}
    if op == "~":
        matcher: Any = {"matches": value}
    elif word == "kind":
        return {"kind": str(value).split(",")}
    else:
        matcher = value if word == "name" else _loose(str(value))
    return {"name": matcher} if word == "name" else {"attribute": {word: matcher}}


def _loose(value: str) -> Any:
    """On a command line ``5`` may mean the number or the text, and ``true`` the flag or the text."""
    if value in ("true", "false"):
        return {"one_of": [value == "true", value]}
    try:
        return {"one_of": [float(value), value]}
    except ValueError:
        return value


def is_bound(value: Any) -> bool:
    """Whether a value is ``{above: …}``, ``{below: …}`` or both."""
    words = set(cast("dict[Any, Any]", value)) if isinstance(value, dict) else set[Any]()
    return words != set() and words <= {"above", "below"}
