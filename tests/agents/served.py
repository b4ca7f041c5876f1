"""What tests of agents outside the process share: a conversation, and servers on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from simulate.child_process import free_port, listens
from simulate.conversation.agents.adapter import AgentMessage, Call, Connected
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.model.identity import ConversationStart
from simulate.model.scenario import Scenario

CONVERSATION = "ab" * 16
WHO = ConversationStart(CONVERSATION, attributes={"user.id": "u-7"})
TRACEPARENT = f"00-{CONVERSATION}-{'cd' * 8}-01"


async def events(
    adapter: Any, *messages: str | None, tools: Mapping[str, Any] | None = None, reply: float = 10.0
) -> list[Any]:
    """Everything that an agent says to these messages, in one conversation; not when it was connected."""
    pins = PinnedTools(Scenario(name="x", opens_with="x", tools=dict(tools or {})).tools)
    headers = {"traceparent": TRACEPARENT, "baggage": "a=b"}
    environment = {name.upper(): value for name, value in headers.items()}
    found: list[Any] = []
    try:
        async with adapter.connect(Call(WHO, pins, headers, reply, environment)) as session:
            for message in messages:
                found += [event async for event in session.send(message)]
    finally:
        if hasattr(adapter, "aclose"):
            await adapter.aclose()
    return [event for event in found if not isinstance(event, Connected)]


async def said(adapter: Any, *messages: str | None, **options: Any) -> list[str]:
    """The whole messages alone."""
    return [
        event.text for event in await events(adapter, *messages, **options) if isinstance(event, AgentMessage)
    ]


@contextlib.asynccontextmanager
async def serving(*routes: web.RouteDef) -> AsyncIterator[str]:
    """The address of an aiohttp server."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port := free_port())
        await site.start()
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def serving_asgi(app: Any, port: int) -> AsyncIterator[str]:
    """The address of an ASGI application under uvicorn, as it runs in production."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    task = asyncio.create_task(server.serve())
    try:
        while not await listens("127.0.0.1", port):
            await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
