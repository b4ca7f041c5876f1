"""aiohttp: sessions that play a recorded response, or tee a real one as it streams."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Mapping
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any

from simulate.replay.cassette.cassette import Reply
from simulate.replay.intercept.router import refuse, route, watching
from simulate.replay.session import Exchange, current


# private names of aiohttp are used: tests/test_private_names.py lists them, with the version tried
def patches() -> list[tuple[Any, str, Any]]:
    """The methods to replace."""
    try:
        import aiohttp
    except ImportError:
        return []
    real: Any = getattr(aiohttp.ClientSession, "_request")  # noqa: B009 (private, and the only seam there is)

    @functools.wraps(real)
    async def _request(session: Any, method: str, url: Any, **kwargs: Any) -> Any:
        if not watching():
            return await real(session, method, url, **kwargs)
        target = str(session._build_url(url).update_query(kwargs.get("params") or ()))
        body, content_type, kwargs = await _body(session, kwargs)
        headers = {
            str(name): value for name, value in session._prepare_headers(kwargs.get("headers")).items()
        }
        if content_type and "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = content_type
        exchange = route(method, target, headers, body)
        if exchange is None:
            return await real(session, method, url, **kwargs)
        if exchange.reply is not None:
            response = await _played(method, target, headers, exchange)
            await _raise_for_status(session, response, kwargs.get("raise_for_status"))
            return response
        return await _recorded(real, session, method, url, kwargs, exchange)

    real_ws: Any = getattr(aiohttp.ClientSession, "_ws_connect")  # noqa: B009 (likewise)

    @functools.wraps(real_ws)
    async def _ws_connect(session: Any, url: Any, **kwargs: Any) -> Any:
        playing = current.get()
        if watching() and (playing is None or playing.replaying):
            refuse(f"WebSocket to {str(url).split('?')[0]} through aiohttp: a replay plays no WebSockets")
            raise aiohttp.ClientConnectionError(f"refused during replay: WebSocket to {url}")
        return await real_ws(session, url, **kwargs)

    return [
        (aiohttp.ClientSession, "_request", _request),
        (aiohttp.ClientSession, "_ws_connect", _ws_connect),
    ]


async def _recorded(
    real: Any, session: Any, method: str, url: Any, kwargs: dict[str, Any], exchange: Exchange
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
    response.content = _Tee.over(response.content, exchange)
    return response


class _Idle:
    """Stands for the connection of a stream that has none."""

    _reading_paused = False
    connected = True

    def pause_reading(self) -> None: ...

    def resume_reading(self, resume_parser: bool = True) -> None: ...


class _Tee:
    """Feeds a stream of our own from the real one, piece by piece as it comes."""

    @staticmethod
    def over(real: Any, exchange: Exchange) -> Any:
        from aiohttp import StreamReader

        copy: Any = StreamReader(_Idle(), 2**22, loop=asyncio.get_running_loop())  # type: ignore[arg-type]
        if real.at_eof() and not real.total_bytes:
            copy.feed_eof()
            exchange.ended()
            return copy
        task = asyncio.ensure_future(_Tee._pump(real, copy, exchange))
        exchange_tasks.add(task)
        task.add_done_callback(exchange_tasks.discard)
        return copy

    @staticmethod
    async def _pump(real: Any, copy: Any, exchange: Exchange) -> None:
        from aiohttp import ClientConnectionError, ClientPayloadError

        try:
            while piece := await real.readany():
                exchange.chunk(piece)
                copy.feed_data(piece)
        except (ClientPayloadError, ConnectionError, TimeoutError) as error:
            exchange.ended(f"died: {type(error).__name__}: {error}")
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


exchange_tasks: set[asyncio.Task[None]] = set()


async def _played(method: str, url: str, headers: Mapping[str, str], exchange: Exchange) -> Any:
    reply = exchange.reply
    assert reply is not None
    if reply.ended.startswith("failed: "):
        raise _failure(reply)
    if exchange.paced and reply.chunks:
        await asyncio.sleep(reply.chunks[0][0] / 1000)
    response = _response(method, url, headers, reply)
    stream = response.content
    if exchange.paced or reply.ended.startswith("died"):
        task = asyncio.ensure_future(_feed(stream, reply, exchange.paced))
        exchange_tasks.add(task)
        task.add_done_callback(exchange_tasks.discard)
    else:
        for _, piece in reply.chunks:
            stream.feed_data(piece)
        stream.feed_eof()
    return response


def _failure(reply: Reply) -> Exception:
    """The exception that was recorded, as aiohttp's own class."""
    import aiohttp

    name, _, text = reply.ended.removeprefix("failed: ").partition(": ")
    kind = getattr(aiohttp, name, None)
    known = (aiohttp.ServerTimeoutError, aiohttp.ServerDisconnectedError)
    if isinstance(kind, type) and issubclass(kind, known):
        return kind(text)
    return aiohttp.ClientConnectionError(text)


def _response(method: str, url: str, headers: Mapping[str, str], reply: Reply) -> Any:
    """A response of aiohttp's with an empty stream and no connection."""
    from aiohttp import ClientResponse, RequestInfo, StreamReader
    from multidict import CIMultiDict, CIMultiDictProxy
    from yarl import URL

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
    response.status, response.reason = reply.status, reply.reason
    response._headers = CIMultiDictProxy(CIMultiDict(reply.headers))
    response._raw_headers = tuple((name.encode(), value.encode()) for name, value in reply.headers)
    response._cookies = SimpleCookie()
    response._closed = False
    response.content = StreamReader(_Idle(), 2**22, loop=loop)  # type: ignore[arg-type]
    response.content.on_eof(response._response_eof)
    return response


async def _feed(stream: Any, reply: Reply, paced: bool) -> None:
    from aiohttp import ClientPayloadError

    before = reply.chunks[0][0] if reply.chunks else 0.0
    for offset, piece in reply.chunks:
        if paced and offset > before:
            await asyncio.sleep((offset - before) / 1000)
            before = offset
        stream.feed_data(piece)
    if not reply.ended.startswith("died"):
        stream.feed_eof()
        return
    # an exception overtakes what is still unread, so the reader is given time to read it
    for _ in range(1000):
        if not stream._buffer:
            break
        await asyncio.sleep(0)
    stream.set_exception(ClientPayloadError(reply.ended.removeprefix("died: ")))


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
    from aiohttp import FormData, payload

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
