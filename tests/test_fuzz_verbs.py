"""A sample of `benchmarks.fuzz_verbs`, which runs in full before a release."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_changed_files_are_read_or_refused_in_words() -> None:
    # a process of its own: it changes its working directory and imports a module called agents
    command = [sys.executable, "-m", "benchmarks.fuzz_verbs", "--n", "120", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "120 inputs" in done.stdout
