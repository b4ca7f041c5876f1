"""A fence that Linux itself holds (Landlock, from 6.7 on): a process and all that it starts connect nowhere
but to some ports, whatever they are written in. Needs no rights; see landlock(7)."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from functools import cache

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_PORT_RULE, _CONNECT_TCP, _NO_NEW_PRIVILEGES = 2, 2, 38
_WITH_NETWORK = 4
"""The version of Landlock that knows of ports."""


@cache
def fences() -> bool:
    """Whether this system can."""
    if not sys.platform.startswith("linux"):
        return False
    return _libc().syscall(_CREATE, None, 0, 1) >= _WITH_NETWORK


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def fence(ports: Iterable[int]) -> None:
    """Let this process, which has one thread, connect to these TCP ports only, for good. Where the system
    cannot, nothing happens."""
    if not fences():
        return
    libc = _libc()
    handled = struct.pack("=QQ", 0, _CONNECT_TCP)
    ruleset = libc.syscall(_CREATE, handled, len(handled), 0)
    for port in ports:
        libc.syscall(_ADD, ruleset, _PORT_RULE, struct.pack("=QQ", _CONNECT_TCP, port), 0)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.syscall(_RESTRICT, ruleset, 0)
    os.close(ruleset)
