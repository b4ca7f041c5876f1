"""A suite recorded anew beside its cassettes: what the agent changed, and what the world did."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulate.replay import Cassette, record
from simulate.replay.verify import verify


async def asked(folder: Path, server: Any, system: str, more: int = 0, path: str = "/v1") -> Cassette:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "hello"}]
    async with record(folder), httpx.AsyncClient() as client:
        for _ in range(1 + more):
            url = server.base + path + "/chat/completions"
            await client.post(url, json={"model": "m", "messages": messages})
    return Cassette.load(folder)


async def test_what_the_agent_changed_is_named(server: Any, tmp_path: Path) -> None:
    old = await asked(tmp_path / "old", server, "Be kind.")
    same = verify(old, await asked(tmp_path / "same", server, "Be kind."))
    assert same.verdict == "identical" and same.notes == []
    other = verify(old, await asked(tmp_path / "other", server, "Be rude."))
    assert other.verdict == "drifted" and other.first is not None
    assert other.first.component == "system prompt" and not other.passed
    assert verify(old, await asked(tmp_path / "more", server, "Be kind.", more=1)).verdict == "exhausted"
    assert verify(await asked(tmp_path / "two", server, "Be kind.", more=1), old).verdict == "unplayed"


async def test_what_the_model_changed_is_told_and_held_against_nobody(server: Any, tmp_path: Path) -> None:
    old = await asked(tmp_path / "old", server, "Be kind.")
    new = await asked(tmp_path / "new", server, "Be kind.")
    reply = new.http[0].response
    reply.chunks = [(0.0, reply.content.replace(b"answer to", b"reply to"))]
    report = verify(old, new)
    assert report.passed
    (note,) = report.notes
    assert "answered otherwise now" in note and "reply to" in note


@pytest.mark.parametrize(("system", "code"), [("Be kind.", 0), ("Be rude.", 1)])
async def test_the_command(server: Any, tmp_path: Path, system: str, code: int) -> None:
    await asked(tmp_path / "old" / "one", server, "Be kind.")
    await asked(tmp_path / "new" / "one", server, system)
    line = [sys.executable, "-m", "simulate", "replay", "old", "--verify"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    options = {"cwd": tmp_path, "env": env, "capture_output": True, "text": True}
    done = subprocess.run([*line, "new"], **options)  # type: ignore[call-overload]
    assert done.returncode == code, done.stdout + done.stderr
    assert ("the system prompt changed" in done.stdout) == (code == 1)
    absent = subprocess.run([*line, "nowhere"], **options)  # type: ignore[call-overload]
    assert absent.returncode == 2 and "nowhere" in absent.stderr
