"""``simulate check``: refuse bad files before anything runs."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "refuse bad files before anything runs; runs nothing"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        type=Path,
        help="scenario files or folders; default: those of [tool.simulate] in pyproject.toml",
    )


def execute(args: argparse.Namespace) -> int:
    from simulate.errors import FileProblems, Problem
    from simulate.model.files import load_scenarios
    from simulate.model.project import Project

    problems: list[Problem] = []
    agents: set[str] | None = None
    folders: list[Path] = []
    try:
        project = Project.find()
        agents, folders = set(project.agents), project.scenarios
    except FileProblems as error:
        problems += error.problems
    paths: list[Path] = args.paths or folders or [Path("scenarios")]
    try:
        loaded = load_scenarios([_short(path) for path in paths], agents=agents)
    except FileProblems as error:
        raise FileProblems([*problems, *error.problems]) from None
    if problems:
        raise FileProblems(problems)
    files = len({each.file for each in loaded})
    print(f"{_count(len(loaded), 'scenario')} in {_count(files, 'file')} {_are(len(loaded))} fine")
    return 0


def _short(path: Path) -> Path:
    """Below the working directory, where that is possible: messages are read there."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
