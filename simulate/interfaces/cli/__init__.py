"""One module a verb of the command line: ``configure(parser)``, ``execute(args) -> exit code``."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from simulate.model.text import safe


def hush() -> None:
    """The reader of a pipe (head, less) has seen enough: write no more, and do not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_standard_streams() -> None:
    """Whoever started us may have closed some of them; the next files would take their places, and what is
    printed would go into a run's files."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the end


def say(text: object = "", *, end: str = "\n", file: TextIO | None = None, flush: bool = False) -> None:
    """Print what may hold an agent's, a file's or a user's words: none of them steers the terminal."""
    print(safe(text, None), end=end, file=file, flush=flush)
