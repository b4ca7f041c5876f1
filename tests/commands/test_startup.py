"""What the command imports before it knows that it needs it: everybody pays for that on every start."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "aiohttp",
    "deepdiff",
    "faker",
    "httpx",
    "numpy",
    "openai",
    "opentelemetry.sdk",
    "pydantic",
    "rich",
    "vcr",
}


def imported(*arguments: str) -> set[str]:
    """Every module that the command imported, as ``-X importtime`` tells."""
    command = [sys.executable, "-X", "importtime", "-m", "simulate", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rsplit("|", 1)[1].strip() for line in lines}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["diff", "--help"]])
def test_help_imports_no_heavy_package(arguments: list[str]):
    assert not imported(*arguments) & HEAVY


def test_checking_files_imports_no_agent_no_model_and_no_tracing():
    found = imported("check", "scenarios")
    assert "pydantic" in found  # the check sees what is imported
    assert not found & (HEAVY - {"pydantic"})
