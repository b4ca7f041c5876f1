"""httpx and its fork httpx2: transports that play a recorded response, or tee a real one as it streams."""

from __future__ import annotations

import asyncio
import functools
import importlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from simulate.replay.cassette.cassette import Reply
from simulate.replay.intercept.router import route, watching
from simulate.replay.session import Exchange


def patches() -> list[tuple[Any, str, Any]]:
    """The methods to replace, for each of the two that is installed."""
    found: list[tuple[Any, str, Any]] = []
    for name in ("httpx", "httpx2"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        found.append((module.HTTPTransport, "handle_request", _sync(module)))
        found.append((module.AsyncHTTPTransport, "handle_async_request", _async(module)))
    return found


def _sync(module: Any) -> Any:
    real = module.HTTPTransport.handle_request
    tee, player = _sync_tee(module), _sync_player(module)

    @functools.wraps(real)
    def handle_request(transport: Any, request: Any) -> Any:
        if not watching():
            return real(transport, request)
        body = request.read()
        exchange = route(request.method, str(request.url), request.headers, body)
        if exchange is None:
            return real(transport, request)
        if exchange.reply is not None:
            return _response(module, exchange, player)
        try:
            response = real(transport, request)
        except BaseException as error:
            exchange.failed(error)
            raise
        return _teed(response, exchange, tee)

    return handle_request


def _async(module: Any) -> Any:
    real = module.AsyncHTTPTransport.handle_async_request
    tee, player = _async_tee(module), _async_player(module)

    @functools.wraps(real)
    async def handle_async_request(transport: Any, request: Any) -> Any:
        if not watching():
            return await real(transport, request)
        body = await request.aread()
        exchange = route(request.method, str(request.url), request.headers, body)
        if exchange is None:
            return await real(transport, request)
        if exchange.reply is not None:
            if exchange.paced and exchange.reply.chunks:
                await asyncio.sleep(exchange.reply.chunks[0][0] / 1000)
            return _response(module, exchange, player)
        try:
            response = await real(transport, request)
        except BaseException as error:
            exchange.failed(error)
            raise
        return _teed(response, exchange, tee)

    return handle_async_request


def _teed(response: Any, exchange: Exchange, tee: Any) -> Any:
    extensions = getattr(response, "extensions", {})
    reason = extensions.get("reason_phrase", b"").decode("ascii", "replace")
    exchange.opened(response.status_code, reason, response.headers.multi_items())
    response.stream = tee(response.stream, exchange)
    return response


def _response(module: Any, exchange: Exchange, player: Any) -> Any:
    reply = exchange.reply
    assert reply is not None
    if reply.ended.startswith("failed: "):
        raise failure(module, reply.ended)
    extensions = {"http_version": b"HTTP/1.1"}
    if reply.reason:
        extensions["reason_phrase"] = reply.reason.encode("ascii", "replace")
    return module.Response(
        reply.status, headers=reply.headers, stream=player(reply, exchange.paced), extensions=extensions
    )


def failure(module: Any, ended: str) -> Exception:
    """The exception that was recorded, as the client's own class."""
    name, _, text = ended.removeprefix("failed: ").partition(": ")
    kind = getattr(module, name, None)
    known = isinstance(kind, type) and issubclass(kind, module.TransportError)
    raised: Any = kind if known else module.ConnectError
    return raised(text or ended)


def _sync_tee(module: Any) -> Any:
    class Tee(module.SyncByteStream):
        """Hands every piece on at once, and notes it."""

        def __init__(self, inner: Any, exchange: Exchange) -> None:
            self.inner, self.exchange = inner, exchange

        def __iter__(self) -> Iterator[bytes]:
            try:
                for piece in self.inner:
                    self.exchange.chunk(piece)
                    yield piece
            except GeneratorExit:
                raise
            except BaseException as error:
                self.exchange.ended(f"died: {type(error).__name__}: {error}")
                raise
            self.exchange.ended()

        def close(self) -> None:
            self.inner.close()
            self.exchange.ended("closed")

    return Tee


def _async_tee(module: Any) -> Any:
    class Tee(module.AsyncByteStream):
        """Hands every piece on at once, and notes it."""

        def __init__(self, inner: Any, exchange: Exchange) -> None:
            self.inner, self.exchange = inner, exchange

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for piece in self.inner:
                    self.exchange.chunk(piece)
                    yield piece
            except GeneratorExit:
                raise
            except BaseException as error:
                self.exchange.ended(f"died: {type(error).__name__}: {error}")
                raise
            self.exchange.ended()

        async def aclose(self) -> None:
            await self.inner.aclose()
            self.exchange.ended("closed")

    return Tee


def _sync_player(module: Any) -> Any:
    class Player(module.SyncByteStream):
        """Gives the recorded pieces, and breaks where the recording broke."""

        def __init__(self, reply: Reply, paced: bool) -> None:
            self.reply, self.paced = reply, paced

        def __iter__(self) -> Iterator[bytes]:
            before = 0.0
            for offset, piece in self.reply.chunks:
                if self.paced and offset > before:
                    time.sleep((offset - before) / 1000)
                    before = offset
                yield piece
            if self.reply.ended.startswith("died"):
                raise died(module, self.reply.ended)

    return Player


def _async_player(module: Any) -> Any:
    class Player(module.AsyncByteStream):
        """Gives the recorded pieces, and breaks where the recording broke."""

        def __init__(self, reply: Reply, paced: bool) -> None:
            self.reply, self.paced = reply, paced

        async def __aiter__(self) -> AsyncIterator[bytes]:
            before = self.reply.chunks[0][0] if self.reply.chunks else 0.0  # waited for with the head
            for offset, piece in self.reply.chunks:
                if self.paced and offset > before:
                    await asyncio.sleep((offset - before) / 1000)
                    before = offset
                yield piece
            if self.reply.ended.startswith("died"):
                raise died(module, self.reply.ended)

    return Player


def died(module: Any, ended: str) -> Exception:
    """What broke a stream, as the client's own class."""
    name, _, text = ended.removeprefix("died: ").partition(": ")
    kind = getattr(module, name, None)
    known = isinstance(kind, type) and issubclass(kind, module.TransportError)
    raised: Any = kind if known else module.RemoteProtocolError
    return raised(text or "the connection broke")
