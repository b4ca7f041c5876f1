"""The playback server: for agents in other processes and other languages."""

# ruff: noqa: PT012 (programs in texts; what is awaited inside is the point)
from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from simulate.errors import InputError
from simulate.replay import Cassette, record
from simulate.replay.serving.server import PlaybackServer

AGENT = """
import sys
from openai import OpenAI
client, messages = OpenAI(api_key="k"), []
for question in sys.argv[1:]:
    messages.append({"role": "user", "content": question})
    stream = client.chat.completions.create(model="m", messages=messages, stream=True)
    answer = "".join(piece.choices[0].delta.content or "" for piece in stream)
    messages.append({"role": "assistant", "content": answer})
    print(answer)
"""
NODE_AGENT = """
import OpenAI from "openai";
const client = new OpenAI({ apiKey: "k" });
const messages = [];
for (const question of process.argv.slice(2)) {
  messages.push({ role: "user", content: question });
  const answer = await client.chat.completions.create({ model: "m", messages });
  messages.push(answer.choices[0].message);
  console.log(answer.choices[0].message.content);
}
"""


async def talk(base: str, *questions: str, stream: bool = False, **headers: str) -> list[str]:
    messages: list[Any] = []
    answers: list[str] = []
    async with openai.AsyncOpenAI(base_url=base, api_key="k", default_headers=headers) as client:
        for question in questions:
            messages.append({"role": "user", "content": question})
            if stream:
                pieces = await client.chat.completions.create(model="m", messages=messages, stream=True)
                answer = "".join([piece.choices[0].delta.content or "" async for piece in pieces])
            else:
                done = await client.chat.completions.create(model="m", messages=messages)
                answer = done.choices[0].message.content or ""
            messages.append({"role": "assistant", "content": answer})
            answers.append(answer)
    return answers


async def test_an_unmodified_agent_replays_by_its_base_url(server: Any, tmp_path: Path) -> None:
    async with record(tmp_path / "c"):
        recorded = await talk(server.base + "/v1", "one", "two", stream=True)
    heard = len(server.hits)
    async with PlaybackServer([Cassette.load(tmp_path / "c")]).serve() as playback:
        assert await talk(playback.base_url, "one", "two", stream=True) == recorded
        async with openai.AsyncOpenAI(base_url=playback.base_url, api_key="k") as client:
            assert [model.id async for model in client.models.list()] == ["m"]
    assert len(server.hits) == heard
    (report,) = playback.reports()
    assert report.passed and report.verdict == "identical"


async def test_the_same_from_python(server: Any, tmp_path: Path) -> None:
    from simulate.replay import playback

    async with record(tmp_path / "c"):
        recorded = await talk(server.base + "/v1", "one", "two")
    async with playback(tmp_path / "c") as serving:
        assert await talk(serving.base_url, "one", "two") == recorded
    assert [report.verdict for report in serving.reports()] == ["identical"]
    with pytest.raises(InputError, match="nothing"):
        async with playback(tmp_path / "nothing"):
            pass


async def test_a_miss_names_the_divergence_and_is_not_retried(server: Any, tmp_path: Path) -> None:
    async with record(tmp_path / "c"):
        await talk(server.base + "/v1", "one")
    async with PlaybackServer([Cassette.load(tmp_path / "c")]).serve() as playback:
        with pytest.raises(openai.APIStatusError, match="the history changed") as failed:
            await talk(playback.base_url, "something else")
    assert failed.value.status_code == 418
    assert failed.value.body["code"] == "drifted"  # type: ignore[index]
    assert len(playback.reports()[0].divergences) == 1


@pytest.mark.parametrize("apart", ["header", "trace", "history"])
async def test_sessions_at_the_same_time_are_kept_apart(server: Any, tmp_path: Path, apart: str) -> None:
    async with record(tmp_path / "c"):
        recorded = await talk(server.base + "/v1", "one", "two", "three")
    headers: list[dict[str, str]] = [
        {
            "header": {"x-simulate-session": f"s{n}"},
            "trace": {"traceparent": f"00-{n + 1:032x}-{1:016x}-01"},
        }.get(apart, {})
        for n in range(8)
    ]
    async with PlaybackServer([Cassette.load(tmp_path / "c")]).serve() as playback:
        if apart == "history":  # one after the other: nothing else tells two equal conversations apart
            results = [await talk(playback.base_url, "one", "two", "three") for _ in headers]
        else:
            results = await asyncio.gather(
                *(talk(playback.base_url, "one", "two", "three", **each) for each in headers)
            )
    assert results == [recorded] * 8
    assert [report.verdict for report in playback.reports()] == ["identical"] * 8


async def test_each_session_gets_the_cassette_that_knows_it(server: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        async with record(tmp_path / name):
            await talk(server.base + "/v1", f"{name} one", f"{name} two")
    cassettes = [Cassette.load(tmp_path / name) for name in ("a", "b")]
    async with PlaybackServer(cassettes).serve() as playback:
        found = await asyncio.gather(
            talk(playback.base_url, "b one", "b two"), talk(playback.base_url, "a one", "a two")
        )
    assert found[0][1] == "answer to b two" and found[1][1] == "answer to a two"
    assert all(report.passed for report in playback.reports())


async def test_errors_dead_streams_and_audio(server: Any, tmp_path: Path) -> None:
    async def work(base: str) -> list[Any]:
        found: list[Any] = []
        async with httpx.AsyncClient() as client:
            slow = await client.get(base.removesuffix("/v1") + "/429")
            found += [slow.status_code, slow.headers["retry-after"]]
            files = {"file": ("a.wav", b"\x00\x01" * 20, "audio/wav")}
            found.append(
                (await client.post(base + "/audio/transcriptions", data={"model": "w"}, files=files)).json()
            )
            found.append(
                (await client.post(base + "/audio/speech", json={"model": "t", "input": "hi"})).content
            )
            body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "die"}]}
            got = b""
            with pytest.raises(httpx.RemoteProtocolError):
                async with client.stream("POST", base + "/chat/completions", json=body) as answer:
                    async for piece in answer.aiter_raw():
                        got += piece
            return [*found, got]

    async with record(tmp_path / "c"):
        recorded = await work(server.base + "/v1")
    async with PlaybackServer([Cassette.load(tmp_path / "c")]).serve() as playback:
        assert await work(playback.base_url) == recorded


async def test_two_on_one_port_are_told(tmp_path: Path) -> None:
    async with PlaybackServer([Cassette()]).serve() as one:
        with pytest.raises(InputError, match=f"port {one.port} is taken"):
            async with PlaybackServer([Cassette()]).serve(one.port):
                pass


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Any]:
    """Starts ``simulate playback`` as a user does; gives its environment and how to end it."""
    running: list[subprocess.Popen[str]] = []

    def start(source: Path, *options: str) -> tuple[dict[str, str], subprocess.Popen[str]]:
        command = [sys.executable, "-m", "simulate", "playback", str(source), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        environment = dict(os.environ)
        for _ in range(2):
            name, _, value = process.stdout.readline().removeprefix("export ").strip().partition("=")
            environment[name] = value
        return environment, process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


async def test_the_command_serves_an_agent_in_another_process(
    server: Any, tmp_path: Path, playing: Any
) -> None:
    async with record(tmp_path / "c"):
        recorded = await talk(server.base + "/v1", "one", "two", stream=True)
    environment, process = playing(tmp_path / "c", "--report", str(tmp_path / "report.json"))
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", AGENT, "one", "two"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == recorded, done.stderr
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0 and "replay: identical" in log
    assert json.loads((tmp_path / "report.json").read_text())[0]["verdict"] == "identical"


async def test_an_agent_in_node(server: Any, tmp_path: Path, playing: Any, node_modules: Path) -> None:
    (tmp_path / "node_modules").symlink_to(node_modules)
    (tmp_path / "agent.mjs").write_text(NODE_AGENT)
    async with record(tmp_path / "c"):
        recorded = await talk(server.base + "/v1", "one", "two")
    environment, _ = playing(tmp_path / "c")
    command = ["node", str(tmp_path / "agent.mjs"), "one", "two"]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines() == recorded, done.stderr
