"""Finds scenario files, and what scenarios name: personas, data files, recorded traces."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from simulate.errors import FileProblems, InputError, Problem
from simulate.model.loading.yaml_reader import MAX_BYTES
from simulate.model.nearest import did_you_mean

SUFFIXES = (".yaml", ".yml")
WRITTEN_BY_UPDATE = "# written by --update"
"""How a snapshot begins."""
PASSED_OVER = frozenset({"personas", "cassettes"})
"""Folders whose YAML files are no scenarios."""
_ROOT_MARKS = ("pyproject.toml", ".git")


def short(path: Path) -> Path:
    """Below the working directory, where that is possible: messages are read there."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path


def scenario_files(paths: Iterable[Path | str]) -> list[Path]:
    """Files as they are named, folders walked in sorted order; each file once. Raises InputError."""
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files = list(_walk(path))
            if not files:
                raise InputError(
                    "no scenario in this folder", where=str(path), hint="simulate new NAME writes one"
                )
        elif path.exists():
            files = [path]
        else:
            hint = None if path.suffix else "simulate new NAME writes a first scenario"
            raise InputError("no such file or folder" + _near_file(path), where=str(path), hint=hint)
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def is_snapshot(path: Path) -> bool:
    """Whether a file was written by ``--update``: it may lie among the scenarios that name it."""
    try:
        with path.open("rb") as file:
            return file.read(len(WRITTEN_BY_UPDATE)) == WRITTEN_BY_UPDATE.encode()
    except OSError:
        return False


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in PASSED_OVER)
        for name in sorted(files):
            path = Path(root, name)
            if name.endswith(SUFFIXES) and not name.startswith(".") and not is_snapshot(path):
                yield path


def _near_file(path: Path) -> str:
    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except OSError:
        return ""
    return did_you_mean(path.name, names, most=0)


def read_bytes(path: Path) -> bytes:
    """A file's bytes, one more than is allowed at most; raises FileProblems."""
    try:
        if not path.is_file():
            raise FileProblems([Problem("is not a file", str(path))])
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileProblems([Problem(f"cannot be read: {error.strerror}", str(path))]) from error


def project_root(folder: Path) -> Path | None:
    """The nearest folder upwards that holds a pyproject.toml or a repository."""
    for each in (folder, *folder.parents):
        if any((each / mark).exists() for mark in _ROOT_MARKS):
            return each
    return None


class Surroundings:
    """Where the files that a scenario names are looked for: beside it, in the folders above it up to the
    project's root, and in the working directory."""

    def __init__(self, file: Path) -> None:
        folder = Path(os.path.abspath(file)).parent
        root = project_root(folder)
        above = [each for each in folder.parents if root is not None and each.is_relative_to(root)]
        self.folders: Sequence[Path] = tuple(dict.fromkeys((folder, *above, Path.cwd())))

    def find(self, name: str) -> Path | None:
        """The file of this name."""
        if not name or "\0" in name:
            return None
        for folder in self.folders:
            try:
                if (path := folder / name).is_file():
                    return path
            except OSError:  # a name too long for the file system
                return None
        return None

    def find_persona(self, name: str) -> Path | None:
        """``personas/<name>.yaml``, or the file where ``name`` is one."""
        if name.endswith(SUFFIXES):
            return self.find(name)
        return next((path for end in SUFFIXES if (path := self.find(f"personas/{name}{end}"))), None)

    def personas(self) -> set[str]:
        """The names of all personas within reach."""
        folders = (folder / "personas" for folder in self.folders)
        return {path.stem for folder in folders for end in SUFFIXES for path in folder.glob(f"*{end}")}
