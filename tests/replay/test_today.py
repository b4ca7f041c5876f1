"""An agent that tells its model what day it is replays on another day; any other date is content."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulate.replay.matching.date_drift import Moment, only_time_passed

THEN = datetime(2026, 11, 23, 15, 20, 7, tzinfo=UTC)
NOW = datetime(2027, 3, 2, 9, 4, 30, tzinfo=UTC)


def passed(then: Any, now: Any) -> list[str] | None:
    found = only_time_passed(then, now, Moment(THEN), Moment(NOW))
    return None if found is None else [str(one) for one in found]


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("2026-11-23", "2027-03-02"),
        ("2026-11-23T15:20:07.123456+00:00", "2027-03-02T09:04:30.001+00:00"),
        ("2026-11-23 15:20", "2027-03-02 09:04"),
        ("2026-11-24", "2027-03-02"),  # in Tokyo
        ("2026-11-24T00:20+09:00", "2027-03-02T18:04+09:00"),
        ("23 November 2026", "2 March 2027"),
        ("23rd of Nov 2026", "2nd of Mar 2027"),
        ("November 23, 2026", "March 2, 2027"),
        ("Monday", "Tuesday"),
        ("Mon", "Tue"),
        ("11/23/2026", "03/02/2027"),
        ("23.11.2026", "02.03.2027"),
        ("16:21", "10:05"),
        ("4:20 PM", "10:04 AM"),
        ("12:20 a.m.", "6:04 p.m."),
        ("16:20", "11:04"),  # summer time has begun
        ("20:50:07", "14:34:30"),  # in India
        ("1795447207", "1803978270"),
        ("1795447207123", "1803978270999"),
    ],
)
def test_the_clock_alone_is_no_change(then: str, now: str) -> None:
    assert passed(f"It is {then}.", f"It is {now}.") == [f"{then} → {now}"]


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("Today is 2026-11-23.", "Today is 2026-11-23."),  # the same
        ("Today is 2026-11-23.", "Now it is 2027-03-02."),
        ("Book it for 2026-12-24.", "Book it for 2027-04-02."),  # neither is today
        ("Book it for 2026-11-23.", "Book it for 2027-04-02."),
        ("Today is 2026-11-23.", "Today is Tuesday."),
        ("Today is 2026-11-23.", "Today is 2027-13-02."),
        ("On Saturday.", "On Sunday."),
        ("At 20:00.", "At 19:00."),
        ("At 20:20.", "At 20:34."),  # minutes like the clock's, in different time zones
        ("At 20:20.", "At 4:04 AM."),
        ("It costs 42.50.", "It costs 43.50."),
        ("Order 1795447207.", "Order 1804999999."),
        ("The slot is 1795450807.", "The slot is 1803981870."),  # in an hour, both times
        ("It is 2026-11-24.", "It is 2027-03-01."),  # no zone has both
        ("Dinner at 2026-11-23T19:00.", "Dinner at 2027-03-02T20:00."),
        ("It is 2026-11-23T15:20:07Z.", "It is 2027-03-02T10:04:30Z."),
        ({"a": "2026-11-23"}, {"b": "2027-03-02"}),
        (["2026-11-23"], ["2027-03-02", "2027-03-02"]),
        ({"date": "2026-11-23", "name": "Dana"}, {"date": "2027-03-02", "name": "Mara"}),
        ({"n": 1}, {"n": 2}),
        ({"n": True}, {"n": None}),
    ],
)
def test_anything_else_is_one(then: Any, now: Any) -> None:
    assert passed(then, now) is None


def test_dates_that_stay_are_left_alone_beside_those_that_pass() -> None:
    then = "It is Monday, 2026-11-23. The table is for Saturday at 20:00."
    assert passed(then, then.replace("Monday, 2026-11-23", "Tuesday, 2027-03-02")) == [
        "Monday → Tuesday",
        "2026-11-23 → 2027-03-02",
    ]
    assert passed({"now": 1795447207, "x": [1]}, {"now": 1803978270, "x": [1]}) == ["1795447207 → 1803978270"]


DAY = [THEN.replace(hour=0, minute=0) + timedelta(days=9, minutes=minute) for minute in range(24 * 60)]
ZONES = [timedelta(minutes=minutes) for minutes in (0, 60, -300, 330, 765)]


def drifted(then: str, now: str, at: datetime) -> bool:
    return only_time_passed(then, now, Moment(THEN), Moment(at)) is not None


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("Breakfast is at 07:00.", "Breakfast is at 08:00."),
        (
            "Today is Monday, 2026-11-23. Check-in begins at 15:00.",
            "Today is {day}. Check-in begins at 16:00.",
        ),
        ("Call them at 16:20.", "Call them at 17:20."),
        ('{"start": "2026-11-23T19:30", "table": 4}', '{"start": "2026-11-24T20:30", "table": 4}'),
        ("We close at 6:20 PM", "We close at 7:20 PM"),
    ],
)
def test_an_edited_time_is_a_change_at_every_minute_of_the_day(then: str, now: str) -> None:
    edited = [now.replace("{day}", f"{at:%A, %Y-%m-%d}") for at in DAY]
    assert not any(drifted(then, text, at) for text, at in zip(edited, DAY, strict=True))


@pytest.mark.parametrize(
    "form",
    [
        "It is {:%H:%M}.",
        "Current time: {:%I:%M %p}",
        "The guest arrived. Now: {:%A, %d %B %Y, %H:%M:%S}",
        "{:%Y-%m-%dT%H:%M:%S.%f}",
        "Today is {:%B %d, %Y}. Check-in begins at 15:00.",
    ],
)
def test_the_present_time_is_none_at_every_minute_of_the_day_in_any_zone(form: str) -> None:
    for minute, at in enumerate(DAY):
        zone = ZONES[minute % len(ZONES)]
        then, now = form.format(THEN + zone), form.format(at + zone)
        assert then == now or drifted(then, now, at), (then, now)


def test_the_machines_own_clock_may_be_told_without_saying_so() -> None:
    then, now = "Greet the guest. 16:20", "Greet the guest. 10:04"
    assert only_time_passed(then, now, Moment(THEN, 60), Moment(NOW, 60)) is not None
    assert only_time_passed(then, now, Moment(THEN, 0), Moment(NOW, 60)) is None
