"""Whether an utterance holds what is expected of it, as far as no judge is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from simulate.conversation.voice.normalise import says
from simulate.model.bounded_regex import bounded
from simulate.model.expect_text import Text
from simulate.model.language import language_of
from simulate.model.matchers import matches, mismatch
from simulate.model.text_values import amounts, contains, dates, names_id, numbers
from simulate.trace.reading import Fact, Unknown

_FENCED = re.compile(r"```[\w-]*\n(.*?)```", re.DOTALL)


def describe_text(value: Text) -> str:
    """What is expected, for a sentence that begins with "the agent says"."""
    money = "" if value.amount is None else f"the amount {_shown(value.amount)}"
    number = "" if value.number is None else f"the number {_shown(value.number)}"
    parts = [
        f"“{value.contains}”" if value.contains else "",
        f"something that matches /{value.matches}/" if value.matches else "",
        money + (f" {value.currency}" if value.currency else ""),
        f"the day {_shown(value.date)}" if value.date is not None else "",
        number + (f" {value.unit}" if value.unit else ""),
        f"the id {value.id}" if value.id else "",
        f"something in the language {value.language}" if value.language else "",
        f"JSON with {_shown(value.json_)}" if value.json_ is not None else "",
        f"that {value.means[0].lower()}{value.means[1:]}" if value.means else "",
    ]
    return " and ".join(part for part in parts if part).replace("that that ", "that ")


def holds(wanted: Text, text: str, *, spoken: bool, language: str, every: bool = False) -> Fact[bool]:
    """Whether a text holds all parts that need no judge.

    Args:
        wanted: What is expected.
        text: What was said.
        spoken: Whether it was said by voice, where "order 4-4-1-7" is order 4417.
        language: The language in which numbers in words are read.
        every: Whether each amount, date or number that the text names must be one that is wanted.
    """
    if wanted.contains is not None and not _contains(text, wanted.contains, language, spoken=spoken):
        return False
    if wanted.matches is not None and bounded(wanted.matches).search(text) is None:
        return False
    if wanted.id is not None and not names_id(text, wanted.id, language):
        return False
    fits = any if not every else _all
    if not all(fits(found) for found in _values(wanted, text, language)):
        return False
    if wanted.json_ is not None and json_mismatch(wanted.json_, text) is not None:
        return False
    return True if wanted.language is None else _in_language(text, wanted.language)


def _contains(text: str, wanted: str, language: str, *, spoken: bool) -> bool:
    if contains(text, wanted, language):
        return True
    # what is spoken has no one spelling; amounts were compared by their value already
    return spoken and not amounts(wanted, language) and says(text, wanted)


def _values(wanted: Text, text: str, language: str) -> list[list[bool]]:
    """For each kind of value that is wanted, whether each of that kind in the text is it."""
    found: list[list[bool]] = []
    if wanted.amount is not None:
        code = wanted.currency
        named = [one for one in amounts(text, language) if code is None or one.may_be(code)]
        found.append([_is(wanted.amount, one.value) for one in named])
    if wanted.number is not None:
        counted = [one for one in numbers(text, language) if wanted.unit is None or one.of(wanted.unit)]
        found.append([_is(wanted.number, one.value) for one in counted])
    if wanted.date is not None:
        day = None if isinstance(wanted.date, dict) else date.fromisoformat(wanted.date)
        found.append([day is None or one.is_day(day) for one in dates(text, language)])
    return found


def _all(values: Sequence[bool]) -> bool:
    return bool(values) and all(values)


def _is(expected: Any, value: float) -> bool:
    if isinstance(expected, dict):
        return matches(expected, value)
    return abs(expected - value) < 1e-6


def _in_language(text: str, wanted: str) -> Fact[bool]:
    code = language_of(text)
    return Unknown(f"the language of “{text[:80]}” cannot be told") if code is None else code == wanted


def json_mismatch(expected: Any, text: str) -> str | None:
    """How the JSON of a text, or of a code fence in it, is not what is expected; None if it is."""
    problem = "it is not JSON"
    for part in (text, *_FENCED.findall(text)):
        try:
            value = json.loads(part)
        except ValueError:
            continue
        found = mismatch(expected, value)
        if found is None:
            return None
        problem = found
    return problem


def _shown(value: Any) -> str:
    if value == {"any": True}:
        return "(any)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
