"""Python's garbage collector, kept from looking where there is none."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Generator


@contextlib.contextmanager
def without_collecting() -> Generator[None]:
    """For what makes nothing but new objects, such as parsing a large file: the collector would look through
    them again and again, which takes as long as making them."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
