"""A suite for pytest-recording, with vcrpy's cassettes, runs on our replay unchanged; and records anew."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from simulate.replay import Cassette

SUITE = Path(__file__).parent / "recorded_suite"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "simulate.interfaces.pytest.vcr", "--asyncio-mode=auto"]


def ran(folder: Path, *words: str) -> str:
    line = [*PYTEST, "-p", "no:cacheprovider", *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


def test_a_suite_for_pytest_recording_runs_unchanged(tmp_path: Path, server: Any) -> None:
    folder = shutil.copytree(SUITE, tmp_path / "suite")
    (folder / "suite.py").rename(folder / "test_agent.py")
    (folder / "pytest.ini").write_text("[pytest]\n")
    code = f"def test_new():\n    assert requests.get('{server.base}/429').status_code == 429"
    (folder / "test_new.py").write_text(f"import pytest, requests\n@pytest.mark.vcr\n{code}\n")
    told = ran(folder, "--record-mode=once")
    assert "\nERROR test_agent.py::test_changed - " in told and "7 passed" in told and "1 error" in told, told
    assert "'Paris' → 'Rome'" in told, told
    assert len(Cassette.load(folder / "cassettes/test_new/test_new").http) == 1 == len(server.hits)
    assert "1 passed" in ran(folder, "test_new.py") and len(server.hits) == 1
