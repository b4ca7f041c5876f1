"""Whether an utterance holds what is expected of it, as far as no judge is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from simulate.conversation.voice.normalise import says
from simulate.model.bounded_regex import bounded
from simulate.model.expect_text import Text
from simulate.model.language import is_language
from simulate.model.matchers import matches, mismatch
from simulate.model.text_values import (
    Amount,
    Date,
    Number,
    Stance,
    amounts,
    contains,
    dates,
    in_digits,
    names_id,
    numbers,
    stance,
)
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


def holds(
    wanted: Text, text: str, *, spoken: bool, language: str, every: bool = False, denied: bool = False
) -> Fact[bool]:
    """Whether a text holds all parts that need no judge.

    Args:
        wanted: What is expected.
        text: What was said.
        spoken: Whether it was said by voice, where "order 4-4-1-7" is order 4417.
        language: The language in which numbers in words are read.
        every: Whether each amount, date or number that the text names must be one that is wanted.
        denied: Whether an id counts that the text only names to deny it.
    """
    if wanted.contains is not None and not _contains(text, wanted.contains, language, spoken=spoken):
        return False
    if wanted.matches is not None and bounded(wanted.matches).search(text) is None:
        return False
    if wanted.id is not None and not names_id(text, wanted.id, language, denied=denied):
        return False
    if wanted.json_ is not None and json_mismatch(wanted.json_, text) is not None:
        return False
    facts = [_one_fits(found, every=every) for found in _values(wanted, text, language)]
    if wanted.language is not None:
        facts.append(_in_language(text, wanted.language))
    if False in facts:
        return False
    return next((fact for fact in facts if isinstance(fact, Unknown)), True)


def _contains(text: str, wanted: str, language: str, *, spoken: bool) -> bool:
    if contains(text, wanted, language):
        return True
    # what is spoken has no one spelling; amounts were compared by their value already
    return spoken and not amounts(wanted, language) and says(text, wanted, language)


_Named = tuple[bool, Stance, str]
"""Whether a value of the text is the one that is wanted, whether the text says it, and how it is written."""


def _values(wanted: Text, text: str, language: str) -> list[list[_Named]]:
    """For each kind of value that is wanted, those that the text names."""
    written = in_digits(text, language)

    def named(fits: bool, one: Amount | Date | Number) -> _Named:
        return fits, stance(written, one.start, one.end, language), written[one.start : one.end].strip()

    found: list[list[_Named]] = []
    if (amount := wanted.amount) is not None:
        code = wanted.currency
        money = [one for one in amounts(text, language) if code is None or one.may_be(code)]
        found.append([named(_is(amount, one.value), one) for one in money])
    if (number := wanted.number) is not None:
        named_numbers = numbers(text, language)
        counted = [one for one in named_numbers if wanted.unit is None or one.of(wanted.unit)]
        own = [named(_is(number, one.value), one) for one in counted]
        found.append(own + _in_other_units(wanted, named_numbers, named, beside=bool(own)))
    if wanted.date is not None:
        day = None if isinstance(wanted.date, dict) else date.fromisoformat(wanted.date)
        found.append([named(day is None or one.is_day(day), one) for one in dates(text, language)])
    return found


def _in_other_units(
    wanted: Text, found: Sequence[Number], named: Callable[[bool, Number], _Named], *, beside: bool
) -> list[_Named]:
    """Times in another unit than the wanted one; ``beside`` some in that. What is not surely the wanted value
    is left open if it may be told of something else."""
    told: list[_Named] = []
    for one in found:
        values = () if wanted.unit is None else one.converted(wanted.unit)
        if not values:
            continue
        fitting = [_is(wanted.number, value) for value in values]
        fits, how, written = named(any(fitting), one)
        sure = all(fitting) if fits else not beside
        far = wanted.unit is not None and one.far_from(wanted.unit) and wanted.number == {"any": True}
        written = f"{written} {one.words[0]}"
        told.append((fits, how if how == "denied" or (sure and not far) else "open", written))
    return told


def _one_fits(values: Sequence[_Named], *, every: bool) -> Fact[bool]:
    """Whether the text says a value that is wanted; with ``every``, and no other."""
    counted = [each for each in values if each[1] != "denied"]
    fitting = [each for each in counted if each[0]]
    if not fitting or (every and any(how == "said" and not fits for fits, how, _ in counted)):
        return False
    if every or all(how == "open" for _, how, _ in fitting):
        unsure = next((value for _, how, value in counted if how == "open"), None)
        if unsure is not None:
            return Unknown(f"no rule can tell what it says of {unsure}")
    return True


def _is(expected: Any, value: float) -> bool:
    if isinstance(expected, dict):
        return matches(expected, value)
    return abs(expected - value) < 1e-6


def _in_language(text: str, wanted: str) -> Fact[bool]:
    known = is_language(text, wanted)
    return Unknown(f"whether “{text[:80]}” is {wanted} cannot be told") if known is None else known


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
