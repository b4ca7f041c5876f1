"""A run's arguments where its span tells values without their names: one text, or a list in their order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from simulate.model.shapes import is_list, is_object
from simulate.trace.reading.facts import Unknown
from simulate.trace.reading.tool_call import Arguments, holds, same
from simulate.trace.reading.tool_runs import Run

_ONE = {"input"}
_IN_ORDER = {"args", "kwargs"}


def named_arguments(run: Run, asked: Arguments) -> Arguments:
    """The arguments that a run tells, by the names that were asked for.

    Values without names are those asked for only where they are equal. One value that is another is that of
    the one argument; anything else is unknown, since the span tells that what ran may have been different."""
    ran = run.arguments
    if isinstance(ran, Unknown) or isinstance(asked, Unknown):
        return ran
    if ran.keys() == _ONE and (run.nameless or not _ONE & asked.keys()):
        value = ran["input"]
        if is_object(value):
            return value if value.keys() & asked.keys() else _unread(run)
        return _by_name([[value], value] if is_list(value) else [[value]], asked, run)
    if ran and ran.keys() <= _IN_ORDER and not _IN_ORDER & asked.keys() and is_list(ran.get("args")):
        named: Any = ran.get("kwargs") or {}
        if not is_object(named):
            return _unread(run)
        left = {name: value for name, value in asked.items() if name not in named}
        found = _by_name([ran["args"]], left, run)
        return found if isinstance(found, Unknown) else {**found, **named}
    return ran


def _by_name(forms: Sequence[Sequence[Any]], asked: Mapping[str, Any], run: Run) -> Arguments:
    """``forms`` are the ways to take what was told as values in order, the likeliest first."""
    names = list(asked)
    for values in forms:
        if len(values) == len(names) and holds(dict(zip(names, values, strict=True)), asked):
            return dict(asked)
    if len(forms[0]) == len(names) == 1:
        wanted = asked[names[0]]
        value = forms[0][0] if isinstance(wanted, str) else _parsed(forms[0][0])
        kinds = (isinstance(value, str), isinstance(wanted, str))
        if kinds[0] == kinds[1] and not _may_be(value, wanted):
            return {names[0]: value}
    return _unread(run)


def _parsed(value: Any) -> Any:
    """What a text tells of a number or a truth value."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _may_be(told: Any, asked: Any) -> bool:
    """Whether a value may be that asked for in other words, or a part of it: ``order 4417``, ``Where is m…``,
    ``{'order': …}``."""
    if is_list(told) or is_list(asked) or is_object(asked):
        return True
    if not isinstance(asked, str):
        return same(told, asked)
    one, other = str(told).casefold(), asked.casefold()
    return other in one or one.rstrip(".…") in other


def _unread(run: Run) -> Unknown:
    span = run.spans[0]
    return Unknown(
        f"the span {span.span_id} ({span.name}) tells its arguments without names, and not as they were "
        "asked for",
        recorded=True,
    )
