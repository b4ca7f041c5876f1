"""What a conversation leaves running: threads, tasks, and functions for the end of the process.

They belong to the conversation that they were started in, so that what they ask for is recorded or played as
well: a conversation that ends waits for them. What comes later than that is told, and in a replay refused.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
import weakref
from typing import Any

from simulate.replay.intercept.traffic import Traffic

BUSY, IN_FLIGHT = 2.0, 30.0
"""Seconds that the end of a conversation waits for what still works, and for answers on their way."""
_LOG = logging.getLogger("simulate.replay")
_IDLE = ("threading.py", "queue.py", "selectors.py", "socketserver.py", "concurrent/futures/thread.py")
_WAITING = frozenset(os.path.join(os.path.dirname(threading.__file__), name) for name in _IDLE)
"""Where a thread without an order waits for one."""


class Background:
    """The work that was started inside of each conversation, as far as it lasts."""

    def __init__(self) -> None:
        self.over: weakref.WeakSet[Traffic] = weakref.WeakSet()
        """Conversations that have ended."""
        self.to_come: weakref.WeakSet[Traffic] = weakref.WeakSet()
        """Those that left a function for the end of the process."""
        self._threads: weakref.WeakKeyDictionary[Traffic, weakref.WeakSet[threading.Thread]] = (
            weakref.WeakKeyDictionary()
        )
        self._tasks: weakref.WeakKeyDictionary[Traffic, weakref.WeakSet[asyncio.Task[Any]]] = (
            weakref.WeakKeyDictionary()
        )

    def began(self, traffic: Traffic, work: threading.Thread | asyncio.Task[Any]) -> None:
        """A thread or task was started in this conversation."""
        if isinstance(work, threading.Thread):
            self._threads.setdefault(traffic, weakref.WeakSet()).add(work)
        else:
            self._tasks.setdefault(traffic, weakref.WeakSet()).add(work)

    async def settled(self, traffic: Traffic) -> None:
        """Wait until nothing of this conversation works any more, or for as long as is reasonable."""
        began = time.monotonic()
        while True:
            waited = time.monotonic() - began
            asking = traffic.in_flight() and waited < IN_FLIGHT
            if not asking and (waited > BUSY or not self._works(traffic)):
                return
            await asyncio.sleep(0.01)

    def lasts(self, traffic: Traffic) -> bool:
        """Whether something of this conversation may still ask for something."""
        threads = any(thread.is_alive() for thread in self._threads.get(traffic, ()))
        return threads or traffic in self.to_come or any(not task.done() for task in self._own_tasks(traffic))

    def _works(self, traffic: Traffic) -> bool:
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        for thread in self._threads.get(traffic, ()):
            frame = frames.get(thread.ident or 0)
            # a worker that waits for its next order has nothing to do; a timer has
            idle = frame is None or frame.f_code.co_filename in _WAITING
            if thread.is_alive() and (isinstance(thread, threading.Timer) or not idle):
                return True
        return any(not task.done() for task in self._own_tasks(traffic))

    def _own_tasks(self, traffic: Traffic) -> list[asyncio.Task[Any]]:
        """Those of this loop, but for the one that asks and those that wait for it."""
        try:
            loop, asking = asyncio.get_running_loop(), asyncio.current_task()
        except RuntimeError:
            return []
        tasks = self._tasks.get(traffic, ())
        return [task for task in tasks if task is not asking and task.get_loop() is loop]


def told_late(what: str, traffic: Traffic) -> str:
    """Say that something was asked for after its conversation was over; returns what was said."""
    then = "was refused" if traffic.replaying else "is in no recording"
    text = f"{what} came after its conversation was over, and {then}"
    _LOG.warning(text)
    return text
