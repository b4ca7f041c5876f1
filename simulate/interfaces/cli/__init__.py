"""One module a verb of the command line: ``HELP``, ``configure(parser)``, ``execute(args) -> exit code``."""

from __future__ import annotations


def hush() -> None:
    """The reader of a pipe (head, less) has seen enough: write no more, and do not complain at exit."""
    import os
    import sys

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
