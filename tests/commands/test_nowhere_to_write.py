"""Standard output that is full, closed or read by nobody is told in words, and fails nothing that passed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no /dev/full elsewhere")
TRACE = str(Path(__file__).parents[2] / "fixtures/traces/openinference_openai.otlp.jsonl")
COMMANDS = {
    "schema": 0,
    "check s.yaml": 0,
    "run s.yaml --out r": 0,
    "run s.yaml --out r --json -": 0,
    f"trace show {TRACE}": 0,
    f"trace redact {TRACE}": 0,
}


def simulate(words: str, where: Path, **streams: Any) -> subprocess.CompletedProcess[str]:
    (where / "agents.py").write_text("def ok(message): return 'ok'\n")
    (where / "s.yaml").write_text(
        "name: s\nagent: python:agents:ok\nopens_with: hi\nexpect: [{said: {contains: ok}}]\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "simulate", *words.split()],
        cwd=where, text=True, timeout=120, **{"stderr": subprocess.PIPE, **streams},
    )  # fmt: skip
    told = done.stderr or ""
    assert "Traceback" not in told and "Exception ignored" not in told, told
    return done


@pytest.mark.parametrize("words", COMMANDS)
def test_a_full_one_is_told(words: str, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = simulate(words, tmp_path, stdout=full)
    assert done.returncode == 3
    assert "environment fault: cannot write" in done.stderr and "No space left" in done.stderr


@pytest.mark.parametrize("words", COMMANDS)
def test_a_closed_one_takes_nothing(words: str, tmp_path: Path) -> None:
    for number in (1, 2):
        streams = {"preexec_fn": lambda number=number: os.close(number)}
        (tmp_path / str(number)).mkdir()
        done = simulate(words, tmp_path / str(number), **streams)
        assert done.returncode == COMMANDS[words], done.stderr
        for file in (tmp_path / str(number)).rglob("outcomes.jsonl"):
            assert file.read_bytes().startswith(b"{") and file.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("words", COMMANDS)
def test_one_that_nobody_reads_ends_the_command_quietly(words: str, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = simulate(words, tmp_path, stdout=write)
    os.close(write)
    assert done.returncode == 0 and "fault" not in done.stderr


@pytest.mark.parametrize("option", ["run s.yaml --record", f"replay {TRACE} --agent python:agents:ok --side"])
def test_a_name_that_no_folder_may_have_is_refused(option: str, tmp_path: Path) -> None:
    for name, problem in (("x" * 3000, "too long"), ("s.yaml", "not a folder")):
        done = simulate(f"{option} {name}", tmp_path)
        assert done.returncode == 2
        assert problem in done.stderr and len(done.stderr.splitlines()[-1]) < 200
