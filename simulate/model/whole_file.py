"""A file is whole or not there: written beside its place, flushed to the disk, then moved into it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from simulate.errors import EnvironmentFault

HALF_WRITTEN = ".*.*.????????"
"""What a killed process may have left beside its files, as a pattern for ``glob``."""


def write_whole(path: Path | str, *pieces: bytes) -> Path:
    """Write the pieces one after the other, and return where they are. Raises EnvironmentFault where the file
    cannot be written."""
    return write_pieces(path, pieces)


def write_pieces(path: Path | str, pieces: Iterable[bytes]) -> Path:
    """The same for pieces that are made while they are written; none is kept in memory."""
    target = Path(path)
    try:
        _write(target, pieces)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write the file: {error.strerror or error}",
            where=str(target),
            hint="is the folder writable, and is there room on the disk?",
        ) from error
    return target


def _write(target: Path, pieces: Iterable[bytes]) -> None:
    if target.exists() and not target.is_file():
        # a device or a pipe, such as /dev/null and /dev/stdout: a file moved there would take its place
        with target.open("wb") as stream:
            stream.writelines(pieces)
        return
    target = Path(os.path.realpath(target))  # a link stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
