"""Pipecat in virtual time: some of its frames hold on to the machine's clock from the moment of import."""

from __future__ import annotations

import dataclasses
import functools
import time
import types
from typing import Any

from pipecat.frames import frames


def _now() -> float:
    return time.time()


@functools.cache
def let_frames_ask() -> None:
    """Frames that note when they were made (``field(default_factory=time.time)``) got the function itself
    when their class was made, where `determinism.clock` cannot reach it. Let them ask the module ``time``
    each time, which answers the same wherever time is real."""
    for made in vars(frames).values():
        if not (isinstance(made, type) and dataclasses.is_dataclass(made)):
            continue
        cells: tuple[Any, ...] = getattr(vars(made).get("__init__"), "__closure__", None) or ()
        for cell in cells:
            held = cell.cell_contents
            if isinstance(held, types.BuiltinFunctionType) and (held.__module__, held.__name__) == (
                "time",
                "time",
            ):
                cell.cell_contents = _now
