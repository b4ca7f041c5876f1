"""Agents in processes of their own, recorded and replayed: the examples, and clients that go astray."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from simulate.errors import InputError
from simulate.replay import Cassette, Rules
from simulate.replay.matching.request import HttpRequest
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession
from simulate.replay.running import Recordings
from simulate.replay.serving.endpoint import ModelEndpoint

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "scenarios").glob("*.yaml"))
WITHOUT_KEY = {
    name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ANTHROPIC_"))
} | {"OTEL_BSP_SCHEDULE_DELAY": "200"}  # the agent's exporter would wait five seconds


def command(*words: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=cwd,
        env={**WITHOUT_KEY, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=150,
    )


def verdicts(folder: Path) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for path in folder.glob("*/outcome.json"):
        outcome = json.loads(path.read_text())
        found[path.parent.name] = [(one["check"], one["status"]) for one in outcome["verdicts"]]
    return found


def test_the_examples_replay_with_no_key(tmp_path: Path) -> None:
    """The cassettes beside the scenarios, also of the agent in a process of its own: no model, no key."""
    words = ["simulate", "run", *map(str, EXAMPLES), "--replay", "scenarios/cassettes"]
    done = command(*words, "--out", str(tmp_path / "run"))
    assert done.returncode == 1, done.stdout + done.stderr  # one fails on purpose, in a replay as well
    found = verdicts(tmp_path / "run")
    assert len(found) == len(list((ROOT / "scenarios" / "cassettes").iterdir()))
    assert all(("replay", "passed") in each for each in found.values()), found
    failed = [name for name, each in found.items() if any(status == "failed" for _, status in each)]
    assert failed == ["refund-that-is-promised-and-never-issued-1"]


def test_an_example_is_recorded_and_diverges_where_its_agent_changes(tmp_path: Path, server: Any) -> None:
    """A project with the table agent: recorded with a model, replayed under pytest, changed, and named."""
    for name in ("fixtures/agents/table.py", "fixtures/agents/model_server.py", "fixtures/agents/brains.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "scenarios").mkdir()
    shutil.copy(ROOT / "scenarios/cancel_booking.yaml", tmp_path / "scenarios")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.simulate.agents.table]\naddress = "http://127.0.0.1:{port}/v1"\n'
        'command = "python -m fixtures.agents.table --port {port}"\n[tool.pytest.ini_options]\n'
    )
    model = subprocess.Popen(
        [sys.executable, "-m", "fixtures.agents.model_server"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert model.stdout is not None
    base = model.stdout.readline().strip()
    tests = ["pytest", "-q", "-p", "no:cacheprovider", "-p", "simulate.interfaces.pytest.plugin", "scenarios"]
    here = {"cwd": tmp_path, "PYTHONPATH": str(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    try:
        done = command(*tests, "--simulate-record-mode", "once", **here, OPENAI_BASE_URL=base)  # type: ignore[arg-type]
    finally:
        model.kill()
        model.wait()
        model.stdout.close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(Cassette.load(tmp_path / "scenarios/cassettes/cancel-a-booking-4").http) == 3
    agent = tmp_path / "fixtures/agents/table.py"
    agent.write_text(agent.read_text().replace("You take bookings", "You kindly take bookings"))
    done = command(*tests, "--simulate-record-mode", "none", **here)  # type: ignore[arg-type]
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the system prompt changed" in done.stdout and "You kindly take" in done.stdout


@pytest.mark.parametrize(
    ("tool", "answer"),
    [("lookup", '{"error": "timeout"}'), ("cancel", '{"error": "not in the cassette: turn 1')],
)
def test_a_tool_that_failed_fails_again_for_an_agent_that_hands_its_tools_over(
    tmp_path: Path, tool: str, answer: str
) -> None:
    """A production trace holds a failed call; the agent hears of the failure, also of one never recorded."""
    given = Path(__file__).parent / "failed_tool"
    (tmp_path / "pyproject.toml").write_text(
        '[tool.simulate.agents.endpoint]\naddress = "http://127.0.0.1:{port}/v1"\n'
        f"command = '{sys.executable} {given / 'endpoint.py'} {{port}} {tool}'\n"
    )
    done = command("simulate", "replay", str(given / "trace.json"), "--agent", "endpoint", cwd=tmp_path)
    assert f"agent: The tool said: {answer}" in done.stdout, done.stdout + done.stderr
    # the endpoint asks no model
    assert done.returncode == 1 and "fault of simulate" not in done.stdout + done.stderr


ASTRAY = """
import sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1]).read()
except OSError as error:
    print(error)
"""
NODE = """
const { hostname, port } = new URL(process.argv[1])
const socket = require('net').connect(port, hostname, () => socket.destroy())
socket.on('error', (error) => console.log(String(error)))
"""


@pytest.mark.parametrize("language", ["python", "node"])
async def test_a_client_that_ignores_the_base_url_is_named(language: str, server: Any) -> None:
    if language == "node" and shutil.which("node") is None:
        pytest.skip("no node here")
    line = [sys.executable, "-c", ASTRAY] if language == "python" else ["node", "-e", NODE]
    player = ReplaySession(Cassette(), Rules())
    async with ModelEndpoint(guard=True).serve() as models, models.conversation(player):
        env = {**os.environ, **models.environment({})}

        async def ask(url: str) -> str:
            done = await asyncio.to_thread(
                subprocess.run, [*line, url], env=env, capture_output=True, text=True, timeout=20
            )
            return done.stdout + done.stderr

        assert "refused" not in await ask(models.base_url + "/models")
        assert "refused during replay" in await ask(server.base + "/x")
    assert server.hits == []
    (refused,) = player.report().refused
    assert server.address in refused and ("<string>:4" if language == "python" else "node") in refused
    assert not player.report().passed


async def test_requests_go_on_to_the_real_endpoint_and_stream(server: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base + "/")
    recorder = RecordSession(Rules())
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    async with ModelEndpoint().serve() as models, aiohttp.ClientSession() as client:
        async with models.conversation(recorder):
            async with client.post(models.base_url + "/chat/completions", json=body) as answer:
                text = await answer.text()
                assert answer.status == 200 and text.endswith("[DONE]\n\n")
            async with client.get(models.base_url + "/429", headers={"Authorization": "Bearer secret"}) as no:
                assert no.status == 429 and no.headers["Retry-After"] == "7"
        cassette = recorder.cassette()
        assert b"".join(piece for _, piece in cassette.http[0].response.chunks).decode() == text
        assert len(cassette.http[0].response.chunks) > 2 and cassette.http[0].uri.startswith(server.base)
        assert "secret" not in str(cassette.files())
        async with client.post(models.base_url + "/chat/completions", json=body) as late:
            assert late.status == 418 and "no conversation is open" in await late.text()
        heard = len(server.hits)
        player = ReplaySession(cassette, Rules())
        async with models.conversation(player):
            async with client.post(models.base_url + "/chat/completions", json=body) as answer:
                assert await answer.text() == text
            async with client.get(models.base_url + "/429") as no:
                assert no.status == 429 and no.headers["Retry-After"] == "7"
            async with client.get(models.base_url + "/models") as listed:
                assert [one["id"] for one in (await listed.json())["data"]] == ["m"]
        assert player.report().passed and len(server.hits) == heard


async def test_an_endpoint_that_is_not_there_is_told(monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    recorder = RecordSession(Rules())
    async with (
        ModelEndpoint().serve() as models,
        aiohttp.ClientSession() as client,
        models.conversation(recorder),
        client.get(models.base_url + "/models") as answer,
    ):
        assert answer.status == 502 and "is OPENAI_BASE_URL" in await answer.text()
    assert recorder.cassette().http[0].response.ended.startswith("failed: ")


async def test_an_agent_that_asks_for_nothing_is_told(server: Any) -> None:
    recorder = RecordSession(Rules())
    recorder.begin(HttpRequest("POST", server.base + "/v1/chat/completions", {}, b"{}")).ended()
    player = ReplaySession(recorder.cassette(), Rules())
    async with ModelEndpoint().serve() as models, models.conversation(player):
        pass
    assert "does it use OPENAI_BASE_URL" in player.report().explain()


def test_a_missing_cassette_is_refused_before_anything_runs(tmp_path: Path) -> None:
    loaded = SimpleNamespace(id="lost")
    Cassette().save(tmp_path / "lost")
    recordings = Recordings(tmp_path, "none")
    recordings.check(loaded, 1)
    with pytest.raises(InputError, match="no cassette for lost, trial 2"):
        recordings.check(loaded, 2)
    with pytest.raises(InputError, match="no cassette for found"):
        recordings.check(SimpleNamespace(id="found"), 1)
