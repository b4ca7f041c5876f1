"""Numbers in a text: in digits of any writing, and in words of the languages that text2num knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

LANGUAGES = frozenset({"en", "de", "fr", "es", "it", "pt", "nl"})
"""In which numbers are read from words; elsewhere, from digits alone."""

_WIDE = str.maketrans("０１２３４５６７８９−‑\u00a0\u202f", "0123456789--  ")
PLAIN = r"\d{1,3}(?:[,.' ’]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d+)?"
"""A number without its sign."""
_NUMBER = re.compile(
    rf"(?<![\w.,#])(?P<sign>(?<![\d)])[-–]|\bminus )?(?P<number>{PLAIN})(?![\w]*\d|st\b|nd\b|rd\b|th\b)"
)
_RANGE = re.compile(rf"\s*(?:-|–|to|or|and|bis|oder|à|ou|a|o)\s*(?:{PLAIN})\s*", re.IGNORECASE)
_SCALED = re.compile(rf"({PLAIN})\s+(thousand|million|billion)\b", re.IGNORECASE)
BETWEEN = frozenset(
    {
        "or",
        "and",
        "to",
        "oder",
        "und",
        "bis",
        "ou",
        "et",
        "in",
        "im",
        "per",
        "pro",
        "je",
        "a",
        "an",
        "at",
        "for",
    }
    | {"on", "from", "of", "by", "par", "al", "por", "every", "each", "pour", "für"}
)
"""Words after which a number's unit does not come any more."""
_SAME_UNIT = {
    word: unit
    for unit, words in {
        "percent": "% prozent",
        "second": "sec secs sekunde sekund seconde segundo secondo secondi seconden",
        "minute": "min mins minut minuto minuti minuten",
        "hour": "h hr hrs stunde stund heure heur hora ora ore uur uren",
        "day": "tag tage jour día giorno giorni dia dag dagen",
        "week": "woche woch semaine semain semana settimana settimane weken",
        "month": "monat monate mois mes meses mese mesi mês maand maanden",
        "year": "jahr jahre an año anno anni ano jaar jaren",
    }.items()
    for word in words.split()
} | {"per cent": "percent"}
"""Units that a scenario may name in English, whatever language is spoken."""
_DAY = 86400
_SECONDS: dict[str, tuple[int, ...]] = {
    "second": (1,),
    "minute": (60,),
    "hour": (3600,),
    "day": (_DAY,),
    "week": (7 * _DAY,),
    "month": (28 * _DAY, 29 * _DAY, 30 * _DAY, 31 * _DAY),
    "year": (365 * _DAY, 366 * _DAY),
}
"""How many seconds a unit of time may have; whole numbers, so that an hour is exactly 60 minutes."""
_CLOCK = frozenset({"second", "minute", "hour"})
_BUSINESS = frozenset({"business", "working", "work"})
_ONE = re.compile(
    r"\b(?P<before>within|in|takes?|taking|about|around|after|under|over|up to|for|than|least|most|nearly"
    r"|roughly|almost|only|be|binnen|innerhalb|nach|etwa|dauert)\s+(?:"
    r"(?P<half>half an?|an?\s+half)\s+(?P<halved>hour|day|year)"
    r"|an?\s+(?P<more>hour|day|week|month|year)\s+and\s+a\s+half"
    r"|an?\s+couple\s+of\s+(?P<couple>hours|days|weeks|months|years)"
    r"|an?\s+(?P<fortnight>fortnight)"
    r"|(?:an?|eine[rmns]?)\s+(?P<one>second|minute|hour|day|week|month|year"
    r"|sekunde|stunde|tag(?:e?s)?|woche|monat|jahr))\b",
    re.IGNORECASE,
)
"""A time in words that hold no number; "once a week" and "$5 a day" are none."""
_RATE = re.compile(r"[^\W\d_]*\s+(?:a|per|every|each)\s+[^\W\d_]", re.IGNORECASE)
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_WORD = re.compile(r"[)\]]?\s*[-–]?\s*(per\s?cent\b|[^\W\d_]+|%|°)")


@dataclass(frozen=True, slots=True)
class Number:
    """A number, the words after it, of which one may be its unit, and where it stands in `in_digits`; both
    ends of a range have the words."""

    value: float
    words: tuple[str, ...]
    start: int = 0
    end: int = 0
    rate: bool = False
    """Whether it is so many of its unit for each of something: "24 hours a day"."""

    def of(self, unit: str) -> bool:
        """Whether it is a number of this unit, in the singular or the plural."""
        own = {_singular(word) for word in self.words}
        return _singular(unit) in own or own.issuperset(map(_singular, unit.split()))

    def converted(self, unit: str) -> tuple[float, ...]:
        """What a time in another unit may be in this one, several where a month is as long as it is; empty
        where it is no such time."""
        own, wanted = (
            next((each for each in map(_singular, self.words) if each in _SECONDS), None),
            _singular(unit),
        )
        if own is None or wanted not in _SECONDS or self.rate or self.of(unit):
            return ()
        if {own, wanted} == {"month", "year"}:
            return (self.value * 12 if own == "year" else self.value / 12,)
        found = [self.value * long / short for long in _SECONDS[own] for short in _SECONDS[wanted]]
        if wanted == "week" and not _BUSINESS.isdisjoint(self.words):
            found.append(self.value / 5)
        return tuple(found)

    def far_from(self, unit: str) -> bool:
        """Whether one is told by the clock and the other by the calendar: "open 24 hours" is no day."""
        return (_singular(unit) in _CLOCK) is not any(_singular(word) in _CLOCK for word in self.words)


@lru_cache(maxsize=1024)
def in_digits(text: str, language: str = "en") -> str:
    """The text with the numbers in words written in digits.

    >>> in_digits("five to seven business days")
    '5 to 7 business days'
    """
    from text_to_num import alpha2digit  # type: ignore[import-untyped]  # start-up time

    # text2num takes "2 million" for two numbers
    text = _ONE.sub(_one, _SCALED.sub(_scaled, text.translate(_WIDE)))
    if language not in LANGUAGES:
        return text
    write = cast("Callable[[str, str, float], str]", alpha2digit)
    # one line at a time, for it takes line breaks away; 0, so that small numbers are read, too
    return "\n".join(write(line, language, 0) for line in text.split("\n"))


def numbers(text: str, language: str = "en") -> list[Number]:
    """The numbers that a text names.

    >>> [number.value for number in numbers("five to 7 days")]
    [5.0, 7.0]
    """
    written = in_digits(text, language)
    return [
        Number(
            value_of(match["number"]) * (-1 if match["sign"] else 1),
            _unit_words(written, match.end()),
            *match.span(),
            rate=_RATE.match(written, match.end() + 1) is not None,
        )
        for match in _NUMBER.finditer(written)
    ]


def value_of(written: str) -> float:
    """The value of digits with points, commas, spaces and apostrophes in them.

    >>> value_of("1.234,50"), value_of("2,310.55"), value_of("42,5"), value_of("1,000")
    (1234.5, 2310.55, 42.5, 1000.0)
    """
    bare = re.sub(r"[ '’]", "", written)
    last = max(bare.rfind("."), bare.rfind(","))
    if last < 0:
        return float(bare)
    whole, part = re.sub(r"[.,]", "", bare[:last]), bare[last + 1 :]
    one_mark = bare.count(".") + bare.count(",") == 1
    grouped = len(part) == 3 and whole.lstrip("0") != "" and len(whole) <= 3 if one_mark else len(part) == 3
    return float(whole + part) if grouped else float(f"{whole}.{part}")


def _scaled(match: re.Match[str]) -> str:
    return f"{value_of(match[1]) * _SCALES[match[2].lower()]:.12g}"


def _one(match: re.Match[str]) -> str:
    given = {name: found for name, found in match.groupdict().items() if found is not None}
    written = {"halved": "0.5", "more": "1.5", "couple": "2", "one": "1"}
    figure = next((f"{number} {given[name]}" for name, number in written.items() if name in given), "2 weeks")
    return f"{match['before']} {figure}"


def _unit_words(text: str, at: int) -> tuple[str, ...]:
    """The three words after a number, or after the range that it begins."""
    if (match := _RANGE.match(text, at)) is not None:
        at = match.end()
    words: list[str] = []
    while len(words) < 3 and (found := _WORD.match(text, at)) is not None:
        if found[1].casefold() in BETWEEN:
            break
        words.append(found[1].casefold())
        at = found.end()
    return tuple(words)


def _singular(word: str) -> str:
    word = word.casefold()
    single = word[:-1] if len(word) > 3 and word.endswith(("s", "n", "e")) else word
    return _SAME_UNIT.get(word) or _SAME_UNIT.get(single) or single
