"""Ending this program when it is told to: first in order, then at once, in the end by force."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
AT_ONCE, BY_FORCE = 5.0, 9.0
"""Seconds after the first signal at which what still runs is interrupted, and at which it is killed."""
STOPPED = 130
"""Exit code of a program that was told to end."""

_asked = threading.Event()
_cancel: list[Callable[[], object]] = []
"""How what runs now is brought to an orderly end; the last one counts."""
_last: list[Callable[[], object]] = []
"""What is done before this process is ended by force."""


def asked() -> bool:
    """Whether a signal told this program to end."""
    return _asked.is_set()


def listen() -> None:
    """From now on, SIGINT, SIGTERM and SIGHUP end this program. Whoever ignores one (nohup) still does."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


@contextlib.contextmanager
def cancels_this_task() -> Generator[None]:
    """While inside, the first signal cancels the running task instead of interrupting whatever runs."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    _cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
    try:
        yield
    finally:
        _cancel.pop()


def before_force(action: Callable[[], object]) -> None:
    """Have this done before the process is ended by force: children, which would outlive it, are killed."""
    _last.append(action)


def by_force(code: int) -> None:
    """End this process now, whatever its threads are doing."""
    for action in _last:
        action()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    _exit(code)


def _on_signal(number: int, frame: FrameType | None) -> None:
    first = not _asked.is_set()
    _asked.set()
    if first:
        threading.Thread(target=_insist, name="simulate-stopping", daemon=True).start()
        if _cancel:
            _cancel[-1]()
            return
    raise KeyboardInterrupt


def _insist() -> None:
    time.sleep(AT_ONCE)
    if hasattr(signal, "pthread_kill"):
        # a call that blocks in the main thread is woken by a real signal only
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    time.sleep(BY_FORCE - AT_ONCE)
    by_force(STOPPED)


_exit = os._exit
"""As it was before code of users' own could be kept from calling it."""
