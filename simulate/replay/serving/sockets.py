"""Recorded replies on a real socket of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any

import orjson
from aiohttp import web

from simulate import local_server
from simulate.errors import InputError
from simulate.local_server import Intake, Refused, check_content_type, check_sender
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.matching.encodings import NotDecoded, decoded
from simulate.replay.matching.recordings import HttpRecording, HttpResponse
from simulate.replay.serving.outgoing import is_outgoing

_DROPPED = frozenset({"content-length", "transfer-encoding", "connection", "content-encoding"})
LIMIT = 64 << 20
"""Bytes of one request to a model, unpacked."""
Handler = Callable[[web.BaseRequest, bytes], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def listening(answer: Handler, port: int, **further: Handler) -> AsyncGenerator[int]:
    """Listen on 127.0.0.1 while inside; the port, or InputError where it is taken.

    ``answer`` is given each request with its body, unpacked. ``further`` answers GET requests of the path
    ``/__simulate/NAME``."""
    intake = Intake(LIMIT)

    async def hear(request: web.BaseRequest) -> web.StreamResponse:
        try:
            check_sender(request)
            if not is_outgoing(request):
                check_content_type(request)
            body = _unpacked(await intake.body(request), request.headers.get("Content-Encoding", ""))
        except Refused as refused:
            problem = {"error": {"message": refused.message, "type": "refused"}}
            return web.json_response(problem, status=refused.status)
        name = request.path.removeprefix("/__simulate/")
        asked = further.get(name) if request.method == "GET" and name != request.path else None
        return await (asked or answer)(request, body)

    try:
        async with local_server.listening(hear, port, shutdown=0.5) as chosen:
            yield chosen
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise InputError(
            f"port {port} is taken; does another playback run?", hint="choose another port, or none"
        ) from error


def _unpacked(body: bytes, encoding: str) -> bytes:
    try:
        return decoded([body], encoding)[0]
    except NotDecoded as error:
        raise Refused(415, str(error)) from error


async def send(request: web.BaseRequest, exchange: HttpExchange) -> web.StreamResponse:
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


def abort(request: web.BaseRequest) -> None:
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


def asks_for_models(request: web.BaseRequest) -> bool:
    """Whether it is ``GET /v1/models``."""
    return request.method == "GET" and request.path.rstrip("/").endswith("/models")
