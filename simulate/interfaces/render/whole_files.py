"""A report is whole or not there: written beside its place, flushed to the disk, then moved into it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from simulate.errors import EnvironmentFault
from simulate.trace.files.writing import write_whole


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write all of it, or nothing."""
    return write_pieces(path, [data])


def write_pieces(path: str | Path, pieces: Iterable[bytes]) -> Path:
    """Write the pieces one after the other, none kept in memory; all of them, or nothing."""
    target = Path(path)
    try:
        write_whole(target, pieces)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write the report: {error.strerror or error}",
            where=str(target),
            hint="is the folder writable, and is there room on the disk?",
        ) from error
    return target
