"""``simulate run --watch``: the run in a process of its own, again after each change of a file."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from simulate.errors import InputError
from simulate.interfaces.cli import say
from simulate.model.loading.project import project_root

SUFFIXES = frozenset(
    (".py", ".yaml", ".yml", ".toml", ".csv", ".json", ".jsonl", ".md", ".txt", ".js", ".mjs", ".ts", ".env")
)
SKIPPED = frozenset(("node_modules", "__pycache__", "venv", "dist", "build"))
PERIOD = 0.5
"""Seconds between two looks at the files."""


def watch(args: argparse.Namespace) -> int:
    """Run, wait for a change, run again. Ctrl-C ends it, with the exit code of the latest run."""
    for option in ("out", "resume"):
        if getattr(args, option) is not None:
            raise InputError(f"--watch makes a run of each change: take --{option} out")
    root = project_root(Path.cwd())
    words = [sys.executable, "-m", "simulate", *(word for word in sys.argv[1:] if word != "--watch")]
    code = 0
    try:
        while True:
            before = snapshot(root)
            # another process: Python would not import again what has changed
            code = subprocess.run(words, check=False).returncode
            say(f"exit code {code}; waiting for a change in {root} (Ctrl-C ends)", file=sys.stderr)
            while (now := snapshot(root)) == before:
                time.sleep(PERIOD)
            changed = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
            say(f"changed: {', '.join(os.path.relpath(path, root) for path in changed[:5])}", file=sys.stderr)
    except KeyboardInterrupt:
        return code


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    """Time of change and size of each file that a run could depend on, hidden folders left out."""
    found: dict[str, tuple[int, int]] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [each for each in folders if not each.startswith(".") and each not in SKIPPED]
        for name in files:
            if Path(name).suffix in SUFFIXES or name == ".env":
                path = os.path.join(folder, name)
                try:
                    status = os.stat(path)
                except OSError:
                    continue  # it went away meanwhile
                found[path] = status.st_mtime_ns, status.st_size
    return found
