"""What code of users' own (agents, bots, checks, evaluators) may raise, and what of it is meant for us.

``SystemExit``, a ``KeyboardInterrupt`` of its own and pytest's ``fail()`` and ``skip()`` are not
`Exception`s: uncaught, they end a run without a verdict, with the exit code that they like."""

from __future__ import annotations

import asyncio
import os
import sys
import unittest
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from simulate import stopping
from simulate.determinism.shared_patch import SharedPatch


def meant_for_us(error: BaseException) -> bool:
    """Whether an exception that comes out of a user's code ends the conversation or the run from outside:
    a cancellation or an interrupt that the code did not raise itself. It has to be raised again."""
    if isinstance(error, GeneratorExit):
        return True
    if not isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        return False
    task = _current_task()
    if isinstance(error, KeyboardInterrupt):
        # the first Ctrl-C cancels what asyncio runs; elsewhere, nothing tells it from one of the code itself
        return stopping.asked() or task is None or bool(task.cancelling())
    return task is None or bool(task.cancelling())


def skipped(error: BaseException) -> bool:
    """Whether it says, by pytest's or unittest's word, that something was not run."""
    return isinstance(error, unittest.SkipTest) or _pytests(error, "Skipped")


def failed(error: BaseException) -> bool:
    """Whether it says, by ``assert`` or pytest's word, that something does not hold."""
    return isinstance(error, AssertionError) or _pytests(error, "Failed")


@contextmanager
def cannot_exit() -> Generator[None]:
    """While inside, ``os._exit`` called in this process raises SystemExit, as ``sys.exit`` does: a run that
    an agent ends with code 0 would pass for one without failures."""
    with _EXITS.held():
        yield


def _pytests(error: BaseException, name: str) -> bool:
    outcomes: Any = sys.modules.get("_pytest.outcomes")
    return outcomes is not None and isinstance(error, getattr(outcomes, name))


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _apply(undo: ExitStack) -> None:
    real, us = os._exit, os.getpid()

    def exit_here(status: int) -> None:
        if os.getpid() != us:
            real(status)  # a fork of ours, which has to end without our exit handlers
        raise SystemExit(status)

    exit_here.__name__ = "_exit"
    setattr(os, "_exit", exit_here)  # noqa: B010 - typeshed says that it never returns
    undo.callback(setattr, os, "_exit", real)


_EXITS = SharedPatch(_apply)
