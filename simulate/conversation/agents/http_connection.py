"""What belongs to a connection and not to an answer: the SDK's first steps, names, networks, handshakes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import weakref
from collections.abc import Generator
from typing import Any

import openai
from openai import AsyncOpenAI

from simulate.conversation.agents.connection_faults import watching
from simulate.conversation.agents.http_client import uninstrumented

_opened: contextvars.ContextVar[list[float] | None] = contextvars.ContextVar("opened", default=None)
"""When connections for the request under way came about."""


@contextlib.contextmanager
def connections() -> Generator[list[float]]:
    """When connections came about for what is asked inside, on the conversation's clock."""
    opened: list[float] = []
    token = _opened.set(opened)
    try:
        yield opened
    finally:
        _opened.reset(token)


async def watch_connection(request: Any) -> None:
    """For ``event_hooks`` of an httpx client: note when the request's connection comes about."""
    if (opened := _opened.get()) is not None:
        await watching(opened)(request)


_rehearsals: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]] = (
    weakref.WeakKeyDictionary()
)
_ANSWER = {
    "id": "1",
    "object": "chat.completion.chunk",
    "created": 0,
    "model": "m",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}],
}


async def rehearse() -> None:
    """Ask a server of our own, once a loop: the SDK makes its types with the first request, which takes half
    a second or more that must not count as the agent's."""
    loop = asyncio.get_running_loop()
    if loop not in _rehearsals:
        _rehearsals[loop] = loop.create_task(_ask_ourselves(), name="simulate-rehearsal")
    await asyncio.shield(_rehearsals[loop])


async def _ask_ourselves() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        writer.write(f"{head}data: {json.dumps(_ANSWER)}\n\ndata: [DONE]\n\n".encode())
        await writer.drain()
        writer.close()

    # where a replay lets nothing out, the first answer is slower and is not measured either
    with contextlib.suppress(Exception), uninstrumented():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            http_client = openai.DefaultAsyncHttpxClient(trust_env=False)
            base_url = f"http://127.0.0.1:{port}/v1"
            async with AsyncOpenAI(
                base_url=base_url, api_key="none", max_retries=0, timeout=5, http_client=http_client
            ) as sdk:
                stream = await sdk.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "a"}], stream=True
                )
                async for _ in stream:
                    pass
