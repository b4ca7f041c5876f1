"""The pages from a bad production trace to a gate, run from the shell as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"(?:<!-- exit (?P<exit>\d) -->\n)?```sh\n(?P<run>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?",
    re.M | re.S,
)


@pytest.mark.skipif(os.name == "nt", reason="the pages are written for a Unix shell")
@pytest.mark.parametrize(("page", "reds"), [("from-trace-to-gate", 2), ("web-agent", 1)])
def test_the_page_runs_as_it_stands(tmp_path: Path, page: str, reds: int) -> None:
    """Each block ends with its exit code (0 unless told) and prints every line that is shown below it."""
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("python", ""), ("simulate", " -P -m simulate.interfaces.cli.main")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "PYTEST_", "PYTHONPATH"))
    }
    environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "COLUMNS": "200"}
    blocks = list(BLOCK.finditer((ROOT / "docs" / f"{page}.md").read_text("utf-8")))
    codes = [int(block["exit"] or 0) for block in blocks]
    assert codes.count(1) == reds and codes[-1] == 0
    for block, code in zip(blocks, codes, strict=True):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block["run"]],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        told = done.stdout + done.stderr
        assert done.returncode == code, f"{block['run']}\n{told}"
        for line in (block["shown"] or "").splitlines():
            assert line in told, f"{block['run']}\ndoes not print {line!r}:\n{told}"
    text = "".join(file.read_text("utf-8") for file in (tmp_path / "datasets").rglob("*.*") if file.is_file())
    assert "dana.whitfield" not in text
    if page == "from-trace-to-gate":
        assert (tmp_path / "gate.md").read_text("utf-8").startswith("## ❌ Gate: fail")
        assert "<failure" in (tmp_path / "gate.xml").read_text("utf-8")
    else:
        assert len(blocks) <= 8, "seven commands, beside the one that plays production"


def test_the_web_page_shows_the_agent_as_it_is_set_up() -> None:
    table = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / "web-agent.md").read_text("utf-8"), re.S)
    assert table is not None and table[1] in (ROOT / "pyproject.toml").read_text("utf-8")
