"""A report is whole or not there: written beside its place, flushed to the disk, then moved into it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from simulate.errors import EnvironmentFault


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write all of it, or nothing."""
    return write_pieces(path, [data])


def write_pieces(path: str | Path, pieces: Iterable[bytes]) -> Path:
    """Write the pieces one after the other, none kept in memory; all of them, or nothing."""
    target = Path(path)
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write the report: {error.strerror or error}",
            where=str(target),
            hint="is the folder writable, and is there room on the disk?",
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    return target
