"""What a conversation takes its time, its chance and its ids from, so that a replay can pin them.

``current()`` is the context of the running conversation: a context variable, never a global, since
many conversations run at once in one process.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def time_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; at once on a clock that is virtual."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time_ns(self) -> int:
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


_SYSTEM = SystemRandom()
"""One for all: an instance takes 2.5 kB, and this one has nothing to remember."""


@dataclass(slots=True)
class RunContext:
    """What one conversation takes its time, its chance and its ids from."""

    clock: Clock = field(default_factory=SystemClock)
    random: Random = field(default_factory=Random)
    """Chance of the simulated caller: the same seed makes the same caller."""
    ids: Random = _SYSTEM
    """Chance of the ids; only a replay pins it, since two runs of one seed are two traces."""

    def trace_id(self) -> str:
        """32 lower-case hex digits, never all zero (W3C Trace Context)."""
        return f"{self.ids.getrandbits(128) or 1:032x}"

    def span_id(self) -> str:
        """16 lower-case hex digits, never all zero (W3C Trace Context)."""
        return f"{self.ids.getrandbits(64) or 1:016x}"


_REAL = RunContext()
_current: contextvars.ContextVar[RunContext | None] = contextvars.ContextVar("simulate_pins", default=None)


def current() -> RunContext:
    """The pins of the running conversation, or the machine's own clock and chance."""
    return _current.get() or _REAL


@contextlib.contextmanager
def pinned(pins: RunContext) -> Generator[RunContext]:
    """Let everything inside take its time, chance and ids from ``pins``."""
    token = _current.set(pins)
    try:
        yield pins
    finally:
        _current.reset(token)


def derive_seed(*parts: object) -> int:
    """A seed that is the same in every process for the same parts (``hash`` is not)."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
