"""Replace a whole folder at once: after a crash at any moment, the old folder is there or the new one is."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from simulate.child_process import is_running
from simulate.errors import EnvironmentFault

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def replace_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Make ``target`` a folder that holds exactly ``files`` (paths relative to it).

    All is written and synced beside the target first; then the two names are exchanged in one step where the
    system can (Linux), and by two renames elsewhere, which `recover` mends after a crash between them.
    """
    target = target.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(target)
        _sweep(target)
        fresh = target.parent / f".{target.name}.new-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            _write(fresh, files)
            _swap(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise EnvironmentFault(
            f"the folder could not be written: {error.strerror or error}",
            where=str(target),
            hint="what was there before is untouched",
        ) from error


def recover(target: Path) -> None:
    """Bring back a folder that a crash left under its spare name (systems without an atomic exchange)."""
    spare = _spare(target)
    if spare.is_dir():
        if target.exists():
            shutil.rmtree(spare, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                spare.rename(target)


def _spare(target: Path) -> Path:
    return target.parent / f".{target.name}.old"


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    for inner in {folder, *((folder / name).parent for name in files)}:
        _sync(inner)


def _swap(fresh: Path, target: Path) -> None:
    if not target.exists():
        try:
            fresh.rename(target)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            _swap(fresh, target)  # somebody else's was there first: ours takes its place
            return
    elif not _exchange(fresh, target):
        spare = _spare(target)
        target.rename(spare)
        fresh.rename(target)
        shutil.rmtree(spare, ignore_errors=True)
    _sync(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    done = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in {errno.ENOSYS, errno.EINVAL}:
        return False  # a file system without exchange
    raise OSError(code, os.strerror(code), str(other))


def _sync(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open a folder to sync it
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(target: Path) -> None:
    """Remove what writers that were killed have left beside the target."""
    for left in target.parent.glob(f".{target.name}.new-*"):
        process = left.name.rsplit("-", 2)[-2]
        if process.isdigit() and not is_running(int(process)):
            shutil.rmtree(left, ignore_errors=True)
