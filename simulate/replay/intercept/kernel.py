"""A guard that Linux itself holds (seccomp, from 5.0 on): the kernel asks `sentry.Sentry` before a guarded
process, or any that it starts, reaches an address, whatever they are written in. This is the side of these.
It needs no rights and, where it is started as a program, only the standard library::

    python -I -S kernel.py SENTRY PROGRAM WORD…
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
import sys
from collections.abc import Sequence
from functools import cache

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NUMBERS = {"x86_64": (0xC000003E, 317, 42, 44, 46, 307), "aarch64": (0xC00000B7, 277, 203, 206, 211, 269)}
"""By machine: its name in filters, then the calls seccomp, connect, sendto, sendmsg and sendmmsg."""
_IO_URING_SETUP = 425
_SET_FILTER, _IS_KNOWN, _NEW_LISTENER = 1, 2, 8
_ALLOW, _ASK, _NO_SUCH_CALL = 0x7FFF0000, 0x7FC00000, 0x00050026
_NO_NEW_PRIVILEGES, _BUSY = 38, 16
_LOAD, _IF, _RETURN = 0x20, 0x15, 0x06
_CALL, _ARCHITECTURE, _FIRST, _FIFTH = 0, 4, 16, 48
"""Where the kernel gives a filter the call, and its arguments."""


def calls() -> tuple[int, ...]:
    """The numbers of connect, sendto, sendmsg and sendmmsg on this machine; none where there is no guard."""
    known = sys.platform.startswith("linux") and platform.machine() in _NUMBERS
    return _NUMBERS[platform.machine()][2:] if known else ()


@cache
def can_ask() -> bool:
    """Whether this system has such a guard. A container may forbid it all the same: `watched` tells."""
    return bool(calls()) and _seccomp(_IS_KNOWN, 0, struct.pack("=I", _ASK)) == 0


def watched(sentry: str) -> bool:
    """From here on the sentry that listens at this path is asked before this process, which has one thread,
    or any that it starts reaches an address. False where the system forbids it; the sentry is told."""
    with socket.socket(socket.AF_UNIX) as told:
        told.connect(sentry)
        # the only descriptor that what follows may send from without being asked about
        most = min(os.sysconf("SC_OPEN_MAX"), 1024) - 1
        assert fcntl is not None, "not Linux"
        with socket.socket(fileno=fcntl.fcntl(told.fileno(), fcntl.F_DUPFD_CLOEXEC, most)) as handing_over:
            asks = _install(_filter(handing_over.fileno()))
            if asks == -_BUSY:
                return True  # by one that watches already
            if asks < 0:
                handing_over.send(os.strerror(-asks).encode())
                return False
            socket.send_fds(handing_over, [b"+"], [asks])
            os.close(asks)
            return handing_over.recv(1) == b"+"


def launching(sentry: str, words: Sequence[str]) -> list[str]:
    """The words that start a program which the sentry watches from its beginning on."""
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), sentry, *words]


def _filter(handing_over: int) -> bytes:
    architecture, _, connect, sendto, sendmsg, sendmmsg = _NUMBERS[platform.machine()]
    lines = (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF, 0, 6, architecture),
        (_LOAD, 0, 0, _CALL),
        (_IF, 11, 0, connect),
        (_IF, 10, 0, sendmmsg),
        (_IF, 4, 0, sendto),
        (_IF, 7, 0, sendmsg),
        (_IF, 0, 1, _IO_URING_SETUP),  # by which a process could connect unseen; libraries do without
        (_RETURN, 0, 0, _NO_SUCH_CALL),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIFTH),  # sendto: whether it names an address
        (_IF, 0, 3, 0),
        (_LOAD, 0, 0, _FIFTH + 4),
        (_IF, 2, 1, 0),
        (_LOAD, 0, 0, _FIRST),  # sendmsg: the descriptor
        (_RETURN, 0, 0, _ASK),
        (_RETURN, 0, 0, _ALLOW),
    )
    # the last test needs two outcomes that both lie behind it
    made = [*lines[:15], (_IF, 1, 0, handing_over), *lines[15:]]
    return b"".join(struct.pack("=HBBI", *line) for line in made)


def _install(lines: bytes) -> int:
    """The descriptor by which the sentry is asked, or the error below 0."""
    content = ctypes.create_string_buffer(lines, len(lines))
    program = struct.pack("@HP", len(lines) // 8, ctypes.addressof(content))
    made = _seccomp(_SET_FILTER, _NEW_LISTENER, program)
    if made < 0 and made != -_BUSY:  # without rights, only for those who can get none
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        made = _seccomp(_SET_FILTER, _NEW_LISTENER, program)
    return made


def _seccomp(operation: int, flags: int, value: bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    made = libc.syscall(_NUMBERS[platform.machine()][1], operation, flags, value)
    return made if made >= 0 else -ctypes.get_errno()


if __name__ == "__main__":
    watched(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
