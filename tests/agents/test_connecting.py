"""What connecting, a name's lookup, imports and a program's start take is not the agent's time to answer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from simulate import run
from simulate.conversation.cloud_engine import CloudEngine
from simulate.model.request_template import RequestTemplate
from simulate.model.scenario import Scenario
from tests.agents.served import serving
from tests.agents.test_a2a import serving_agent

PLANTED = 3.0
"""Seconds that each connection, or start, takes here. What a busy machine adds to an answer is less."""
SCENARIO = Scenario.model_validate({"name": "x", "script": [{"says": "one"}, {"says": "two"}]})


@pytest.fixture
def slow_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking a name up takes long."""
    real = asyncio.BaseEventLoop.getaddrinfo

    async def getaddrinfo(self: Any, host: Any, port: Any, **options: Any) -> Any:
        if host in ("localhost", b"localhost"):
            await asyncio.sleep(PLANTED)
            host = "127.0.0.1"
        return await real(self, host, port, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


async def slowest(address: str, **options: Any) -> float:
    """Seconds of the slowest answer."""
    engine = CloudEngine(address, **options)
    outcome = await run(SCENARIO, engine)
    assert outcome.status == "passed", outcome.explain()
    found = outcome.measures["reply_p95_seconds"]
    assert isinstance(found, float)
    return found


async def chat(request: web.Request) -> web.Response:
    """Answers in the shape of each protocol."""
    said = [{"type": "output_text", "text": "yes"}]
    message = {"role": "assistant", "content": "yes"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    shapes = {
        "/chat": {"text": "yes"},
        "/v1/chat/completions": {"id": "1", "object": "chat.completion", "model": "m", "choices": [choice]},
        "/v1/messages": {"content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn"},
        "/v1/responses": {
            "status": "completed",
            "output": [{"type": "message", "role": "assistant", "content": said}],
        },
    }
    return web.json_response(shapes[request.path])


async def socket(request: web.Request) -> web.WebSocketResponse:
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    async for frame in answer:
        await answer.send_str(f"yes, {frame.data}")
    return answer


@pytest.mark.usefixtures("slow_names")
async def test_names_and_connections() -> None:
    text = {"body": {"text": "{{message}}"}}
    async with serving(web.post("/{rest:.*}", chat), web.get("/ws", socket)) as url:
        url = url.replace("127.0.0.1", "localhost")
        whole = {"stream": False}
        found = await asyncio.gather(
            slowest(f"{url}/v1", **whole),
            slowest(f"responses:{url}/v1", **whole),
            slowest(f"anthropic:{url}/v1", **whole),
            slowest(url, request=RequestTemplate(path="/chat", answer="$.text", **text)),
            slowest(url.replace("http", "ws"), request=RequestTemplate(path="/ws")),
        )
    assert max(found) < PLANTED / 2, found


@pytest.mark.usefixtures("slow_names")
async def test_an_a2a_agent() -> None:
    async with serving_agent() as (address, _):
        assert await slowest(address.replace("127.0.0.1", "localhost")) < PLANTED / 2


PROGRAM = f"""
import sys, time
time.sleep({PLANTED})  # what it imports
for line in sys.stdin:
    print("yes, " + line.strip(), flush=True)
"""
MCP = f"""
import time
time.sleep({PLANTED})
from mcp.server import MCPServer
server = MCPServer("desk")

@server.tool()
def ask(text: str) -> str:
    return "yes, " + text

server.run()
"""


@pytest.mark.parametrize("each", ["conversation", "turn"])
async def test_a_program(tmp_path: Path, each: str) -> None:
    (tmp_path / "agent.py").write_text(PROGRAM)
    request = RequestTemplate.model_validate({"process": each})
    found = await slowest(f"exec:{sys.executable} {tmp_path / 'agent.py'}", request=request)
    assert found < PLANTED / 2


async def test_an_mcp_server(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(MCP)
    assert await slowest(f"mcp:{sys.executable} {tmp_path / 'server.py'}") < PLANTED / 2
