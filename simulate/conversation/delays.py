"""How long this machine and our own event loop could have kept an answer waiting: not the agent's time."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from simulate.determinism.clock import real_time

_TICK = 0.02
"""Seconds between two looks at the event loop."""
STEPS = 10
"""About how often the loop takes up an answer on its way: connect, send and receive are each awaited. Each
time may be as late as the loop was at its latest; a sleep of a minute is late once, however busy it was."""
_KEPT = 10_000
_FRESH = _TICK
"""Seconds for which the kernel's figures are kept. Reading them anew for each of many instant answers would
take longer than the answers, and no wait within so short a time decides a verdict."""
_TASKS = "/proc/self/task"
_PRESSURE = "/proc/pressure/cpu"
_lock = threading.Lock()
_ended_ns = 0


def waits_for_a_processor() -> dict[str, float]:
    """By thread of this process: seconds that it was ready to run and had no processor. Threads that have
    ended count as one, since they followed each other. Empty where the kernel does not tell."""
    waits = {"ended": _ended_ns / 1e9}
    with contextlib.suppress(OSError):
        waits |= {task: _waited_ns(task) / 1e9 for task in os.listdir(_TASKS)}
    return waits


def thread_ends() -> None:
    """Keep what the calling thread has waited: once it has ended the kernel no longer tells."""
    global _ended_ns
    with _lock:
        _ended_ns += _waited_ns(str(threading.get_native_id()))


def _waited_ns(task: str) -> int:
    try:
        return int(_read(f"{_TASKS}/{task}/schedstat").split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _read(path: str) -> bytes:
    # for each thread: pathlib and decoding would take most of the time
    with open(path, "rb", buffering=0) as file:
        return file.read()


def pressure() -> float:
    """Seconds in which something on this machine waited for a processor (PSI); 0 where that is unknown."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_read(_PRESSURE).split(b"total=")[1].split()[0]) / 1e6
    return 0.0


class LoopLag:
    """Seconds by which a loop came late to what was due, and how many conversations share the loop."""

    _of: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopLag]] = weakref.WeakKeyDictionary()

    def __init__(self) -> None:
        self.ticks = 0
        self._late: deque[float] = deque(maxlen=_KEPT)
        self.conversations = 0
        self._task: asyncio.Task[None] | None = None
        self._due = 0.0

    @classmethod
    def here(cls) -> LoopLag:
        """That of the running loop."""
        return cls._of.setdefault(asyncio.get_running_loop(), cls())

    def __enter__(self) -> LoopLag:
        self.conversations += 1
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="simulate-loop-lag")
        return self

    def __exit__(self, *_: object) -> None:
        self.conversations -= 1
        if not self.conversations and self._task is not None:
            self._task.cancel()
            self._task = None

    def since(self, tick: int) -> float:
        """What an answer may have lost to the loop since then, with what is overdue now."""
        overdue = asyncio.get_running_loop().time() - self._due if self._due else 0.0
        late = list(self._late)[-(self.ticks - tick) :] if self.ticks > tick else []
        return sum(heapq.nlargest(STEPS, [*late, max(0.0, overdue)]))

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._due = loop.time() + _TICK
            await asyncio.sleep(_TICK)
            self._late.append(max(0.0, loop.time() - self._due))
            self.ticks += 1


class Delays:
    """What could have kept the answer of each turn waiting, beside the agent.

    ``nearby`` is an agent in another process of this machine, of which only the machine's pressure tells. A
    loop that only this conversation uses is late because of its own agent, and that counts as the agent's."""

    def __init__(self, lag: LoopLag, *, nearby: bool) -> None:
        self.by_turn: dict[int, float] = {}
        self._lag, self._nearby = lag, nearby
        self._began, self._begin = 0, _Figures()
        self._shared = False

    def begin(self) -> None:
        """The agent is asked."""
        self._began, self._begin = self._lag.ticks, _Figures.fresh()
        self._shared = self._lag.conversations > 1

    def answered(self, turn: int) -> None:
        """The agent began to answer in this turn; only the first answer counts."""
        if turn in self.by_turn:
            return
        waited, pressed = _Figures.fresh().since(self._begin)
        shared = self._shared or self._lag.conversations > 1
        self.by_turn[turn] = max(
            self._lag.since(self._began) if shared else 0.0, waited, pressed if self._nearby else 0.0
        )


@dataclass(frozen=True, slots=True)
class _Figures:
    """What the kernel told at a moment."""

    at: float = -math.inf
    waits: Mapping[str, float] = field(default_factory=dict[str, float])
    pressed: float = 0.0

    @classmethod
    def fresh(cls) -> _Figures:
        """The latest figures, at most ``_FRESH`` seconds old."""
        global _latest
        now = real_time()
        if now - _latest.at > _FRESH:
            _latest = cls(now, waits_for_a_processor(), pressure())
        return _latest

    def since(self, before: _Figures) -> tuple[float, float]:
        """Seconds that a thread waited for a processor since then, and that anything on the machine did. An
        answer needs one thread after the other: what others waited meanwhile did not keep it."""
        if self is before:
            return 0.0, 0.0
        waited = max(
            (wait - before.waits.get(thread, 0.0) for thread, wait in self.waits.items()), default=0.0
        )
        return waited, self.pressed - before.pressed


_latest = _Figures()
