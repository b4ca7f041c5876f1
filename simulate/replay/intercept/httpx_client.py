"""httpx and its fork httpx2: transports that play a recorded response, or tee a real one as it streams."""

from __future__ import annotations

import functools
import importlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.matching.recordings import HttpResponse
from simulate.replay.matching.request import HttpRequest


def patches(name: str, router: TrafficRouter) -> list[tuple[Any, str, Any]]:
    """The methods to replace of the one of that name."""
    module = importlib.import_module(name)
    return [
        (module.HTTPTransport, "handle_request", _sync(module, router)),
        (module.AsyncHTTPTransport, "handle_async_request", _async(module, router)),
    ]


def _sync(module: Any, router: TrafficRouter) -> Any:
    real = module.HTTPTransport.handle_request
    recorded, played = _recorded_stream(module), _played_stream(module)

    @functools.wraps(real)
    def handle_request(transport: Any, request: Any) -> Any:
        if not router.watching:
            return real(transport, request)
        exchange = router.begin(_request(request, request.read()))
        if exchange is None:
            return real(transport, request)
        if exchange.response is not None:
            return _response(module, exchange.arrive(), played(exchange))
        try:
            response = real(transport, request)
        except BaseException as error:
            exchange.failed(error)
            raise
        return _teed(response, exchange, recorded)

    return handle_request


def _async(module: Any, router: TrafficRouter) -> Any:
    real = module.AsyncHTTPTransport.handle_async_request
    recorded, played = _recorded_async_stream(module), _played_async_stream(module)

    @functools.wraps(real)
    async def handle_async_request(transport: Any, request: Any) -> Any:
        if not router.watching:
            return await real(transport, request)
        exchange = router.begin(_request(request, await request.aread()))
        if exchange is None:
            return await real(transport, request)
        if exchange.response is not None:
            return _response(module, await exchange.arrive_async(), played(exchange))
        try:
            response = await real(transport, request)
        except BaseException as error:
            exchange.failed(error)
            raise
        return _teed(response, exchange, recorded)

    return handle_async_request


def _request(request: Any, body: bytes) -> HttpRequest:
    return HttpRequest(request.method, str(request.url), request.headers, body)


def _teed(response: Any, exchange: HttpExchange, stream: Any) -> Any:
    extensions = getattr(response, "extensions", {})
    reason = extensions.get("reason_phrase", b"").decode("ascii", "replace")
    exchange.opened(response.status_code, reason, response.headers.multi_items())
    response.stream = stream(response.stream, exchange)
    return response


def _response(module: Any, recorded: HttpResponse, stream: Any) -> Any:
    if recorded.failure is not None:
        raise _exception(module, recorded.failure, module.ConnectError)
    extensions = {"http_version": b"HTTP/1.1"}
    if recorded.reason:
        extensions["reason_phrase"] = recorded.reason.encode("ascii", "replace")
    return module.Response(recorded.status, headers=recorded.headers, stream=stream, extensions=extensions)


def _exception(module: Any, recorded: tuple[str, str], otherwise: Any) -> Exception:
    """The exception that was recorded, as the client's own class."""
    name, text = recorded
    kind: Any = getattr(module, name, None)
    known = isinstance(kind, type) and issubclass(kind, module.TransportError)
    raised: Any = kind if known else otherwise
    return raised(text or "the connection broke")


def _break_off(module: Any, exchange: HttpExchange) -> None:
    """The recorded body broke off here, or ended."""
    assert exchange.response is not None
    if exchange.response.broke is not None:
        raise _exception(module, exchange.response.broke, module.RemoteProtocolError)


def _recorded_stream(module: Any) -> Any:
    class RecordedStream(module.SyncByteStream):
        """Hands every piece on at once, and notes it."""

        def __init__(self, inner: Any, exchange: HttpExchange) -> None:
            self.inner, self.exchange = inner, exchange

        def __iter__(self) -> Iterator[bytes]:
            try:
                for piece in self.inner:
                    self.exchange.chunk(piece)
                    yield piece
            except GeneratorExit:
                raise
            except BaseException as error:
                self.exchange.died(error)
                raise
            self.exchange.ended()

        def close(self) -> None:
            self.inner.close()
            self.exchange.ended("closed")

    return RecordedStream


def _recorded_async_stream(module: Any) -> Any:
    class RecordedAsyncStream(module.AsyncByteStream):
        """Hands every piece on at once, and notes it."""

        def __init__(self, inner: Any, exchange: HttpExchange) -> None:
            self.inner, self.exchange = inner, exchange

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for piece in self.inner:
                    self.exchange.chunk(piece)
                    yield piece
            except GeneratorExit:
                raise
            except BaseException as error:
                self.exchange.died(error)
                raise
            self.exchange.ended()

        async def aclose(self) -> None:
            await self.inner.aclose()
            self.exchange.ended("closed")

    return RecordedAsyncStream


def _played_stream(module: Any) -> Any:
    class PlayedStream(module.SyncByteStream):
        """Gives the recorded pieces, and breaks where the recording broke."""

        def __init__(self, exchange: HttpExchange) -> None:
            self.exchange = exchange

        def __iter__(self) -> Iterator[bytes]:
            yield from self.exchange.pieces()
            _break_off(module, self.exchange)

        def close(self) -> None:
            self.exchange.stop()

    return PlayedStream


def _played_async_stream(module: Any) -> Any:
    class PlayedAsyncStream(module.AsyncByteStream):
        """Gives the recorded pieces, and breaks where the recording broke."""

        def __init__(self, exchange: HttpExchange) -> None:
            self.exchange = exchange

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for piece in self.exchange.pieces_async():
                yield piece
            _break_off(module, self.exchange)

        async def aclose(self) -> None:
            self.exchange.stop()

    return PlayedAsyncStream
