"""A suite recorded anew beside its cassettes: what the agent changed, and what the world did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

import simulate
from simulate.replay import Cassette, record, replaying
from simulate.replay.cassette.interactions import set_key
from simulate.replay.cassette.stale import find_stale, unmatched
from simulate.replay.matching.rules import default_rules
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


async def conversation(
    folder: Path, server: Any, *, prompt: str = "Be kind.", second: str = "more"
) -> Cassette:
    """Two calls, the second of which repeats the first one's answer."""
    messages: list[Any] = [{"role": "system", "content": prompt}, {"role": "user", "content": "hello"}]
    async with record(folder), httpx.AsyncClient() as client:
        url = server.base + "/v1/chat/completions"
        answer = (await client.post(url, json={"model": "m", "messages": messages})).json()
        messages += [answer["choices"][0]["message"], {"role": "user", "content": second}]
        await client.post(url, json={"model": "m", "messages": messages})
    return Cassette.load(folder)


@pytest.mark.parametrize(("second", "passed"), [("more", True), ("less", False)])
async def test_a_request_that_repeats_a_new_answer_is_the_models_change(
    server: Any, tmp_path: Path, second: str, passed: bool
) -> None:
    old = await conversation(tmp_path / "old", server)
    new = await conversation(tmp_path / "new", server, second=second)
    reply = new.http[0].response
    reply.chunks = [(0.0, reply.content.replace(b"answer to", b"reply to"))]
    new.http[1].body["messages"][2]["content"] = "reply to hello"
    set_key(new.http[1], default_rules())
    report = verify(old, new)
    assert report.passed == passed, report.explain()
    assert any("answered otherwise now" in note for note in report.notes)
    assert passed or any("may follow from that" in note for note in report.notes)


async def test_cassettes_and_scenarios_without_each_other_are_named(server: Any, tmp_path: Path) -> None:
    for name in ("kept", "kept-2", "gone"):
        await asked(tmp_path / name, server, "Be kind.")
    told = unmatched(tmp_path, ["kept", "new"])
    assert [line.rpartition("/")[2].partition(":")[0] for line in told] == ["gone", "new"]
    assert find_stale(tmp_path, max_age=1) == []
    manifest = tmp_path / "gone" / "manifest.json"
    data = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(data | {"started_ns": data["started_ns"] - 9 * 86_400 * 10**9}))
    (old,) = find_stale(tmp_path, max_age=8)
    assert old.folder.name == "gone" and "9 days" in old.reasons[0]


async def test_tools_in_another_order_are_told_as_reordered(tmp_path: Path) -> None:
    async with record(tmp_path / "c"):
        first("a"), second("b")
    async with replaying(tmp_path / "c") as player:
        second("b"), first("a")
    report = player.report()
    assert report.verdict == "reordered" and report.passed
    assert report.first is not None and report.first.asked == "tool first"
    assert "tools.jsonl:1" in report.explain()


async def test_a_missing_call_is_told_with_its_number_and_turn(server: Any, tmp_path: Path) -> None:
    async with record(tmp_path / "c") as recorder:
        for recorder.turn in (1, 2, 3):
            httpx.get(f"{server.base}/look/{recorder.turn}")
    async with replaying(tmp_path / "c") as player:
        for player.turn in (1, 3):
            httpx.get(f"{server.base}/look/{player.turn}")
    told = str(player.report().first)
    assert "turn 2" in told and "http.json #2" in told


@simulate.tool
def first(text: str) -> str:
    return text


@simulate.tool
def second(text: str) -> str:
    return text
