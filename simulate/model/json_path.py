"""JSON paths: the one language in which ``ignore`` says what a comparison leaves out, and in which matchers
name what they look at.

``$.messages[*].name`` names one place, or several; ``$..trace_id`` that name at any depth; ``$.tools.send_*``
every name that begins so; ``$['odd name']`` a name with other characters. A library would bring filters and
slices, but neither removes what a path names nor tells whether a path names a place that is only known by
its own path, as a change in a diff is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, cast

from simulate.errors import InputError
from simulate.model.shapes import is_list


class Wild(Enum):
    """Steps without a name."""

    ANY = "*"
    """Each member of an object, each item of a list."""
    DEEP = ".."
    """Any number of steps, also none."""


Step = str | int | re.Pattern[str] | Wild
JsonPath = tuple[Step, ...]

_STEP = re.compile(
    r"(?P<deep>\.\.(?=[\w*'\[$]))|(?P<any>\.?\*(?![\w$*-])|\[\*\])|\.?(?P<name>[\w$*-]+)|\[(?P<index>\d+)\]"
    r"|\[(?P<quote>['\"])(?P<quoted>(?:(?!(?P=quote)).)*)(?P=quote)\]"
)
_SHORT = re.compile(r"[^\s./$\[\]'\"](?:[^/$\[\]'\"]|\[[\d*]+\])*(?<![.\s])")
"""A path from before they were JSON paths: ``order.lookup and refund``, ``answers.*``."""


@lru_cache(maxsize=256)
def path_text(text: str) -> str:
    """The same text where it is a path. Raises ValueError, for pydantic, where it is none."""
    try:
        parse_path(text)
    except InputError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return text


def parse_path(path: str, *, short: bool = False) -> JsonPath:
    """The steps of a path.

    Args:
        path: A JSON path, such as ``$.messages[*].name``.
        short: Whether it may also be written without ``$`` and with any character in its names.

    Raises:
        InputError: It is not such a path, with the nearest one; or it is ``$`` alone.

    >>> parse_path("$.a[0]")
    ('a', 0)
    """
    if short and not path.startswith("$") and _SHORT.fullmatch(path):
        return tuple(_name(step) if isinstance(step, str) else step for step in place_of(path))
    if path.strip() == "$":
        raise InputError("the path '$' would leave out everything", hint="name the part that may change")
    steps = _parsed(path)
    if steps is None:
        raise InputError(f"{path!r} is not a JSON path", hint=f"write {_nearest(path)}")
    return steps


def ignored_path(path: str) -> str:
    """A path under ``ignore:`` as it is written. Raises ValueError, for pydantic, where it is none."""
    try:
        parse_path(path, short=True)
    except InputError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return path


def _parsed(path: str) -> JsonPath | None:
    if not path.startswith("$"):
        return None
    steps: list[Step] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or (at == 1 and match["name"] and path[1] != "."):
            return None
        if match["deep"]:
            steps.append(Wild.DEEP)
        elif match["any"]:
            steps.append(Wild.ANY)
        elif match["index"]:
            steps.append(int(match["index"]))
        else:
            steps.append(match["quoted"] if match["name"] is None else _name(match["name"]))
        at = match.end()
    return tuple(steps) or None


def _name(text: str) -> Step:
    if text == "*":
        return Wild.ANY
    return re.compile(".*".join(map(re.escape, text.split("*")))) if "*" in text else text


def _nearest(path: str) -> str:
    """The path that was probably meant: a JSON pointer, a missing ``$`` or a missing bracket mended."""
    if re.search(r"\[[^\]'\"]*[?:(,]", path):
        return "it without filters, slices and lists of names, as in $.messages[*].name"
    made = "$"
    for word in re.findall(r"\.\.|\[\d+\]|\[\*\]|[^.\[\]/'\"$]+", path):
        word = word.strip()
        if not word:
            continue
        if word == ".." or word[0] == "[":
            made += word
        elif word.isdigit() and "/" in path:
            made += f"[{word}]"
        elif re.fullmatch(r"[\w*-]+", word):
            made += word if made.endswith("..") else f".{word}"
        else:
            made += f"['{word}']"
    return made if _parsed(made) is not None else "it as in $.messages[*].name or $..trace_id"


def place_of(path: str) -> tuple[str | int, ...]:
    """The steps of one place without wildcards, as a diff prints it: ``tools.refund.arguments.items[0]``."""
    found = re.findall(r"\[(\d+)\]|((?:[^.\[]|\[(?!\d+\]))+)", path)
    return tuple(int(index) if index else name for index, name in found)


def covers(path: JsonPath, place: Sequence[str | int]) -> bool:
    """Whether a path names a place, or something that the place lies in."""
    if not path:
        return True
    first, rest = path[0], path[1:]
    if first is Wild.DEEP:
        return any(covers(rest, place[at:]) for at in range(len(place)))
    if isinstance(first, str) and "." in first:
        # a place is printed with its dots, whatever they belong to
        return covers((*first.split("."), *rest), place)
    return bool(place) and _is_named(first, place[0]) and covers(rest, place[1:])


def _is_named(step: Step, name: str | int) -> bool:
    if isinstance(step, re.Pattern):
        return step.fullmatch(str(name)) is not None
    return step is Wild.ANY or str(step) == str(name)


def remove_path(value: Any, path: JsonPath) -> bool:
    """Delete what a path names from a JSON value, in place; False where nothing is there."""
    first, rest = path[0], path[1:]
    if first is Wild.DEEP:
        return remove_path(value, rest) + sum(remove_path(inner, path) for _, inner in _members(value)) > 0
    # from the end, so that the places of items that are still to be removed stay
    named = [(key, inner) for key, inner in _members(value)[::-1] if _is_member(first, key)]
    if rest:
        return sum(remove_path(inner, rest) for _, inner in named) > 0
    for key, _ in named:
        del value[key]
    return bool(named)


def values_at(value: Any, path: JsonPath) -> list[Any]:
    """What a path names in a JSON value, in order; empty where nothing is there.

    >>> values_at({"items": [{"sku": "A"}, {"sku": "B"}]}, parse_path("$.items[*].sku"))
    ['A', 'B']
    """
    if not path:
        return [value]
    first, rest = path[0], path[1:]
    if first is Wild.DEEP:
        deeper = [found for _, inner in _members(value) for found in values_at(inner, path)]
        return values_at(value, rest) + deeper
    named = (inner for key, inner in _members(value) if _is_member(first, key))
    return [found for inner in named for found in values_at(inner, rest)]


def _is_member(step: Step, key: str | int) -> bool:
    """An index names items only, and a name members only."""
    if isinstance(step, int) or isinstance(key, int):
        return step is Wild.ANY or step == key
    return _is_named(step, key)


def _members(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(cast("dict[Any, Any]", value).items())
    return list(enumerate(value)) if is_list(value) else []
