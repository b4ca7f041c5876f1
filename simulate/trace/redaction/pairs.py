"""Names and values told as pairs, as headers and variables are: ``{"name": "password", "value": …}``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from simulate.model.secret_names import is_secret_name
from simulate.model.shapes import is_list

NAMES = ("name", "key", "Name", "Key")
VALUES = ("value", "Value")


def pair_name(held: Mapping[Any, Any]) -> str:
    """The name in a pair whose value is a secret's; nothing where this is no such pair."""
    if not any(each in held for each in VALUES):
        return ""
    names = (held.get(each) for each in NAMES)
    return next((name for name in names if isinstance(name, str) and is_secret_name(name)), "")


def without_pairs(text: str, under: Callable[[str, Any], Any]) -> str:
    """A JSON text with what its pairs hold replaced by what ``under(name, value)`` makes of it; the same
    text where that changes nothing."""
    if not any(f'"{each}"' in text for each in VALUES):
        return text
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
