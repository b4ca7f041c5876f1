"""Names and values told as pairs, as headers and variables are: ``{"name": "password", "value": …}``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from simulate.model.secret_names import fits, is_secret, is_secret_name
from simulate.model.shapes import is_list

NAMES = ("name", "key", "Name", "Key", "id", "field", "header", "param")
VALUES = ("value", "Value", "val", "new_value", "default")


def pair_name(held: Mapping[Any, Any]) -> str:
    """The name in a pair whose value is a secret's; nothing where this is no such pair."""
    if held.keys().isdisjoint(VALUES):
        return ""
    names = (held.get(each) for each in NAMES)
    return next((name for name in names if isinstance(name, str) and is_secret_name(name)), "")


def is_list_pair(held: Sequence[Any]) -> bool:
    """Whether it is a name and its secret, as in lists of headers: ``["x-api-key", "9f86…"]``."""
    return (
        len(held) == 2
        and isinstance(held[0], str)
        and isinstance(held[1], str)
        and is_secret(held[0], held[1])
        and fits("token", held[1])
    )


def without_pairs(text: str, under: Callable[[str, Any], Any]) -> str:
    """A JSON text with what its pairs hold replaced by what ``under(name, value)`` makes of it; the same
    text where that changes nothing."""
    try:
        value = json.loads(text)
        return json.dumps(value, ensure_ascii=False) if _replace(value, under) else text
    except RecursionError:
        return json.dumps(under("secret", text))  # deeper than anybody means it: better all than a leak


def _replace(value: Any, under: Callable[[str, Any], Any]) -> bool:
    """Replace in place; whether anything changed. No recursion, since texts nest deeper than calls may."""
    changed = False
    open_ = [value]
    while open_:
        held = open_.pop()
        if is_list(held):
            if is_list_pair(held):
                held[1] = under(held[0], held[1])
                changed = True
            open_ += held
        elif isinstance(held, dict):
            pair = cast("dict[str, Any]", held)
            name = pair_name(pair)
            for key, each in pair.items():
                if name and key in VALUES:
                    pair[key] = under(name, each)
                    changed = changed or pair[key] != each
                else:
                    open_.append(each)
    return changed
