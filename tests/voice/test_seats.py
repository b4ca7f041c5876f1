"""As many calls at once as the machine turns out to hold."""

from __future__ import annotations

import asyncio

import pytest

from simulate.conversation.voice.seats import Seats

EASY = {"pacing_p99_ms": 3.0, "processors_busy": 0.1}


@pytest.mark.parametrize(
    ("measures", "then"),
    [
        (EASY, 3),
        ({"pacing_p99_ms": 3.0, "processors_busy": 0.45}, 2),  # three would take more than half
        ({"pacing_p99_ms": 80.0, "processors_busy": 0.1}, 1),
        ({"pacing_p99_ms": 3.0, "processors_busy": None}, 2),
        ({}, 2),
    ],
)
async def test_what_a_call_teaches(measures: dict[str, float | None], then: int) -> None:
    seats = Seats(2)
    async with seats, seats:
        seats.learn(measures)
    assert seats.number == then


async def test_a_call_alone_tells_nothing_of_two() -> None:
    seats = Seats(2)
    async with seats:
        seats.learn(EASY)
    assert seats.number == 2


async def test_a_number_that_was_told_stays() -> None:
    seats = Seats(1, fixed=True)
    async with seats:
        seats.learn(EASY)
    assert seats.number == 1


async def test_a_new_seat_is_taken_at_once_by_who_waits() -> None:
    seats, at_once, most = Seats(1), 0, 0

    async def call() -> None:
        nonlocal at_once, most
        async with seats:
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            seats.learn(EASY)
            at_once -= 1

    await asyncio.gather(*(call() for _ in range(20)))
    assert seats.number > 1
    assert most > 1
