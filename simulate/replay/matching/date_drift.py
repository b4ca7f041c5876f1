"""Requests that differ by nothing but the date and time at which they were made.

Many an agent begins its prompt with today's date. Replayed tomorrow, every one of its requests would have
drifted. A recording also stands for such a request: where all that differs are dates and times in the same
places, those recorded were now when they were recorded, and those of now are now, by one clock. A time of day
alone may be any appointment's: it counts where the text says that it is the present one, or where a clock
that the agent surely has shows it, UTC's or its machine's. Anything else is content, and a difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from simulate.model.shapes import is_list, is_object

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
_ZONES = range(-12 * 60, 14 * 60 + 1, 15)
"""What local times are ahead of UTC, in minutes."""
_DAY = 24 * 60
_SUMMER = (0, 60, -60)
"""By how much that may have changed meanwhile: summer time began or ended."""
_OLD, _EARLY = 3, 1
"""Minutes: what was composed may be a little older than the request, and clocks differ."""
_LABEL = re.compile(
    r"\b(?:now|it ?is|it's|the time(?: is)?|(?:current|local|present)[ _-]?(?:date[ _-]?(?:and|&)?[ _-]?)?"
    r"time)\b[\s\"':=(,–-]*(?:is\b\s*)?$",
    re.I,
)
"""What is said before a time of day that is the present one, and not a time of something."""


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


@dataclass(frozen=True, slots=True)
class Moment:
    """When a request was made, and how many minutes the clock of its machine was ahead of UTC."""

    at: datetime
    ahead: int = 0

    @classmethod
    def of(cls, ns: int, ahead: int = 0) -> Moment:
        """From nanoseconds since the epoch."""
        return cls(datetime.fromtimestamp(ns / 1e9, UTC), ahead)


def local_ahead(ns: int) -> int:
    """How many minutes the clock of this machine is ahead of UTC at that moment."""
    ahead = datetime.fromtimestamp(ns / 1e9).astimezone().utcoffset()
    return 0 if ahead is None else round(ahead.total_seconds() / 60)


def only_time_passed(then: Any, now: Any, then_at: Moment, now_at: Moment) -> list[Passed] | None:
    """What the clock changed between two requests (JSON values); None where anything else did, or nothing."""
    found: list[Passed] = []
    for name, one, other in _differences(then, now):
        passed = _passed(name, one, other, then_at, now_at)
        if passed is None:
            return None
        found += passed
    return found or None


def _differences(then: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The leaves that are not the same, by the name that they stand under; structures that differ count as
    one leaf."""
    if is_object(then) and is_object(now):
        one, other = then, now
        if one.keys() == other.keys():
            for key, value in one.items():
                yield from _differences(value, other[key], key)
            return
    elif is_list(then) and is_list(now):
        left, right = then, now
        if len(left) == len(right):
            for value, new in zip(left, right, strict=True):
                yield from _differences(value, new, name)
            return
    if then != now:
        yield name, then, now


def _passed(name: str, then: Any, now: Any, then_at: Moment, now_at: Moment) -> list[Passed] | None:
    if isinstance(then, int | float) and isinstance(now, int | float):
        then, now = str(then), str(now)
    if not isinstance(then, str) or not isinstance(now, str):
        return None
    if _TOKEN.split(then)[:: _TOKEN.groups + 1] != _TOKEN.split(now)[:: _TOKEN.groups + 1]:
        return None
    one, other = _told(name, then), _told(name, now)
    found: list[Passed] = []
    for before, after in zip(one, other, strict=True):
        if before.text == after.text:
            continue
        if before.kind != after.kind:
            return None
        zones, later = before.zones(then_at), after.zones(now_at)
        if not any(zone + hour in later for zone in zones for hour in _SUMMER):
            return None
        found.append(Passed(before.text, after.text))
    return found


@dataclass(frozen=True, slots=True)
class _Told:
    """A date, a time or both, as a text tells them."""

    kind: str
    text: str
    date: str = ""
    time: str = ""
    labelled: bool = False

    def zones(self, moment: Moment) -> set[int]:
        """By how many minutes a clock that shows this at that moment is ahead of UTC; empty for none."""
        if self.kind == "epoch":
            digits = self.text.partition(".")[0]
            seconds = int(digits) / 10 ** (len(digits) - 10)
            age = moment.at.timestamp() - seconds
            return {0} if -_EARLY * 60 <= age <= _OLD * 60 else set()
        if not self.time:
            clocks = ((zone, zone - age) for zone in _ZONES for age in (0, _OLD))
            return {zone for zone, ahead in clocks if self._on(moment.at + timedelta(minutes=ahead))}
        hours, minutes = _clock(self.time)
        found: set[int] = set()
        for age in range(-_EARLY, _OLD + 1):
            shown = moment.at - timedelta(minutes=age)
            ahead = (hours - shown.hour) * 60 + minutes - shown.minute
            found.update(
                zone
                for zone in (ahead - _DAY, ahead, ahead + _DAY)
                if zone in _ZONES and (not self.date or self._on(shown + timedelta(minutes=zone)))
            )
        stated = _stated_zone(self.time)
        if stated is not None:
            return found & {stated}
        # nothing may say that it is the present time: then only a clock that the agent surely has
        return found if self.date or self.labelled else found & {0, moment.ahead}

    def _on(self, day: datetime) -> bool:
        if self.kind == "day":
            return self.date[:3].lower() == _DAYS[day.weekday()][:3]
        return day.date() in _dates(self.kind, self.date)


_BETWEEN = re.compile(r"[\s,;|(–-]*(?:at|T)?[\s(]*")


def _told(name: str, text: str) -> list[_Told]:
    """What a text tells, in order; a time that follows a date directly is a time of that day."""
    found: list[_Told] = []
    end, date = 0, ""
    for match in _TOKEN.finditer(text):
        kind, told = str(match.lastgroup), match[0]
        before = text[end : match.start()]
        if kind == "time":
            together = bool(found and date) and _BETWEEN.fullmatch(before) is not None
            labelled = _LABEL.search(text[: match.start()] or name.replace("_", " ")) is not None
            last = found[-1].kind if together else "time"
            found.append(_Told(last if together else kind, told, date if together else "", told, labelled))
            date = ""
        elif kind == "iso" and len(told) > 10:
            found.append(_Told(kind, told, told[:10], told[11:]))
            date = ""
        else:
            found.append(_Told(kind, told, told))
            date = told if kind != "epoch" else ""
        end = match.end()
    return found


def _clock(text: str) -> tuple[int, int]:
    hours, minutes = (int(digits) for digits in re.findall(r"\d+", text)[:2])
    half = re.search(r"([AP])\.?M", text, re.I)
    if half is not None:
        hours = hours % 12 + (12 if half[1].upper() == "P" else 0)
    return hours, minutes


def _stated_zone(text: str) -> int | None:
    """Of ``15:20:07+01:00``, 60."""
    match = re.search(r"(Z|UTC)$|([+-])(\d\d):?(\d\d)$", text)
    if match is None:
        return None
    if match[1]:
        return 0
    return (int(match[3]) * 60 + int(match[4])) * (-1 if match[2] == "-" else 1)


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
