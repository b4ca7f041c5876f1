"""One module a verb of the command line: ``configure(parser)``, ``execute(args) -> exit code``."""

from __future__ import annotations

import os
import sys


def hush() -> None:
    """The reader of a pipe (head, less) has seen enough: write no more, and do not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
