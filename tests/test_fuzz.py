"""Samples of `benchmarks.fuzz_verbs` and `benchmarks.fuzz_traces`, which run in full before a release."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECORDED = ("agno_openinference", "autogen_native", "claude_agent_traceai", "strands_default")


@pytest.mark.parametrize(
    ("module", "files"),
    [("fuzz_verbs", ()), ("fuzz_traces", [f"fixtures/traces/{name}.otlp.jsonl" for name in RECORDED])],
)
def test_changed_files_are_read_or_refused_in_words(module: str, files: list[str]) -> None:
    # a process of its own: it changes its working directory and imports a module called agents
    command = [sys.executable, "-m", f"benchmarks.{module}", "--n", "120", "--seed", "3", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "120 inputs" in done.stdout
