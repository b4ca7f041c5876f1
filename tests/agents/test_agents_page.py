"""The web agent of docs/agents.md, run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agents.md"


def test_the_web_agent_of_the_page_keeps_its_session(tmp_path: Path) -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    (config,) = (text for kind, text in blocks if kind == "toml" and "web_agent.py" in text)
    (agent,) = (text for kind, text in blocks if text.startswith("# web_agent.py"))
    (scenario,) = (text for kind, text in blocks if text.startswith("# scenarios/cart.yaml"))
    (tmp_path / "scenarios").mkdir()
    for name, text in {
        "pyproject.toml": config,
        "web_agent.py": agent,
        "scenarios/cart.yaml": scenario,
    }.items():
        (tmp_path / name).write_text(text, "utf-8")
    command = [sys.executable, "-m", "simulate", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
