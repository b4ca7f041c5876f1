"""An agent that blocks the event loop, where no time-out can fire: a thread looks on and interrupts it.

Only in the main thread, the one that Python lets a signal interrupt, and not in virtual time, where computing
takes none. Elsewhere, and on Windows, an answer that came too late is still too late, but nothing ends what
never ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import sysconfig
import threading
import traceback
from collections import deque
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import FrameType
from typing import Any

from simulate import stopping
from simulate.determinism.clock import current_loop, real_time

SIGNAL = getattr(signal, "SIGURG", None)
"""Ignored where nobody asks for it, so that a late one does no harm."""
LOOK_SECONDS = 0.2
TOLD_SECONDS = 1.0
"""From which on those are told that had to wait, too."""
KEPT = 100
GRACE = 0.5
"""Seconds that the loop may be late to answer before it counts as blocked."""
INTERRUPTS = 10
"""How often code is interrupted that catches it and goes on, before the whole program is ended."""
HINT = "what blocks belongs into a thread: await asyncio.to_thread(…)"
NO_VERDICT = 3
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PYTHONS = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")})

_until: ContextVar[float | None] = ContextVar("simulate_blocking_until", default=None)


class Blocked(BaseException):
    """Raised inside of code that blocks the loop past its time. ``where`` is its file, line and function."""

    def __init__(self, where: str) -> None:
        super().__init__(f"it blocks the event loop at {where}")
        self.where = where


class interrupted_after:  # a generator would take twice as long
    """Code inside that blocks the loop for longer than that has Blocked raised in it. The shorter of two that
    enclose each other counts."""

    __slots__ = ("_token", "_until")

    def __init__(self, seconds: float) -> None:
        self._until = real_time() + seconds
        self._token: Token[float | None] | None = None

    def __enter__(self) -> None:
        outer = _until.get()
        if SIGNAL is None or (outer and outer <= self._until) or current_loop() is not None:
            return
        if threading.get_ident() != threading.main_thread().ident:
            return
        self._token = _until.set(self._until)
        _WATCH.add(self._until)

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _WATCH.remove(self._until)
            _until.reset(self._token)


@dataclass(slots=True)
class _Block:
    """The loop stood still; moments are of the machine's monotonic clock."""

    start: float
    where: str
    end: float
    """Until when it is known to have lasted."""


def blocks_since(moment: float) -> list[str]:
    """What blocked the loop since then, and with it every conversation that went on: a sentence for each."""
    return [
        f"the event loop, and with it every conversation of this process, was blocked for "
        f"{block.end - block.start:.1f} s by code at {block.where}; {HINT}"
        for block in _WATCH.blocks
        if block.end > moment and block.end - block.start > TOLD_SECONDS
    ]


class _Watch:
    """A thread that lives as long as there is anything to look at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._limits: list[float] = []
        self._thread: threading.Thread | None = None
        self._before: Any = None
        self._answered = threading.Event()
        self.blocks: deque[_Block] = deque(maxlen=KEPT)

    def add(self, until: float) -> None:
        with self._lock:
            self._limits.append(until)
            self._loop = asyncio.get_running_loop()
            if self._thread is None:
                self._before = signal.signal(SIGNAL, _interrupt) if SIGNAL else None
                self._thread = threading.Thread(target=self._look, name="simulate-blocking", daemon=True)
                self._thread.start()

    def remove(self, until: float) -> None:
        with self._lock:
            self._limits.remove(until)

    def _look(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(LOOK_SECONDS)
            with self._lock:
                if not self._limits:
                    self._thread = None
                    return
                loop = self._loop
            self._answered.clear()
            # it is closed where this raises, and nothing is blocked
            with contextlib.suppress(RuntimeError):
                if loop is not None:
                    loop.call_soon_threadsafe(self._answered.set)
                    self._wait_for_answer()

    def _wait_for_answer(self) -> None:
        """Until the loop runs what it was given; what blocks it past a limit is interrupted."""
        asked, interrupts = real_time(), 0
        block: _Block | None = None
        while not self._answered.wait(GRACE):
            if block is None:
                block = _Block(asked, _place(_main_frame()), asked)
                self.blocks.append(block)
            block.end = real_time()
            with self._lock:
                late = bool(self._limits) and min(self._limits) < real_time()
            if late and SIGNAL is not None:
                interrupts += 1
                if interrupts > INTERRUPTS:
                    _give_up()
                signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)


_WATCH = _Watch()


def _interrupt(number: int, frame: FrameType | None) -> None:
    until = _until.get()
    # the code that runs now may be another conversation's, whose time is not over
    if until is not None and until <= real_time():
        raise Blocked(_place(frame))


def _place(frame: FrameType | None) -> str:
    """The innermost frame that is neither ours nor Python's or a library's."""
    inner = frame
    while frame is not None:
        if not frame.f_code.co_filename.startswith((_OURS, *_PYTHONS, "<frozen")):
            break
        frame = frame.f_back
    shown = frame or inner
    if shown is None:
        return "an unknown place"
    name = os.path.relpath(shown.f_code.co_filename) if _is_below_here(shown) else shown.f_code.co_filename
    return f"{name}:{shown.f_lineno} in {shown.f_code.co_name}"


def _is_below_here(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(os.getcwd() + os.sep)


def _main_frame() -> FrameType | None:
    # pyright takes it for private, though Python documents it
    return sys._current_frames().get(threading.main_thread().ident or 0)  # pyright: ignore[reportPrivateUsage]


def _give_up() -> None:
    main = _main_frame()
    stack = "".join(traceback.format_stack(main)) if main is not None else ""
    told = f"{stack}harness fault: this code blocks the event loop and cannot be interrupted; {HINT}\n"
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(told)
    stopping.by_force(NO_VERDICT)
