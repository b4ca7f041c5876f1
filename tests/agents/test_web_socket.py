"""Text agents over a WebSocket; without a template `ws://` stays a voice agent's address."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from simulate.child_process import free_port
from simulate.conversation.agents.adapter import Delta, EndpointOptions
from simulate.conversation.agents.web_socket import WebSocketAdapter
from simulate.errors import AddressError, AgentFault, EnvironmentFault, NotReached
from simulate.model.agent_address import kind_of
from simulate.model.request_template import RequestTemplate
from tests.agents.served import TRACEPARENT, events, said, serving


def adapter(address: str, **request: Any) -> WebSocketAdapter:
    template = RequestTemplate.model_validate(request)
    return WebSocketAdapter(address.replace("http:", "ws:"), EndpointOptions(request=template))


async def plain(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str(f"Welcome {request.headers['traceparent'] == TRACEPARENT}")
    async for frame in socket:
        if frame.data == "leave":
            break
        await socket.send_str(f"You said {frame.data}")
    return socket


async def pieces(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for frame in socket:
        for word in json.loads(frame.data)["text"].split():
            await socket.send_json({"type": "delta", "text": word})
        await socket.send_json({"type": "end", "final": True})
    return socket


async def test_a_frame_for_a_frame() -> None:
    async with serving(web.get("/chat", plain)) as url:
        assert await said(adapter(url, path="/chat"), None, "one", "two") == [
            "Welcome True",
            "You said one",
            "You said two",
        ]
        with pytest.raises(AgentFault, match="closed the connection before its answer was whole"):
            await said(adapter(url, path="/chat"), None, "leave")


async def test_pieces_until_the_frame_that_ends_the_answer() -> None:
    async with serving(web.get("/", pieces)) as url:
        template = {"body": {"text": "{{message}}"}, "answer": "$.text", "done": "$.final"}
        found = await events(adapter(url, **template), "a b", "c")
    assert [event.text for event in found if not isinstance(event, Delta)] == ["ab", "c"]


async def test_nobody_and_no_such_path() -> None:
    with pytest.raises(NotReached, match="nothing listens"):
        await said(adapter(f"ws://127.0.0.1:{free_port()}"), "hello")
    async with serving() as url:
        with pytest.raises(EnvironmentFault, match="404"):
            await said(adapter(url), "hello")


def test_without_a_template_it_is_a_voice_agents_address() -> None:
    with pytest.raises(AddressError, match="speaks") as caught:
        kind_of("ws://127.0.0.1:1", "text")
    assert "request" in str(caught.value.hint)
    assert kind_of("ws://127.0.0.1:1", "voice").medium == "voice"
    assert kind_of("ws://127.0.0.1:1", "text", templated=True).medium == "text"
