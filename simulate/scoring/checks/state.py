"""``state``: what became of the world."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, cast

from simulate.model.expect import State
from simulate.model.json_path import JsonPath, covers, parse_path, values_at
from simulate.model.matchers import is_matcher, mismatch
from simulate.model.verdict import Verdict
from simulate.scoring.checks.check import Check, Evidence, judges

_MISSING = object()
_MOST = 20
"""Changes that a verdict lists."""
Place = tuple[str | int, ...]


@judges(State)
class StateCheck(Check[State]):
    """The world's state at the end, and what else has changed."""

    def describe(self) -> str:
        word = self.expectation
        held = ", ".join(f"{path}: {_shown(value)}" for path, value in word.state.items())
        rest = "nothing else changed" if word.state else "nothing changed"
        return " and ".join(
            part
            for part in (f"the world holds {held}" if held else "", rest * word.nothing_else_changed)
            if part
        )

    async def judge(self, evidence: Evidence) -> Verdict:
        before, after = evidence.state or (None, None)
        if after is None:
            if evidence.state is None:
                hint = "add `world: python:module:Class`, or a pytest fixture simulate_world"
                return self.verdict("not_run", "the conversation had no world", hint=hint)
            hint = "give it a method state() that returns JSON"
            return self.verdict("not_run", "the world tells no state", hint=hint)
        changed = list(changes(before, after))
        paths = [(path, parse_path(path, short=True)) for path in self.expectation.state]
        for path, steps in paths:
            wrong = self._wrong(path, values_at(after, steps))
            if wrong is not None:
                return self.verdict("failed", wrong, evidence=_listed(changed))
        named = [place for path, steps in paths for place in _named(steps, self.expectation.state[path])]
        others = [each for each in changed if not any(covers(steps, each[0]) for steps in named)]
        if self.expectation.nothing_else_changed and others:
            return self.verdict("failed", f"{_at(others[0][0])} changed", evidence=_listed(others))
        return self.verdict("passed", "; ".join(_listed(changed)))

    def _wrong(self, path: str, found: list[Any]) -> str | None:
        if not found:
            return f"there is no {path}"
        for value in found:
            if (why := mismatch(self.expectation.state[path], value)) is not None:
                return f"{path} is {_shown(value)}" if len(found) == 1 else f"{path}: {why}"
        return None


def changes(before: Any, after: Any, place: Place = ()) -> Iterator[tuple[Place, Any, Any]]:
    """Each place that differs, with both values; a list is compared item by item."""
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        for key in (*old, *(key for key in new if key not in old)):
            yield from changes(old.get(key, _MISSING), new.get(key, _MISSING), (*place, key))
    elif isinstance(before, list) and isinstance(after, list):
        was, now = cast("list[Any]", before), cast("list[Any]", after)
        for index, (old_item, new_item) in enumerate(zip_longest(was, now, fillvalue=_MISSING)):
            yield from changes(old_item, new_item, (*place, index))
    elif before is not after and (
        type(cast("object", before)) is not type(cast("object", after)) or before != after
    ):
        yield place, before, after


def _named(steps: JsonPath, expected: Any) -> Iterator[JsonPath]:
    """The places that an expected value speaks of: of an object, the members that it names."""
    if not isinstance(expected, dict) or is_matcher(expected):
        yield steps
        return
    for key, inner in cast("dict[str, Any]", expected).items():
        yield from _named((*steps, key), inner)


def _listed(changed: Sequence[tuple[Place, Any, Any]]) -> list[str]:
    if not changed:
        return ["the state is as it was before"]
    listed = [f"{_at(place)}: {_shown(old)} → {_shown(new)}" for place, old, new in changed[:_MOST]]
    return listed + ([f"and {len(changed) - _MOST} more"] if len(changed) > _MOST else [])


def _at(place: Place) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".") or "the whole state"


def _shown(value: Any) -> str:
    return "nothing" if value is _MISSING else json.dumps(value, ensure_ascii=False, default=str)[:120]
