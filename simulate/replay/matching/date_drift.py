"""Requests that differ by nothing but the date and time at which they were made.

Many an agent begins its prompt with today's date. Replayed tomorrow, every one of its requests would have
drifted. A recording also stands for such a request: where all that differs are dates and times in the same
places, those recorded near the moment of the recording, and those of now near this moment. Any other date is
content, and a difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_MONTH = rf"(?:{_MONTHS}|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?"
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?"
_ZONE = r"(?: ?(?:Z\b|UTC\b|[+-]\d{2}:?\d{2}\b))?"
_TOKEN = re.compile(
    rf"(?P<iso>\b\d{{4}}-\d{{2}}-\d{{2}}(?:[T ]{_CLOCK}{_ZONE})?)"
    rf"|(?P<dmy>\b\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH},? \d{{4}}\b)"
    rf"|(?P<mdy>\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b)"
    r"|(?P<slashed>\b\d{1,2}[/.]\d{1,2}[/.]\d{4}\b)"
    r"|(?P<epoch>\b1\d{9}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?\b)"
    rf"|(?P<time>\b{_CLOCK}(?: ?(?:[AP]M\b|[AP]\.M\.))?{_ZONE})"
    rf"|(?P<day>\b(?:{'|'.join(_DAYS)}|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b))",
    re.I,
)
_DAY, _ZONES, _MINUTES = 24 * 60, 15, 3
"""Minutes: time zones differ by quarters of an hour, and what was composed may be a little older."""
_SPAN = timedelta(days=1, hours=12)


@dataclass(frozen=True, slots=True)
class Passed:
    """One text that the clock changed."""

    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.then} → {self.now}"


def real_ns() -> int:
    """Nanoseconds since the epoch, as ``datetime.now`` tells them: also in virtual time."""
    return round(datetime.now(UTC).timestamp() * 1e9)


def only_time_passed(then: Any, now: Any, then_ns: int, now_ns: int) -> list[Passed] | None:
    """What the clock changed between two requests (JSON values); None where anything else did, or nothing.

    ``then_ns`` and ``now_ns`` are when they were made, in nanoseconds since the epoch."""
    moments = _moment(then_ns), _moment(now_ns)
    found: list[Passed] = []
    for one, other in _differences(then, now):
        passed = _passed(one, other, *moments)
        if passed is None:
            return None
        found += passed
    return found or None


def _differences(then: Any, now: Any) -> Iterator[tuple[Any, Any]]:
    """The leaves that are not the same; structures that differ count as one leaf."""
    if isinstance(then, dict) and isinstance(now, dict):
        one, other = cast("dict[str, Any]", then), cast("dict[str, Any]", now)
        if one.keys() == other.keys():
            for key, value in one.items():
                yield from _differences(value, other[key])
            return
    elif isinstance(then, list) and isinstance(now, list):
        left, right = cast("list[Any]", then), cast("list[Any]", now)
        if len(left) == len(right):
            for value, new in zip(left, right, strict=True):
                yield from _differences(value, new)
            return
    if then != now:
        yield then, now


def _passed(then: Any, now: Any, then_at: datetime, now_at: datetime) -> list[Passed] | None:
    if isinstance(then, int | float) and isinstance(now, int | float):
        then, now = str(then), str(now)
    if not isinstance(then, str) or not isinstance(now, str):
        return None
    one, other = list(_TOKEN.finditer(then)), list(_TOKEN.finditer(now))
    if _TOKEN.split(then)[:: _TOKEN.groups + 1] != _TOKEN.split(now)[:: _TOKEN.groups + 1]:
        return None
    found: list[Passed] = []
    for before, after in zip(one, other, strict=True):
        if before[0] == after[0]:
            continue
        if before.lastgroup != after.lastgroup:
            return None
        if before.lastgroup == "time":
            same = _same_zone(_ahead(before[0], then_at), _ahead(after[0], now_at))
        else:
            same = _is_near(before, then_at) and _is_near(after, now_at)
        if not same:
            return None
        found.append(Passed(before[0], after[0]))
    return found


def _is_near(token: re.Match[str], moment: datetime) -> bool:
    kind, text = token.lastgroup, token[0]
    if kind == "epoch":
        seconds = float(text[:10])
        return abs(seconds - moment.timestamp()) <= _SPAN.total_seconds()
    if kind == "day":
        days = {_DAYS[(moment.weekday() + more) % 7][:3] for more in (-1, 0, 1)}
        return text[:3].lower() in days
    return any(abs(day - moment.date()) <= timedelta(days=1) for day in _dates(str(kind), text))


def _ahead(text: str, moment: datetime) -> int:
    """By how many minutes a time of day is ahead of UTC at that moment, were it the time of day just then."""
    hours, minutes = (int(digits) for digits in re.findall(r"\d+", text)[:2])
    if text.rstrip(". ").upper().endswith(("PM", "P.M")):
        hours = hours % 12 + 12
    elif text.rstrip(". ").upper().endswith(("AM", "A.M")):
        hours %= 12
    return (hours * 60 + minutes - moment.hour * 60 - moment.minute) % _DAY


def _same_zone(then: int, now: int) -> bool:
    """Both are ahead as a time zone is, the same one; summer time may have begun or ended between them."""
    if not all(min(each % _ZONES, -each % _ZONES) <= _MINUTES for each in (then, now)):
        return False
    return any(
        min((then - now - hour) % _DAY, (now - then + hour) % _DAY) <= _MINUTES for hour in (0, 60, -60)
    )


def _dates(kind: str, text: str) -> Iterator[date]:
    """What a date may mean: with slashes, day and month stand in either order."""
    numbers = [int(digits) for digits in re.findall(r"\d+", text)]
    if kind == "iso":
        orders = [(numbers[0], numbers[1], numbers[2])]
    elif kind == "slashed":
        first, second, year = numbers
        orders = [(year, first, second), (year, second, first)]
    else:
        name = re.search(_MONTH, text, re.I)
        month = next(
            number
            for number, full in enumerate(_MONTHS.split("|"), 1)
            if name is not None and full[:3].lower() == name[0][:3].lower()
        )
        orders = [(numbers[1], month, numbers[0])]
    for year, month, day in orders:
        try:
            yield date(year, month, day)
        except ValueError:
            continue


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)
