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
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.matching.recordings import HttpRecording, HttpResponse

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


async def send(request: web.Request, exchange: HttpExchange) -> web.StreamResponse:
    """Answer as recorded: the pieces, their times where they count, and how it ended."""
    recorded = await exchange.arrive_async()
    if recorded.failure is not None:
        abort(request)
        return web.Response(status=502)
    response = web.StreamResponse(status=recorded.status, reason=recorded.reason or None)
    for name, value in recorded.headers:
        if name.lower() not in _DROPPED:
            response.headers.add(name, value)
    if len(recorded.chunks) <= 1 and recorded.ended == "complete":
        response.content_length = len(recorded.content)
    await response.prepare(request)
    async for piece in exchange.pieces_async():
        await response.write(piece)
    if recorded.broke is not None:
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


def models_of(recordings: Iterable[HttpRecording]) -> HttpResponse:
    """The recorded models as ``GET /v1/models`` lists them."""
    names = sorted({one.components.get("model", "") for one in recordings} - {""})
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "recorded"} for name in names]
    body = orjson.dumps({"object": "list", "data": data})
    return HttpResponse(200, "OK", [("content-type", "application/json")], [(0.0, body)])


def asks_for_models(request: web.Request) -> bool:
    """Whether it is ``GET /v1/models``."""
    return request.method == "GET" and request.path.rstrip("/").endswith("/models")
