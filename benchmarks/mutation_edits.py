"""Edits of a recorded trace in its dialect's own spelling: raw OTLP in, raw OTLP out.

Nothing of our reader is used here. What a call was asked, what it answered and what the agent said come from
``fixtures/truth``; an edit finds them in the file by their text, however deep they are escaped, or by the
shape that every dialect's JSON has: a small object, or group of attributes, that holds a tool's name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

Json = Any
Truth = dict[str, Any]
_DEEPEST = 6
"""Levels of JSON inside JSON."""


def levels(text: str) -> list[str]:
    """The text as it stands in JSON, in JSON inside JSON and so on; the deepest first."""
    found = [text]
    for _ in range(_DEEPEST):
        found.append(json.dumps(found[-1])[1:-1])
    return list(dict.fromkeys(reversed(found[1:])))


class Text:
    """A file's text under edits that must not touch one another: what was replaced is out of reach."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._kept: list[str] = []

    def replace(self, old: str, new: str | None = None) -> int:
        """Replace a text at every level of escaping, or protect it where there is no new one; how often."""
        count = self._swap(old, old if new is None else new) if "stringValue" in old else 0
        for was, now in zip(_at_levels(old), _at_levels(old if new is None else new), strict=True):
            count += self._swap(was, now)
        return count

    def rename(self, old: str, new: str) -> int:
        """Replace a name wherever it stands by itself."""
        self.text, count = re.subn(rf"(?<![A-Za-z0-9]){re.escape(old)}(?![A-Za-z0-9])", new, self.text)
        return count

    def _swap(self, was: str, now: str) -> int:
        count = self.text.count(was)
        if count:
            self._kept.append(now)
            self.text = self.text.replace(was, f"\x01{len(self._kept) - 1}\x02")
        return count

    def done(self) -> str:
        """The text with everything in its place."""
        while "\x01" in self.text:
            self.text = re.sub("\x01(\\d+)\x02", lambda at: self._kept[int(at[1])], self.text)
        return self.text


def _at_levels(text: str) -> list[str]:
    found = [text]
    for _ in range(_DEEPEST):
        found.append(json.dumps(found[-1])[1:-1])
    return found[:0:-1]


def spellings(value: Any) -> list[str]:
    """A result as instrumentations write it."""
    if isinstance(value, str):
        return [value]
    return [
        json.dumps(value),
        json.dumps(value, separators=(",", ":")),
        repr(value),
        json.dumps(value, indent=2),
    ]


def pair_spellings(key: str, value: Any) -> list[str]:
    """An argument with its value as instrumentations write it, in JSON, in Python, in OTLP, in XML."""
    shown = json.dumps(value)
    found = [
        f'"{key}": {shown}', f'"{key}":{shown}', f"'{key}': {value!r}", f"{key}={value!r}", f"{key}={shown}",
        f'<parameter name="{key}">{value}<', f'"args": [{shown}]', f'"args":[{shown}]',
    ]  # fmt: skip
    if isinstance(value, str):
        found += [
            f'{key}","value":{{"stringValue":{shown}}}', f'"stringValue":{shown}',
            f'"key":"{key}","value":{{"stringValue":{shown}}}',
        ]  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the truth that really ran."""

    name: str
    arguments: dict[str, Any]
    result: Any
    gaps: frozenset[str]


def calls_of(truth: Truth) -> list[Call]:
    """Those that the trace tells something of."""
    found: list[Call] = []
    told = [one for one in truth.get("tools", ()) if "lost" not in one and one.get("ran", True)]
    for at, one in enumerate(told):
        gaps = {gap["fact"] for gap in truth.get("gaps", ()) if at in gap.get("of", range(len(told)))}
        found.append(Call(one["name"], one.get("arguments") or {}, one.get("result"), frozenset(gaps)))
    return found


def words_of(truth: Truth) -> list[str]:
    """What the agent said."""
    said = [call["says"] for call in truth.get("model_calls", ()) if call.get("says")]
    return sorted({*said, *([truth["final"]] if truth.get("final") else [])}, key=len, reverse=True)


def with_other_argument(text: str, truth: Truth, call: Call, key: str, value: Any) -> str | None:
    """The call was made with another argument. Answers and results stay as they are."""
    edit = Text(text)
    for words in words_of(truth):
        edit.replace(words)
    for one in calls_of(truth):
        if one.result is not None and one.result not in one.arguments.values():
            for spelling in spellings(one.result):
                if len(spelling) > 8:
                    edit.replace(spelling)
    old, new = pair_spellings(key, call.arguments[key]), pair_spellings(key, value)
    count = sum(edit.replace(was, now) for was, now in zip(old, new, strict=True))
    return edit.done() if count else None


def with_results(text: str, truth: Truth, changes: list[tuple[Any, Any]]) -> str | None:
    """Tools answered something else: each old result with its new one. Answers stay as they are."""
    edit = Text(text)
    for words in words_of(truth):
        edit.replace(words)
    for old, new in changes:
        pairs = zip(spellings(old), spellings(new), strict=True)
        if not sum(edit.replace(was, now) for was, now in pairs):
            return None
    return edit.done()


def with_other_words(text: str, old: str, new: str) -> str | None:
    """The agent said something else."""
    edit = Text(text)
    return edit.done() if edit.replace(old, new) else None


def with_other_name(text: str, old: str, new: str) -> str | None:
    """The tool has another name, wherever it stands."""
    edit = Text(text)
    return edit.done() if edit.rename(old, new) else None
