"""How many calls at once this machine can hold."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Mapping
from typing import Any

from simulate.conversation.voice.capacity import SHARE

LATE_MS = 50.0
"""Milliseconds by which one frame in a hundred comes late from which on there are too many calls."""


class Seats:
    """Lets as many calls begin as there are seats. From ``first`` on, a call that left enough of the
    processors brings one more, and one whose frames came late takes one away, unless ``fixed``."""

    def __init__(self, first: int, *, fixed: bool = False) -> None:
        self.number = first
        self._fixed = fixed
        self._taken = 0
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Seats:
        async with self._changed:
            await self._changed.wait_for(lambda: self._taken < self.number)
            self._taken += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._changed:
            self._taken -= 1
            self._changed.notify_all()

    def learn(self, measures: Mapping[str, Any]) -> None:
        """From what a call measured of this machine, before it leaves its seat. Nothing in virtual time, or
        where the system does not tell."""
        late, busy = measures.get("pacing_p99_ms"), measures.get("processors_busy")
        if self._fixed or late is None or busy is None:
            return
        if late > LATE_MS:
            self.number = max(1, self.number - 1)
        elif self._taken == self.number and busy * (self.number + 1) / self.number <= SHARE:
            self.number += 1


_seats: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Seats] = weakref.WeakKeyDictionary()


def seats() -> Seats:
    """Those of the running loop, however many jobs a run has."""
    loop = asyncio.get_running_loop()
    if loop not in _seats:
        told = int(os.environ.get("SIMULATE_CALLS") or 0)
        _seats[loop] = Seats(told or calls_at_once(), fixed=bool(told))
    return _seats[loop]


def calls_at_once() -> int:
    """How many calls with speech on both sides this machine is taken to hold before one was measured."""
    return max(1, (os.cpu_count() or 1) // 2)
