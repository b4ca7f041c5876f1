"""Where the versions that are installed here differ from those of a constraints file."""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = {"simulate-agents", "pip"}


def locked(constraints: Path) -> dict[str, str]:
    """The version of each package that the file means for this Python on this machine."""
    lines = (line.partition("#")[0].strip() for line in constraints.read_text("utf-8").splitlines())
    wanted = [Requirement(line) for line in lines if line]
    return {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==")
        for one in wanted
        if one.marker is None or one.marker.evaluate()
    }


def drift(locked: dict[str, str], installed: dict[str, str]) -> list[str]:
    """One line for each package whose versions differ. What is locked and not installed counts too: an
    environment may hold fewer packages, but one of everything does not."""
    return [
        f"{name}  {locked.get(name, 'not locked')} → {installed.get(name, 'not installed')}"
        for name in sorted(locked.keys() | installed.keys())
        if locked.get(name) != installed.get(name)
    ]


def main() -> None:
    here = {canonicalize_name(one.metadata["Name"]): one.version for one in distributions()}
    lines = drift(locked(Path(sys.argv[1])), {name: here[name] for name in here.keys() - OURS})
    print("\n".join(lines) or "nothing")


if __name__ == "__main__":
    main()
