"""Conversations side by side never mix, and none of them gets out."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from simulate.replay import Cassette, record, replaying


async def test_fifty_requests_of_one_shape_at_once_get_their_own_answers(server: Any, tmp_path: Path) -> None:
    async def ask(client: openai.AsyncOpenAI, number: int) -> str | None:
        messages: list[Any] = [{"role": "user", "content": f"question {number}"}]
        answer = await client.chat.completions.create(model="m", messages=messages)
        return answer.choices[0].message.content

    async def all_of_them(base: str) -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=base, api_key="k") as client:
            return list(await asyncio.gather(*(ask(client, number) for number in range(50))))

    async with record(tmp_path / "c"):
        recorded = await all_of_them(server.base + "/v1")
    async with replaying(tmp_path / "c") as player:
        replayed = await all_of_them("http://other.example/v1")
    assert replayed == recorded == [f"answer to question {number}" for number in range(50)]
    assert player.report().verdict == "identical"


async def test_equal_requests_are_answered_in_the_order_in_which_they_began(
    server: Any, tmp_path: Path
) -> None:
    async def work(base: str) -> list[int]:
        async with httpx.AsyncClient() as client:
            return [(await client.post(base + "/count", json={})).json()["count"] for _ in range(5)]

    async with record(tmp_path / "c"):
        recorded = await work(server.base)
    async with replaying(tmp_path / "c") as player:
        assert await work("http://127.0.0.1:1") == recorded
        async with httpx.AsyncClient() as client:
            sixth = await client.post("http://127.0.0.1:1/count", json={})
    assert sixth.status_code == 418
    report = player.report()
    assert report.verdict == "exhausted" and not report.passed


async def test_twenty_conversations_of_sixteen_threads_beside_an_exporter(
    server: Any, tmp_path: Path
) -> None:
    def in_threads(base: str, scenario: int) -> list[str]:
        answers = [""] * 16
        client = httpx.Client(verify=False)

        def ask(place: int) -> None:
            body = {"model": "m", "messages": [{"role": "user", "content": f"{scenario}/{place % 8}"}]}
            found = client.post(base + "/v1/chat/completions", json=body).json()
            answers[place] = found["choices"][0]["message"]["content"]

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(16)]
        with client:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return answers

    async def one(base: str, scenario: int) -> list[str]:
        return await asyncio.to_thread(in_threads, base, scenario)

    async def recorded(scenario: int) -> None:
        async with record(tmp_path / str(scenario)):
            await one(server.base, scenario)

    async def replayed(scenario: int) -> tuple[list[str], Any]:
        async with replaying(tmp_path / str(scenario)) as player:
            answers = await one("http://live.example", scenario)
        return answers, player.report()

    await asyncio.gather(*(recorded(scenario) for scenario in range(20)))
    for scenario in range(20):
        assert len(Cassette.load(tmp_path / str(scenario)).http) == 16

    heard = len(server.hits)
    provider = TracerProvider()
    processor = BatchSpanProcessor(OTLPSpanExporter(server.base + "/v1/traces"), schedule_delay_millis=5)
    provider.add_span_processor(processor)
    tracer, stop = provider.get_tracer("t"), threading.Event()

    def emit() -> None:
        while not stop.is_set():
            tracer.start_span("beside").end()
            stop.wait(0.002)

    exporting = threading.Thread(target=emit)
    exporting.start()
    results = await asyncio.gather(*(replayed(scenario) for scenario in range(20)))
    stop.set()
    exporting.join()
    live = [path for path in server.hits[heard:] if path != "/v1/traces"]
    provider.shutdown()
    assert live == []
    for scenario, (answers, report) in enumerate(results):
        assert answers == [f"answer to {scenario}/{place % 8}" for place in range(16)]
        assert report.verdict == "identical" and report.live_calls == 0 and not report.refused


def export_a_span(url: str) -> None:
    """As an agent does that sends each span at once, from within its own code."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(url)))
    provider.get_tracer("t").start_span("in the agent").end()
    provider.shutdown()


async def test_what_an_exporter_sends_is_telemetry_wherever_it_goes(server: Any, tmp_path: Path) -> None:
    def agent() -> int:
        export_a_span(server.base + "/v1/traces")
        export_a_span(server.base + "/collect")
        return httpx.post(server.base + "/echo", json={}).status_code

    async with record(tmp_path / "c"):
        agent()
    assert server.hits == ["/v1/traces", "/collect", "/echo"]
    assert [one.uri for one in Cassette.load(tmp_path / "c").http] == [server.base + "/echo"]
    async with replaying(tmp_path / "c") as player:
        assert agent() == 200
    assert len(server.hits) == 3 and player.report().passed


async def test_what_the_agent_posts_itself_is_no_telemetry_wherever_it_goes(
    server: Any, tmp_path: Path
) -> None:
    async def agent() -> list[int]:
        async with httpx.AsyncClient() as client:
            paths = ("/v1/traces", "/batch", "/api/traces", "/runs/batch")
            return [(await client.post(server.base + path, json={})).json()["count"] for path in paths]

    async with record(tmp_path / "c"):
        counts = await agent()
    async with replaying(tmp_path / "c") as player:
        assert await agent() == counts == [1, 2, 3, 4]
    assert len(server.hits) == 4 and player.report().played == 4


async def test_an_exporter_that_connects_as_the_replay_begins_blames_nobody(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client was let out, and asks for the socket when the guard is on."""
    real, connecting, go_on = socket.create_connection, threading.Event(), threading.Event()

    def late(*args: Any, **kwargs: Any) -> Any:
        connecting.set()
        assert go_on.wait(10)
        return real(*args, **kwargs)

    def looked_up(*args: Any, **kwargs: Any) -> Any:
        connecting.set()
        assert go_on.wait(10)
        return resolve(*args, **kwargs)

    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "create_connection", late)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    exporting = threading.Thread(target=export_a_span, args=(server.base + "/v1/traces",))
    exporting.start()
    assert await asyncio.to_thread(connecting.wait, 10)
    async with replaying(Cassette()) as player:
        go_on.set()
        await asyncio.to_thread(exporting.join)
    assert player.report().passed, player.report().explain()


async def test_a_request_of_nobody_is_refused_while_a_replay_runs(server: Any, tmp_path: Path) -> None:
    import contextvars

    async with record(tmp_path / "c"), httpx.AsyncClient() as client:
        await client.post(server.base + "/echo", json={})
    heard = len(server.hits)
    async with replaying(tmp_path / "c") as player:

        def stray() -> int:
            return httpx.post(server.base + "/echo", json={}).status_code

        assert contextvars.Context().run(stray) == 418
        async with httpx.AsyncClient() as client:
            await client.post(server.base + "/echo", json={})
    assert len(server.hits) == heard
    report = player.report()
    assert not report.passed and "outside of any conversation" in report.refused[0]
    assert "test_concurrency.py" in report.refused[0] and "stray" in report.refused[0]
