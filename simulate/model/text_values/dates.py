"""Dates in a text: "2026-12-01", "December 1st", "12/01/2026", "the first of December"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from simulate.model.text_values.numbers import in_digits

_MONTHS: dict[str, int] = {
    name: number
    for names in (
        "january february march april may june july august september october november december",
        "januar februar märz april mai juni juli august september oktober november dezember",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "januari februari maart april mei juni juli augustus september oktober november december",
        "jan feb mar apr may jun jul aug sep oct nov dec",
        "jän febr mrz apr mai juin juil août sept okt nov dez",
    )
    for number, name in enumerate(names.split(), 1)
}
_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b\.?"
_DAY = r"(?<![\d.,$€£])(?P<day>[0-3]?\d)(?:st|nd|rd|th|er|º|ª|\.)?(?![\d:]|[.,]\d)"
_YEAR = r"(?:,?\s+(?:de\s+|del\s+)?(?P<year>(?:19|20)\s?\d\d)(?!\d|[:.,]\d))?"
_SHAPES = tuple(
    re.compile(shape, re.IGNORECASE)
    for shape in (
        r"(?<![\d-])(?P<year>\d{4})[-/.](?P<a>\d{1,2})[-/.](?P<b>\d{1,2})(?![\d-])",
        rf"{_DAY}\s+(?:(?:of|de|day\s+of)\s+)?{_MONTH}{_YEAR}",
        rf"(?<![\d-])(?P<day>[0-3]?\d)-{_MONTH}(?:-(?P<year>(?:19|20)?\d\d)(?!\d))?",
        rf"\b{_MONTH}-(?P<day>[0-3]?\d)(?:-(?P<year>(?:19|20)\d\d))?(?![\d-])",
        rf"\b{_MONTH}\s+(?:the\s+)?{_DAY}{_YEAR}",
        r"(?<![\d/.-])(?P<a>\d{1,2})(?P<mark>[/.-])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4}|\d\d)(?![\d/-]|\.\d)",
    )
)
_ON = re.compile(r"\b(?:of|in|on|by|until)\s+(?:\d+\w*\s+)?$")


@dataclass(frozen=True, slots=True)
class Date:
    """A day as a text names it, and where. ``month`` and ``day`` change places where ``either`` is set, and
    a year may be left out."""

    year: int | None
    month: int
    day: int
    either: bool
    start: int
    end: int

    def is_day(self, day: date) -> bool:
        """Whether it may be this day."""
        if self.year not in (None, day.year):
            return False
        here = (day.month, day.day)
        return here == (self.month, self.day) or (self.either and here == (self.day, self.month))


def dates(text: str, language: str = "en") -> list[Date]:
    """The days that a text names, in order; a day without its month is none.

    >>> [(one.month, one.day) for one in dates("by the first of December, or on 24.12.2026")]
    [(12, 1), (12, 24)]
    """
    found: list[Date] = []
    for one in _all(in_digits(text, language)):
        if not any(one.start < other.end and other.start < one.end for other in found):
            found.append(one)
    return sorted(found, key=lambda one: one.start)


def _all(text: str) -> Iterator[Date]:
    for shape in _SHAPES:
        for match in shape.finditer(text):
            given = match.groupdict()
            year = _year(given.get("year"))
            if (name := given.get("month")) is not None:
                # "you may 5 times": the month has its capital, or a preposition before it
                if name == "may" and not _ON.search(text[: match.start("month")]):
                    continue
                month, day, either = _MONTHS[name.casefold()], int(given["day"]), False
            else:
                month, day = int(given["a"]), int(given["b"])
                either = given.get("mark") is not None
                if month > 12 or given.get("mark") == ".":
                    month, day, either = day, month, False
                either = either and day <= 12
            if 1 <= month <= 12 and 1 <= day <= 31:
                yield Date(year, month, day, either, *match.span())


def _year(text: str | None) -> int | None:
    if text is None:
        return None
    number = int(text.replace(" ", ""))
    return number + 2000 if number < 100 else number
