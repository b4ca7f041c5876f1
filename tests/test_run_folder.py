"""One run at a time in a folder, whatever became of the one before; and the same ids by every way to run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simulate.errors import InputError
from simulate.run_folder import RunFolder


def test_of_many_that_come_at_once_one_gets_the_folder(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from simulate.run_folder import RunFolder; "
        "from simulate.errors import InputError\n"
        "try: RunFolder.create(pathlib.Path('run')); print('got', flush=True); sys.stdin.read()\n"
        "except InputError as error: print('refused', error)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        with ThreadPoolExecutor(4) as pool:
            told = list(
                pool.map(lambda process: process.stdout.readline() if process.stdout else "", started)
            )
    finally:
        for process in started:
            process.communicate()
    assert sorted(line.split()[0] for line in told) == ["got", "refused", "refused", "refused"]
    holder = started[next(at for at, line in enumerate(told) if line.startswith("got"))].pid
    assert all(f"process {holder} on" in line for line in told if line.startswith("refused"))


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_the_lock_of_a_killed_run_holds_nobody_off(tmp_path: Path) -> None:
    run = tmp_path / "run"
    program = (
        f"import os, pathlib, signal; from simulate.run_folder import RunFolder; "
        f"RunFolder.create(pathlib.Path({str(run)!r})); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == -signal.SIGKILL
    assert (run / ".lock").exists()
    (run / ".tmp-a-1").mkdir()
    (run / ".run.json.abcd1234").write_text("{")
    # a process of another container may have our number, or one that is in use here
    (run / ".lock").write_text(f"process {os.getppid()} on elsewhere\n")
    folder = RunFolder.create(run, resume=True)
    assert sorted(path.name for path in run.iterdir()) == [".gitignore", ".lock"]
    with pytest.raises(InputError, match=f"process {os.getpid()} on"):
        RunFolder.create(run)
    folder.close()
    RunFolder.create(run).close()
    assert not (run / ".lock").exists()


AGENT = "def ok(message): return 'ok'\n"


def test_scenarios_of_one_name_have_the_same_ids_by_every_way_to_run(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.simulate]\n")
    (tmp_path / "agents.py").write_text(AGENT)
    for place in ("scenarios/one.yaml", "scenarios/two.yaml", "scenarios/deep/two.yaml"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(
            "name: Same\nagent: python:agents:ok\nopens_with: hi {{n}}\ncases: [{n: 1}, {n: 2}]\n"
            "expect: [{said: {contains: ok}}]\n"
        )
    plain = ["pytest", "-q", "-p", "no:cacheprovider", "scenarios"]
    ways = {
        "cli": ["simulate", "run", "scenarios", "--record", "cli", "--out", "run"],
        "pytest": [*plain, "--simulate-record", "pytest"],
        "xdist": [
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-n",
            "2",
            "scenarios",
            "--simulate-record",
            "xdist",
        ],
    }
    for words in ways.values():
        done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    found = {way: sorted(path.name for path in (tmp_path / way).iterdir()) for way in ways}
    assert found["cli"] == found["pytest"] == found["xdist"]
    assert len(found["cli"]) == 6
