"""Patches of packages, applied once somebody imports them: most processes never import most of them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

import wrapt

Apply = Callable[[ExitStack], None]
"""Patches, and registers how that is undone."""

_WAITING: dict[str, list[_Patch]] = {}


class _Patch:
    """One that waits, is applied, or is over."""

    def __init__(self, apply: Apply) -> None:
        self._apply = apply
        self._begun = threading.Lock()
        self._undoing = threading.Lock()
        self._undo: ExitStack | None = ExitStack()

    def imported(self) -> None:
        # no lock is held while it is applied: that imports, and who imports may be waiting to get here
        if not self._begun.acquire(blocking=False):
            return
        with ExitStack() as applied:
            self._apply(applied)
            with self._undoing:
                if self._undo is not None:
                    self._undo.push(applied.pop_all().__exit__)

    def over(self) -> None:
        with self._undoing:
            undo, self._undo = self._undo, None
        if undo is not None:
            undo.close()


def when_imported(undo: ExitStack, module: str, apply: Apply) -> None:
    """Apply a patch as soon as ``module`` is imported, which is now where it is already; ``undo`` takes it
    back, or forgets it."""
    if module not in _WAITING:
        _WAITING[module] = []
        register: Callable[[Callable[[Any], None], str], None] = cast("Any", wrapt).register_post_import_hook
        register(lambda _: _imported(module), module)
    patch = _Patch(apply)
    _WAITING[module].append(patch)
    undo.callback(_forget, module, patch)
    if module in sys.modules:
        patch.imported()


def _imported(module: str) -> None:
    for patch in tuple(_WAITING[module]):
        patch.imported()


def _forget(module: str, patch: _Patch) -> None:
    _WAITING[module].remove(patch)
    patch.over()
