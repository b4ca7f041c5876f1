"""WebSockets through aiohttp: ``ws_connect`` of a session."""

from __future__ import annotations

import asyncio
import functools
from contextvars import ContextVar
from typing import Any

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from simulate.replay.intercept.aiohttp_errors import exception_of
from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.streams import StreamRecorder
from simulate.replay.intercept.websocket_peer import PlayedTransport
from simulate.replay.intercept.websocket_recording import opened, recorder_of
from simulate.replay.matching.endpoints import address

_KINDS = {1: "text", 2: "binary"}
_dialling: ContextVar[bool] = ContextVar("simulate_dialling", default=False)
"""The request that is made is a WebSocket's handshake, and is played."""


def is_dialling() -> bool:
    """Whether the request that is made here is the handshake of a WebSocket."""
    return _dialling.get()


# private names of aiohttp are used: tests/test_private_names.py lists them, with the version tried
def patches(router: TrafficRouter) -> list[tuple[Any, str, Any]]:
    """The methods to replace."""
    real: Any = getattr(aiohttp.ClientSession, "_ws_connect")  # noqa: B009 (private, and the only seam there is)
    real_connect: Any = aiohttp.BaseConnector.connect

    @functools.wraps(real)
    async def _ws_connect(session: Any, url: Any, **kwargs: Any) -> Any:
        target = str(session._build_url(url).update_query(kwargs.get("params") or ()))
        if not router.watching or address(target) in router.allowed:
            return await _unwatched(real, session, url, kwargs)
        if router.playing:
            if (told := router.failed_stream(_as_socket(target))) is not None:
                name, _, text = told.partition(": ")
                raise exception_of(target, name, text)
            return await _unwatched(real, session, url, kwargs)
        headers = {
            str(name): value for name, value in session._prepare_headers(kwargs.get("headers")).items()
        }
        recorder = recorder_of(router, _as_socket(target), headers)
        try:
            made = await _unwatched(real, session, url, kwargs)
        except aiohttp.WSServerHandshakeError as error:
            if recorder is not None:
                opened(recorder, error.status, (error.headers or {}).items())
            raise
        except Exception as error:
            if recorder is not None:
                recorder.told("service", "lost", error=f"{type(error).__name__}: {error}")
            raise
        if recorder is not None:
            opened(recorder, 101, made._response.headers.items())
            made._writer, made._reader = _Writer(made._writer, recorder), _Reader(made._reader, recorder)
        return made

    @functools.wraps(real_connect)
    async def connect(connector: Any, req: Any, traces: Any, timeout: Any) -> Any:
        if not (_dialling.get() and router.playing and address(str(req.url)) not in router.allowed):
            return await real_connect(connector, req, traces, timeout)
        made = connector._factory()
        place = (req.url.host or "", req.url.port or 0)
        PlayedTransport(made, router, place, secure=req.is_ssl())
        await asyncio.sleep(0)
        connector._acquired.add(made)
        return Connection(connector, req.connection_key, made, asyncio.get_running_loop())

    return [
        (aiohttp.ClientSession, "_ws_connect", _ws_connect),
        (aiohttp.BaseConnector, "connect", connect),
    ]


async def _unwatched(real: Any, session: Any, url: Any, kwargs: dict[str, Any]) -> Any:
    token = _dialling.set(True)
    try:
        return await real(session, url, **kwargs)
    finally:
        _dialling.reset(token)


def _as_socket(url: str) -> str:
    found = URL(url)
    schemes = {"http": "ws", "https": "wss"}
    return str(found.with_scheme(schemes.get(found.scheme, found.scheme)))


class _Writer:
    """Notes what the agent sends."""

    def __init__(self, real: Any, recorder: StreamRecorder) -> None:
        self._real = real
        self._recorder = recorder

    async def send_frame(self, message: Any, opcode: int, compress: int | None = None) -> None:
        kind: Any = _KINDS.get(int(opcode))
        if kind is not None:
            self._recorder.passed("agent", kind, bytes(message))
        await self._real.send_frame(message, opcode, compress)

    async def close(self, code: int = 1000, message: Any = b"") -> None:
        text = message if isinstance(message, str) else bytes(message).decode("utf-8", "replace")
        self._recorder.told("agent", "close", code=int(code), reason=text)
        await self._real.close(code, message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Reader:
    """Notes what the service sends."""

    def __init__(self, real: Any, recorder: StreamRecorder) -> None:
        self._real = real
        self._recorder = recorder

    async def read(self) -> Any:
        try:
            message = await self._real.read()
        except aiohttp.EofStream:
            self._recorder.told("service", "lost", error="the connection was lost")
            raise
        kind: Any = _KINDS.get(int(message.type))
        if kind is not None:
            content = message.data.encode() if isinstance(message.data, str) else bytes(message.data)
            self._recorder.passed("service", kind, content)
        elif message.type is aiohttp.WSMsgType.CLOSE:
            self._recorder.told("service", "close", code=message.data, reason=message.extra or "")
        return message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
