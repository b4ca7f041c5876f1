"""Environment variables that a run is given: from ``.env`` files and from pyproject.toml."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from simulate.errors import FileProblems, InputError, Problem
from simulate.model.loading.project import Project, resolve_secret

_LINE = re.compile(
    r"""(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|(.*?))(?:\s+\#.*)?\s*"""
)


def set_environment(project: Project, files: Sequence[str | Path] = ()) -> None:
    """Set what is not set already: of ``files`` first, then of the project's own file and table.

    The environment that simulate was started with counts most, so that CI can override a file. Raises
    InputError for a named file that is missing, and FileProblems for lines that are no ``NAME=value``."""
    found: dict[str, str] = {}
    for file in files:
        found = read_env_file(Path(file)) | found
    if project.env_file is not None and project.env_file.is_file():
        found = read_env_file(project.env_file) | found
    for name, value in found.items():
        os.environ.setdefault(name, value)
    for name, value in project.env.items():
        if name not in os.environ:
            os.environ[name] = resolve_secret(value)


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file of ``NAME=value`` lines; ``export``, quotes and ``#`` comments are allowed."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"the environment file cannot be read: {why}", where=str(path)) from None
    except UnicodeDecodeError:
        raise InputError("the environment file is not UTF-8", where=str(path)) from None
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            # never the line itself: it may hold a secret
            problems.append(Problem("not NAME=value", str(path), number))
            continue
        found[match[1]] = next((value for value in match.groups()[1:] if value is not None), "")
    if problems:
        raise FileProblems(problems)
    return found
