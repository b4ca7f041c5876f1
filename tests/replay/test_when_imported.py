"""Packages are patched when they are imported, and not imported to be patched."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

from simulate.determinism.when_imported import when_imported


@pytest.mark.parametrize("imported", ["before", "meanwhile", "after"])
def test_a_patch_lasts_as_long_as_it_is_held(
    imported: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"a_client_{imported}"
    (tmp_path / f"{name}.py").write_text("def send(): return 'sent'\n")
    monkeypatch.syspath_prepend(tmp_path)

    def apply(undo: ExitStack) -> None:
        undo.enter_context(mock.patch.object(sys.modules[name], "send", return_value="recorded"))

    if imported == "before":
        __import__(name)
    for _ in range(2):  # conversation after conversation
        with ExitStack() as held:
            when_imported(held, name, apply)
            if imported != "after":
                __import__(name)
                assert sys.modules[name].send() == "recorded"
    __import__(name)
    assert sys.modules[name].send() == "sent"


def test_a_command_imports_no_client_that_its_agent_does_not(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import atexit, sys\n"
        "CLIENTS = {'aiohttp', 'grpc', 'mcp', 'websockets'}\n"
        "atexit.register(lambda: print('LOADED', sorted(CLIENTS & sys.modules.keys())))\n"
        "async def agent(message: str) -> str:\n    return 'hello'\n"
    )
    (tmp_path / "s.yaml").write_text(
        "name: Hi\nagent: python:mine:agent\nscript: [{says: hi}]\nexpect: [{said: {contains: hello}}]\n"
    )
    for way in ("--record", "--replay"):
        command = [sys.executable, "-m", "simulate", "run", "s.yaml", way, "cassettes"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "LOADED []"), done.stdout + done.stderr
