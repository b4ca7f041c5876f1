"""The streams of every model server here end as those of the real endpoints do; a client may insist on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fixtures.agents.model_server import ModelServer
from simulate.replay.chat_wires import answer_in
from simulate.replay.from_trace import cassette_of
from simulate.trace.files.reader import read

TRACE = Path(__file__).parents[2] / "fixtures" / "traces" / "otel_openai_v2.otlp.jsonl"
QUESTION = "Where is my order 4417?"


@asynccontextmanager
async def model_server() -> AsyncIterator[str]:
    async with ModelServer().running() as running:
        yield running.url


@asynccontextmanager
async def table() -> AsyncIterator[str]:
    pytest.importorskip("opentelemetry.instrumentation.openai_v2", reason="pip install -e '.[examples]'")
    from openai import AsyncOpenAI

    from fixtures.agents.table import Table

    async with ModelServer().running() as models, AsyncOpenAI(base_url=models.url, api_key="k") as client:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", Table(client).complete)
        async with TestServer(app) as server:
            yield str(server.make_url("/v1"))


async def streamed(url: str, body: dict[str, Any]) -> list[Any]:
    async with aiohttp.ClientSession() as http, http.post(url, json={**body, "stream": True}) as answer:
        assert answer.status == 200, await answer.text()
        return data_of(await answer.text())


def data_of(text: str) -> list[Any]:
    """The data of every event, the marks that are not JSON as they are."""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(one) if one.startswith("{") else one for one in data]


def chat_ends_well(events: list[Any]) -> bool:
    """One finish reason, in the last choice, that only usage may follow; then the mark."""
    *chunks, mark = events
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]]
    return mark == "[DONE]" and bool(reasons.pop()) and reasons.count(None) == len(reasons) > 0


@pytest.mark.parametrize("fake", [model_server, table])
async def test_a_fixture_ends_its_stream(fake: Callable[[], AbstractAsyncContextManager[str]]) -> None:
    async with fake() as base:
        body = {"model": "booking", "messages": [{"role": "user", "content": QUESTION}]}
        assert chat_ends_well(await streamed(base + "/chat/completions", body))


async def test_the_server_of_these_tests_ends_its_stream(server: Any) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": QUESTION}]}
    assert chat_ends_well(await streamed(server.base + "/v1/chat/completions", body))


@pytest.mark.parametrize("wire", ["chat/completions", "responses", "messages"])
@pytest.mark.parametrize("call", [0, 1], ids=["a tool call", "a text"])
def test_an_answer_made_from_a_trace_ends_its_stream(wire: str, call: int) -> None:
    recording = cassette_of(read(TRACE)[0]).http[call]
    assert bool(orjson.loads(recording.response.content)["calls"]) == (call == 0)
    reply = answer_in(f"http://x.example/v1/{wire}", b'{"model": "m", "stream": true}', recording)
    events = data_of(reply.content.decode())
    if wire == "chat/completions":
        assert chat_ends_well(events)
    elif wire == "responses":
        assert events[-1]["type"] == "response.completed"
        assert events[-1]["response"]["status"] == "completed"
    else:
        assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
        assert events[-2]["delta"]["stop_reason"] == ("tool_use" if call == 0 else "end_turn")
