"""OTLP over gRPC, beside HTTP; needs the extra ``grpc``."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from sqlalchemy.exc import DBAPIError

from simulate.local_server import Refused
from simulate.server.access import check_role
from simulate.server.context import Context
from simulate.trace.capture.grpc_receiver import METHODS, grpc_module, handlers
from simulate.trace.capture.otlp_http import PROTOBUF, success

PATIENCE = 2.0
"""Seconds that exports under way have when the server stops."""
_CODES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "UNAVAILABLE", 503: "UNAVAILABLE"}
"""OTLP has exporters send again what was UNAVAILABLE, and drop what was refused for another of these."""


@contextlib.asynccontextmanager
async def grpc_intake(context: Context, host: str, port: int, limit: int) -> AsyncGenerator[int]:
    """Takes exports of up to ``limit`` bytes in while inside; the port.

    Raises MissingExtra without grpcio, OSError where it cannot listen."""
    aio = grpc_module("grpc.aio")
    options = [("grpc.max_receive_message_length", limit), ("grpc.so_reuseport", 0)]
    answering = handlers(grpc_module(), functools.partial(_export, context))
    server = aio.server(handlers=[answering], options=options)
    try:
        actual = int(server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
    except RuntimeError as error:
        raise OSError(errno.EADDRINUSE, f"port {port} cannot be had for gRPC") from error
    await server.start()
    try:
        yield actual
    finally:
        await server.stop(PATIENCE)


def _export(context: Context, path: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
    codes = grpc_module().StatusCode

    async def export(body: bytes, call: Any) -> bytes:
        try:
            return success(await _taken(context, path, body, call), PROTOBUF)
        except DBAPIError:
            await call.abort(codes.UNAVAILABLE, "the store does not answer")
            raise  # abort() raises; this tells so to those who read types
        except Refused as refusal:
            await call.abort(codes[_CODES.get(refusal.status, "INVALID_ARGUMENT")], refusal.message)
            raise

    return export


async def _taken(context: Context, path: str, body: bytes, call: Any) -> tuple[int, str] | None:
    headers = {name: value for name, value in call.invocation_metadata() if isinstance(value, str)}
    key = await asyncio.to_thread(context.access.who_sends, headers)
    return await context.intake.take(check_role(key, "send").project, METHODS[path], body, PROTOBUF, path)
