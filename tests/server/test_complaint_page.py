"""docs/complaint-to-release.md, run from the shell as it stands."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?:<!-- exit (?P<exit>\d) -->\n)?```sh\n(?P<run>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?",
    re.M | re.S,
)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page asks with curl: apt-get install curl")
def test_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("python", ""), ("simulate", " -P -m simulate.interfaces.cli.main")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
        (programs / name).chmod(0o755)
    # the port of the page may be taken here
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    hidden = ("OPENAI_", "PYTEST_", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "COLUMNS": "200"}
    environment["SIMULATE_SERVER"] = f"http://127.0.0.1:{port}"
    text = (ROOT / "docs" / "complaint-to-release.md").read_text("utf-8")
    text = text.replace("4318", port).replace("simulate serve >", f"simulate serve --port {port} >")
    try:
        for block in BLOCK.finditer(text):
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block["run"]],
                cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False,
            )  # fmt: skip
            told = done.stdout + done.stderr
            assert done.returncode == int(block["exit"] or 0), f"{block['run']}\n{told}"
            for line in (block["shown"] or "").splitlines():
                assert line in told, f"{block['run']}\ndoes not print {line!r}:\n{told}"
    finally:
        if (tmp_path / "serve.pid").exists():
            subprocess.run(
                ["kill", (tmp_path / "serve.pid").read_text().strip()], capture_output=True, check=False
            )
    kept = b"".join(path.read_bytes() for path in (tmp_path / ".simulate").glob("traces.db*"))
    assert kept and b"dana.whitfield" not in kept
