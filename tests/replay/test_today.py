"""An agent that tells its model what day it is replays on another day; any other date is content."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from simulate.replay.matching.date_drift import only_time_passed

THEN = datetime(2026, 11, 23, 15, 20, 7, tzinfo=UTC)
NOW = datetime(2027, 3, 2, 9, 4, 30, tzinfo=UTC)


def passed(then: Any, now: Any) -> list[str] | None:
    found = only_time_passed(then, now, int(THEN.timestamp() * 1e9), int(NOW.timestamp() * 1e9))
    return None if found is None else [str(one) for one in found]


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("2026-11-23", "2027-03-02"),
        ("2026-11-23T15:20:07.123456+00:00", "2027-03-02T09:04:30.001+00:00"),
        ("2026-11-23 15:20", "2027-03-02 09:04"),
        ("2026-11-24", "2027-03-01"),  # in another time zone
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
    assert passed(f"Today is {then}.", f"Today is {now}.") == [f"{then} → {now}"]


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
