"""Whether a text contains another one, amounts and dates compared by their value."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from simulate.model.text import folded
from simulate.model.text_values.amounts import Amount, amounts
from simulate.model.text_values.dates import Date, dates
from simulate.model.text_values.numbers import in_digits


def contains(text: str, wanted: str, language: str = "en") -> bool:
    """Whether ``wanted`` stands in ``text``, ignoring case and runs of white space. An amount of money with
    its currency, or a date, is the same however it is written, and never a part of another one.

    >>> contains("You get 42.5 dollars back.", "$42.50"), contains("-£2,310.55", "£2,310.55")
    (True, False)
    """
    money, days = _values(wanted, language)
    if not money and not days:
        return folded(wanted) in folded(text)
    written = in_digits(wanted, language)
    if len(money) == 1 and _is_all(written, money[0]):
        return any(money[0].same(one) for one in amounts(text, language))
    if len(days) == 1 and _is_all(written, days[0]):
        return any(_same_day(days[0], one) for one in dates(text, language))
    return _canonical(wanted, language) in _canonical(text, language)


@lru_cache(maxsize=256)
def _values(wanted: str, language: str) -> tuple[list[Amount], list[Date]]:
    """What is wanted is the same in every turn."""
    return [amount for amount in amounts(wanted, language) if amount.currencies], dates(wanted, language)


def _is_all(text: str, value: Amount | Date) -> bool:
    return not (text[: value.start] + text[value.end :]).strip(" .,")


def _same_day(one: Date, other: Date) -> bool:
    if one.year is not None:
        readings = [(one.month, one.day)] + ([(one.day, one.month)] if one.either else [])
        return any(other.is_day(date(one.year, month, day)) for month, day in readings)
    return (one.month, one.day) == (other.month, other.day)


def _canonical(text: str, language: str) -> str:
    """The text with its amounts and dates in one form."""
    written = in_digits(text, language)
    values: list[Amount | Date] = [one for one in amounts(text, language) if one.currencies]
    money = [range(one.start, one.end) for one in values]
    values += [one for one in dates(text, language) if not any(one.start in each for each in money)]
    for value in sorted(values, key=lambda one: one.start, reverse=True):
        if isinstance(value, Amount):
            usual = "USD" if "USD" in value.currencies else min(value.currencies)
            form = f"‹{value.value:.2f} {usual}›"
        else:
            form = f"‹{value.month}-{value.day}›"
        written = f"{written[: value.start]}{form}{written[value.end :]}"
    return folded(written)
