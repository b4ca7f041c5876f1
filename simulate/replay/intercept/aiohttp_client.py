"""aiohttp: sessions that play a recorded response, or tee a real one as it streams."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Coroutine, Mapping
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
from aiohttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientResponse,
    FormData,
    RequestInfo,
    StreamReader,
    payload,
)
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from simulate.replay.intercept.aiohttp_errors import exception_of
from simulate.replay.intercept.aiohttp_websocket import is_dialling
from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.matching.recordings import HttpResponse
from simulate.replay.matching.request import HttpRequest


# private names of aiohttp are used: tests/test_private_names.py lists them, with the version tried
def patches(router: TrafficRouter) -> list[tuple[Any, str, Any]]:
    """The methods to replace."""
    real: Any = getattr(aiohttp.ClientSession, "_request")  # noqa: B009 (private, and the only seam there is)

    @functools.wraps(real)
    async def _request(session: Any, method: str, url: Any, **kwargs: Any) -> Any:
        if not router.watching or is_dialling():
            return await real(session, method, url, **kwargs)
        target = str(session._build_url(url).update_query(kwargs.get("params") or ()))
        body, content_type, kwargs = await _body(session, kwargs)
        headers = {
            str(name): value for name, value in session._prepare_headers(kwargs.get("headers")).items()
        }
        if content_type and "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = content_type
        exchange = router.begin(HttpRequest(method, target, headers, body))
        if exchange is None:
            return await real(session, method, url, **kwargs)
        if exchange.response is not None:
            response = await _played(method, target, headers, exchange)
            await _raise_for_status(session, response, kwargs.get("raise_for_status"))
            return response
        return await _recorded(real, session, method, url, kwargs, exchange)

    return [(aiohttp.ClientSession, "_request", _request)]


async def _recorded(
    real: Any, session: Any, method: str, url: Any, kwargs: dict[str, Any], exchange: HttpExchange
) -> Any:
    try:
        response = await real(session, method, url, **kwargs)
    except BaseException as error:
        status = getattr(error, "status", None)
        if isinstance(status, int):  # raise_for_status: there was an answer, and its body is gone
            exchange.opened(status, str(getattr(error, "message", "")), [])
            exchange.ended("closed")
        exchange.failed(error)
        raise
    # aiohttp undoes content encodings before it hands pieces out
    gone = {"content-encoding", "content-length"} if "Content-Encoding" in response.headers else set[str]()
    headers = [(str(name), value) for name, value in response.headers.items() if name.lower() not in gone]
    exchange.opened(response.status, response.reason or "", headers)
    response.content = _recorded_stream(response.content, exchange)
    return response


class _Idle:
    """The connection of a stream that has none."""

    feeding: asyncio.Task[None] | None = None
    _reading_paused = False
    connected = True

    def pause_reading(self) -> None: ...

    def resume_reading(self, resume_parser: bool = True) -> None: ...


def _recorded_stream(real: Any, exchange: HttpExchange) -> Any:
    """A stream of our own that is fed from the real one, piece by piece as it comes."""
    copy = _stream()
    if real.at_eof() and not real.total_bytes:
        copy.feed_eof()
        exchange.ended()
    else:
        _keep(copy, _pump(real, copy, exchange))
    return copy


async def _pump(real: Any, copy: Any, exchange: HttpExchange) -> None:
    try:
        while piece := await real.readany():
            exchange.chunk(piece)
            copy.feed_data(piece)
    except (ClientPayloadError, ConnectionError, TimeoutError) as error:
        exchange.died(error)
        copy.set_exception(error)
    except (ClientConnectionError, RuntimeError) as error:  # aiohttp says "Connection closed." so
        exchange.ended("closed")
        copy.set_exception(error)
    except BaseException:
        exchange.ended("closed")
        copy.feed_eof()
        raise
    else:
        exchange.ended()
        copy.feed_eof()


class _Stream(StreamReader):
    """A stream that we feed. Where its reader closes it, nobody feeds it any more."""

    def set_exception(self, exc: Any, exc_cause: Any = None) -> None:
        super().set_exception(exc, exc if exc_cause is None else exc_cause)
        feeding: asyncio.Task[None] | None = cast("Any", self._protocol).feeding
        if feeding is not None and feeding is not asyncio.current_task():
            feeding.cancel()


def _stream() -> Any:
    return _Stream(_Idle(), 2**22, loop=asyncio.get_running_loop())  # type: ignore[arg-type]


def _keep(stream: Any, feeding: Coroutine[Any, Any, None]) -> None:
    """Feed a stream of ours in a task that lives as long as it does: a loop holds its tasks weakly."""
    stream._protocol.feeding = asyncio.ensure_future(feeding)


async def _played(method: str, url: str, headers: Mapping[str, str], exchange: HttpExchange) -> Any:
    recorded = await exchange.arrive_async()
    if recorded.failure is not None:
        raise exception_of(url, *recorded.failure)
    response = _response(method, url, headers, recorded)
    stream = response.content
    if not exchange.at_once:
        _keep(stream, _feed(stream, exchange))
    else:
        for _, piece in recorded.chunks:
            stream.feed_data(piece)
        stream.feed_eof()
    return response


def _response(method: str, url: str, headers: Mapping[str, str], recorded: HttpResponse) -> Any:
    """A response of aiohttp's with an empty stream and no connection."""
    loop = asyncio.get_running_loop()
    sent = CIMultiDictProxy(CIMultiDict(headers))
    extra: dict[str, Any] = {}
    if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
        extra["stream_writer"] = SimpleNamespace(output_size=0)
    response: Any = ClientResponse(
        method,
        URL(url),
        writer=None,
        continue100=None,
        timer=None,  # type: ignore[arg-type]
        request_info=RequestInfo(URL(url), method, sent, URL(url)),
        traces=[],
        loop=loop,
        session=None,  # type: ignore[arg-type]
        **extra,
    )
    response.status, response.reason = recorded.status, recorded.reason
    response._headers = CIMultiDictProxy(CIMultiDict(recorded.headers))
    response._raw_headers = tuple((name.encode(), value.encode()) for name, value in recorded.headers)
    response._cookies = SimpleCookie()
    response._closed = False
    response.content = _stream()
    response.content.on_eof(response._response_eof)
    return response


async def _feed(stream: Any, exchange: HttpExchange) -> None:
    assert exchange.response is not None
    async for piece in exchange.pieces_async():
        stream.feed_data(piece)
    broke = exchange.response.broke
    if broke is None:
        stream.feed_eof()
        return
    # an exception overtakes what is still unread, so the reader is given time to read it
    for _ in range(1000):
        if not stream._buffer:
            break
        await asyncio.sleep(0)
    stream.set_exception(ClientPayloadError(": ".join(broke)))


async def _raise_for_status(session: Any, response: Any, asked: Any) -> None:
    asked = session._raise_for_status if asked is None else asked
    if callable(asked):
        check: Any = asked
        await check(response)
    elif asked:
        response.raise_for_status()


async def _body(session: Any, kwargs: dict[str, Any]) -> tuple[bytes, str | None, dict[str, Any]]:
    """The bytes that would be sent, their type, and the arguments with which they still can be."""
    if kwargs.get("json") is not None:
        text = session._json_serialize(kwargs["json"])
        return text.encode() if isinstance(text, str) else text, "application/json", kwargs
    data = kwargs.get("data")
    if data is None:
        return b"", None, kwargs
    if isinstance(data, (bytes, bytearray)):
        return bytes(data), None, kwargs
    if isinstance(data, str):
        return data.encode(), "text/plain", kwargs

    if not isinstance(data, payload.Payload):
        fields: Any = data
        is_fields = isinstance(data, (Mapping, list, tuple))
        made: Any = FormData(fields)() if is_fields else fields
        data = made() if isinstance(made, FormData) else made
    if not isinstance(data, payload.Payload):
        data = payload.get_payload(data)
    sink = _Sink()
    await data.write(sink)  # type: ignore[arg-type]
    content, kind = bytes(sink.written), data.content_type
    if "boundary" in str(data.headers.get("Content-Type", "")):
        kind = str(data.headers["Content-Type"])
    headers = dict(kwargs.get("headers") or {})
    if "content-type" not in {str(name).lower() for name in headers}:
        headers["Content-Type"] = kind
    # a stream can be read once, and we have read it
    return content, kind, {**kwargs, "data": content, "headers": headers}


class _Sink:
    def __init__(self) -> None:
        self.written = bytearray()

    async def write(self, piece: bytes, **_: Any) -> None:
        self.written += piece

    async def write_eof(self, piece: bytes = b"") -> None:
        self.written += piece
