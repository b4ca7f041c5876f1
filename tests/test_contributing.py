"""Every command that CONTRIBUTING names is run: as it stands, or in a cheaper form that `CHEAPER` names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
BIN = Path(sys.executable).parent

INSTALL = '.venv/bin/pip install -c constraints.txt -e ".[dev]"'
LOCK = next(line for line in TEXT.splitlines() if line.startswith(".venv/bin/uv pip compile"))
CHEAPER = {
    # an environment is made; what goes into it is installed by .ci/run, with README's line
    "python3 -m venv .venv": "python -m venv --help",
    INSTALL: "python -m pip install --dry-run --no-deps --no-index -c constraints.txt pytest",
    # needs the registry; test_lock.py holds that this is the command that made the file
    LOCK: ".venv/bin/uv pip compile --help",
    # the tests themselves: that each can be collected
    ".venv/bin/python -m pytest -q -n 2 --dist worksteal": ".venv/bin/python -m pytest -q --collect-only",
    # a test changes no file
    ".venv/bin/ruff format": ".venv/bin/ruff format --check",
    # a minute for all of it, which .ci/run takes
    ".venv/bin/pyright --pythonpath .venv/bin/python": (
        ".venv/bin/pyright --pythonpath .venv/bin/python simulate/errors.py"
    ),
    # it serves until it is told to end
    "simulate serve": "simulate serve --help",
    # these run the tests, this one among them
    ".ci/run": "bash -n .ci/run",
    ".ci/latest": "bash -n .ci/latest",
    ".ci/latest --lowest": "bash -n .ci/latest",
    # brings the packages of the agent that it records
    "python -m fixtures.record.record <name>": "python -m fixtures.record.record --help",
}


def commands() -> list[str]:
    """Those of the blocks, one by one, and those in running text."""
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    told = re.findall(r"(?<!`)`((?:python3?|simulate|pip|uv|\.ci/\w+|\.venv/bin/\w+) ?[^`]*)`", TEXT)
    parts = [part.strip() for line in lines for part in line.split(" && ")]
    # a path of a room is not a command
    return list(dict.fromkeys([*parts, *(one for one in told if " " in one or one.startswith("."))]))


def test_each_cheaper_form_belongs_to_a_command_that_is_named() -> None:
    assert CHEAPER.keys() <= set(commands())


@pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="a checkout has .ci and the sources; a wheel has not")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", commands())
def test_a_command_works(command: str) -> None:
    line = CHEAPER.get(command, command)
    program, *arguments = shlex.split(line.replace(".venv/bin/python", sys.executable))
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    found = str(BIN / Path(program).name) if program.startswith(".venv/bin/") else program
    done = subprocess.run(
        [found, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="a checkout has .ci; a wheel has not")
@pytest.mark.parametrize("script", ["run", "latest"])
def test_a_script_of_ci_can_be_started(script: str) -> None:
    assert os.access(ROOT / ".ci" / script, os.X_OK)


def test_the_example_of_a_dialect_is_one() -> None:
    from simulate.trace.reading.dialect import Dialect
    from simulate.trace.span import Kind

    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    names: dict[str, object] = {"Dialect": Dialect, "Kind": Kind}
    exec(example, names)
    assert isinstance(names["DIALECT"], Dialect)
