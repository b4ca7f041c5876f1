"""A change to the whole process that several conversations share."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from typing import Any


class SharedPatch:
    """The first one in applies the patch, the last one out undoes it; safe in several threads.

    ``apply`` gets an `ExitStack` and registers there how to undo what it does; where it raises, that is done
    at once.
    """

    def __init__(self, apply: Callable[[ExitStack], None]) -> None:
        self._apply = apply
        self._lock = threading.Lock()
        self._holders = 0
        self._undo = ExitStack()

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """Keep the patch on while inside."""
        with self._lock:
            if self._holders == 0:
                with ExitStack() as stack:
                    self._apply(stack)
                    self._undo = stack.pop_all()
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0:
                    self._undo.close()


LEFT_ALONE = (
    "asyncio",
    "selectors",
    "threading",
    "queue",
    "concurrent.futures",
    "simulate.determinism",
    "simulate.replay",
    "_pytest",
    "pytest",
)
"""Modules that keep the real functions."""


def replace_everywhere(undo: ExitStack, functions: Mapping[Any, Any]) -> None:
    """Put functions in place of others in every module that imported them; ``undo`` puts them back."""
    by_identity = {id(old): new for old, new in functions.items()}
    for module_name, module in list(sys.modules.copy().items()):
        if module_name.startswith(LEFT_ALONE):
            continue
        members: dict[str, Any] = getattr(module, "__dict__", {})
        for name, old in [(name, old) for name, old in members.items() if id(old) in by_identity]:
            undo.callback(setattr, module, name, old)
            setattr(module, name, by_identity[id(old)])
