"""JSON paths, by which a user says what a comparison leaves out: ``$.messages[*].name``, ``$..trace_id``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

from simulate.errors import InputError


@lru_cache(maxsize=256)
def parse_path(path: str) -> tuple[str | int, ...]:
    """``$.a[0]..b[*]`` → its steps; ``*`` is every member, ``**`` any depth.

    Raises InputError where it is not such a path, or where it is ``$`` alone."""
    if not path.startswith("$"):
        raise InputError(f"{path!r} is not a JSON path", hint="write it as $.messages[*].name or $..trace_id")
    steps: list[str | int] = []
    at = 1
    token = re.compile(r"\.\.(?=[\w*'\[])|\.?([\w$-]+)|\[(\d+)\]|\[\*\]|\.\*|\['([^']*)'\]")
    while at < len(path):
        match = token.match(path, at)
        if match is None:
            raise InputError(
                f"{path!r} is not a JSON path (column {at + 1})", hint="as in $.messages[*].name"
            )
        if match[0] == "..":
            steps.append("**")
        elif match[1] is not None:
            steps.append(match[1])
        elif match[2] is not None:
            steps.append(int(match[2]))
        else:
            steps.append("*" if match[3] is None else match[3])
        at = match.end()
    if not steps:
        raise InputError("'$' would ignore the whole request", hint="name the part that changes")
    return tuple(steps)


def remove_path(value: Any, path: str) -> None:
    """Delete what stands at ``path`` from a JSON value, in place."""
    _remove(value, parse_path(path))


def _remove(value: Any, steps: tuple[str | int, ...]) -> None:
    step, rest = steps[0], steps[1:]
    if step == "**":
        _remove(value, rest)
        for inner in _members(value):
            _remove(inner, steps)
    elif isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        for name in list(members) if step == "*" else [step] if step in members else []:
            if rest:
                _remove(members[name], rest)
            else:
                del members[name]
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        places = range(len(items)) if step == "*" else [step] if isinstance(step, int) else []
        for place in [place for place in places if place < len(items)][::-1]:
            if rest:
                _remove(items[place], rest)
            else:
                del items[place]


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []
