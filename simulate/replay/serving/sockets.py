"""Recorded replies on a real socket of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any

import orjson
from aiohttp import web

from simulate.errors import InputError
from simulate.replay.cassette.cassette import Recording, Reply

_DROPPED = frozenset({"content-length", "transfer-encoding", "connection", "content-encoding"})
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def listening(answer: Handler, port: int, **further: Handler) -> AsyncGenerator[int]:
    """Listen on 127.0.0.1 while inside; the port, or InputError where it is taken.

    ``further`` answers GET requests of the path ``/__simulate/NAME``."""
    app = web.Application(client_max_size=256 * 2**20)
    for name, handler in further.items():
        app.router.add_get(f"/__simulate/{name}", handler)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise InputError(
                f"port {port} is taken; does another playback run?", hint="choose another port, or none"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def send(request: web.Request, reply: Reply, paced: bool = False) -> web.StreamResponse:
    """Answer as recorded: the pieces, their times where they count, and how it ended."""
    if reply.ended.startswith("failed"):
        abort(request)
        return web.Response(status=502)
    response = web.StreamResponse(status=reply.status, reason=reply.reason or None)
    for name, value in reply.headers:
        if name.lower() not in _DROPPED:
            response.headers.add(name, value)
    if len(reply.chunks) <= 1 and reply.ended == "complete":
        response.content_length = len(reply.content)
    before = 0.0
    await response.prepare(request)
    for offset, piece in reply.chunks:
        if paced and offset > before:
            await asyncio.sleep((offset - before) / 1000)
            before = offset
        await response.write(piece)
    if reply.ended.startswith("died"):
        await asyncio.sleep(0.01)  # let the last piece leave before the connection breaks
        abort(request)
        return response
    await response.write_eof()
    return response


def abort(request: web.Request) -> None:
    """Break the connection."""
    transport: Any = request.transport
    if transport is not None:
        transport.abort()


def models_of(recordings: Iterable[Recording]) -> Reply:
    """The recorded models as ``GET /v1/models`` lists them."""
    names = sorted({one.components.get("model", "") for one in recordings} - {""})
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "recorded"} for name in names]
    body = orjson.dumps({"object": "list", "data": data})
    return Reply(200, "OK", [("content-type", "application/json")], [(0.0, body)])


def asks_for_models(request: web.Request) -> bool:
    """Whether it is ``GET /v1/models``."""
    return request.method == "GET" and request.path.rstrip("/").endswith("/models")
