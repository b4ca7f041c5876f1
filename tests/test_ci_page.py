"""The files of docs/ci.md: what they run, run as they say, in a project of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

PAGE = Path(__file__).resolve().parents[1] / "docs" / "ci.md"
SCENARIO = """
name: Hours
agent: python:mine.py:agent
script: [{says: When are you open?}]
expect: [{said: {contains: nine}}]
"""


@pytest.fixture
def files() -> dict[str, Any]:
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    return {name: yaml.safe_load(text) for name, text in blocks}


def steps(files: dict[str, Any], name: str) -> list[str]:
    if name == ".gitlab-ci.yml":
        return list(files[name]["simulate"]["script"])
    return [step["run"] for step in files[name]["jobs"]["simulate"]["steps"] if "run" in step]


@pytest.mark.skipif(os.name == "nt", reason="CI's shell is a Unix one")
@pytest.mark.parametrize("name", [".github/workflows/agent.yml", ".gitlab-ci.yml"])
@pytest.mark.parametrize("answer", ["nine", "ten"])
def test_its_commands_run(files: dict[str, Any], name: str, answer: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"def agent(message):\n    return 'We open at {answer}.'\n")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "hours.yaml").write_text(SCENARIO)
    (tmp_path / "gate.yaml").write_text("pass_rate: 1\n")
    (tmp_path / "simulate").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m simulate "$@"\n')
    (tmp_path / "simulate").chmod(0o755)
    summary = tmp_path / "summary"
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    codes = [
        subprocess.run(["bash", "-e", "-c", step], cwd=tmp_path, env=environment, check=False).returncode
        for step in steps(files, name)
        if not step.startswith("pip install")
    ]
    assert codes[1] == (answer == "ten") and not any([codes[0], *codes[2:]])
    assert ET.parse(tmp_path / "junit.xml").getroot().get("tests") == "4"
    assert (tmp_path / "run" / "report.html").exists() and (tmp_path / "gate.xml").exists()
    if name.startswith(".github"):
        assert "Gate: " in summary.read_text()


def test_what_is_kept_is_what_is_written(files: dict[str, Any]) -> None:
    written = {"run", "junit.xml", "gate.xml", "gate.md"}
    upload = files[".github/workflows/agent.yml"]["jobs"]["simulate"]["steps"][-1]["with"]["path"]
    artifacts = files[".gitlab-ci.yml"]["simulate"]["artifacts"]
    assert set(upload.split()) | set(artifacts["paths"]) | set(artifacts["reports"]["junit"]) == written
