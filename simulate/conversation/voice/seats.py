"""How many calls at once this machine can hold."""

from __future__ import annotations

import asyncio
import os
import weakref

_seats: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = weakref.WeakKeyDictionary()


def a_seat() -> asyncio.Semaphore:
    """Calls at once, however many jobs a run has: one for two processors, as more could not keep time."""
    loop = asyncio.get_running_loop()
    if loop not in _seats:
        _seats[loop] = asyncio.Semaphore(int(os.environ.get("SIMULATE_CALLS") or 0) or calls_at_once())
    return _seats[loop]


def calls_at_once() -> int:
    """How many calls with speech on both sides this machine can hold."""
    return max(1, (os.cpu_count() or 1) // 2)
