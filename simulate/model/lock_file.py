"""A lock that ends with the process that holds it, however that ends, and that holds across containers."""

from __future__ import annotations

import os
import socket
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class LockFile:
    """One holder at a time. The file says who that is; only the kernel's lock on it counts, so that a file
    that a killed process left holds nobody off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def take(self) -> str | None:
        """None once it is ours, or else who holds it. Raises OSError where no file can be made."""
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            if not _locked(handle):
                holder = os.read(handle, 200).decode(errors="replace").strip()
                os.close(handle)
                return holder or "another process"
            if self._is(handle):
                break
            os.close(handle)  # its holder removed the file between our opening and our locking it
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        self._handle = handle
        return None

    def release(self) -> None:
        """Let another one have it."""
        if self._handle is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def _is(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), self.path.stat())
        except FileNotFoundError:
            return False


def _locked(handle: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
