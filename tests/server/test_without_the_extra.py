"""What the server needs is an extra: every verb that opens a store names it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

VERBS = ["serve", "serve import t.jsonl", "serve keys list", "serve forget --user u", "serve export -o out"]
PROGRAM = """
import sys
sys.modules["sqlalchemy"] = None
from simulate.interfaces.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("words", VERBS)
def test_the_extra_is_named(words: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").touch()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2 and "simulate-agents[server]" in done.stderr, done.stderr
