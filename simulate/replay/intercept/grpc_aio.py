"""gRPC's asyncio client: calls that play what was recorded, or note what passes."""

from __future__ import annotations

import asyncio
import functools
import importlib
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator
from typing import Any

from simulate.replay.intercept.grpc_client import bytes_of, note_end, note_stream_status, stream_status
from simulate.replay.intercept.grpc_messages import (
    Status,
    line_of,
    message_of,
    note_status,
    request_of,
    stream_request_of,
    url_of,
)
from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.streams import StreamPlayer, StreamRecorder
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.matching.recordings import HttpResponse, StreamEvent

Patches = list[tuple[Any, str, Any]]
_targets: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
"""Where the channels lead that were opened while something was recorded or replayed."""


# private names of grpcio are used: tests/test_private_names.py lists them, with the version tried
def patches(router: TrafficRouter) -> Patches:
    """The methods to replace."""
    module: Any = importlib.import_module("grpc.aio._channel")
    unary, stream = module.UnaryUnaryMultiCallable, module.UnaryStreamMultiCallable
    up, both = module.StreamUnaryMultiCallable, module.StreamStreamMultiCallable
    return [
        (module.Channel, "__init__", _opening(module.Channel.__init__)),
        (unary, "__call__", _one_request(unary.__call__, router, _RecordedOne)),
        (stream, "__call__", _one_request(stream.__call__, router, _RecordedMany)),
        (up, "__call__", _streaming(up.__call__, router)),
        (both, "__call__", _streaming(both.__call__, router)),
    ]


def _opening(real: Any) -> Any:
    @functools.wraps(real)
    def __init__(channel: Any, target: str, *args: Any, **kwargs: Any) -> None:
        real(channel, target, *args, **kwargs)
        _targets[channel] = target

    return __init__


def _url(call: Any) -> str:
    known = (_targets.get(channel) for channel in call._references)
    return url_of(next(filter(None, known), "a-channel-opened-before"), call._method)


class _Call:
    """What all played calls answer."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._cancelled = False

    def cancel(self) -> bool:
        """The agent wants no more."""
        self._cancelled = True
        return True

    def cancelled(self) -> bool:
        """Whether the agent wants no more."""
        return self._cancelled

    def done(self) -> bool:
        """Whether the status is known."""
        return self._status is not None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """It is done as soon as it is asked."""
        callback(self)

    def time_remaining(self) -> float | None:
        """There is no limit."""
        return None

    async def wait_for_connection(self) -> None:
        """There is no connection."""

    async def initial_metadata(self) -> tuple[Any, ...]:
        """None are kept."""
        return ()

    async def _known(self) -> Status:
        raise NotImplementedError

    async def trailing_metadata(self) -> tuple[Any, ...]:
        """As recorded."""
        return (await self._known()).trailers

    async def code(self) -> Any:
        """The status code."""
        return (await self._known()).code

    async def details(self) -> str:
        """The status's text."""
        return (await self._known()).details

    def _raise_unless_ok(self, status: Status) -> None:
        self._status = status
        if not status.ok:
            aio: Any = importlib.import_module("grpc.aio")
            raise aio.AioRpcError(status.code, aio.Metadata(), aio.Metadata(*status.trailers), status.details)


class _PlayedOne(_Call):
    """A call with one request that is played: await it, iterate over it, or read from it."""

    def __init__(self, exchange: HttpExchange, deserializer: Any) -> None:
        super().__init__()
        self._exchange = exchange
        self._deserializer = deserializer
        self._messages = self._all()
        self._only: asyncio.Task[Any] | None = None

    async def _all(self) -> AsyncGenerator[Any]:
        response = await self._exchange.arrive_async()
        if response.status == 200 and response.failure is None:
            async for piece in self._exchange.pieces_async():
                yield message_of(piece, self._deserializer)
        self._raise_unless_ok(Status(response))

    async def _known(self) -> Status:
        return self._status or Status(await self._exchange.arrive_async())

    def __await__(self) -> Generator[Any, None, Any]:
        if self._only is None:
            self._only = asyncio.ensure_future(anext(self._messages))  # type: ignore[arg-type]
        return self._only.__await__()

    def __aiter__(self) -> AsyncGenerator[Any]:
        return self._messages

    async def read(self) -> Any:
        """The next message, or EOF."""
        return await anext(self._messages, importlib.import_module("grpc.aio").EOF)


class _RecordedOne:
    """A real call with one request and one response."""

    def __init__(self, real: Any, exchange: HttpExchange) -> None:
        self._real = real
        self._exchange = exchange
        self._only: asyncio.Task[Any] | None = None

    async def _noted(self) -> Any:
        try:
            response = await self._real
        except BaseException as error:
            note_end(self._exchange, error)
            raise
        self._exchange.chunk(line_of(response, bytes_of))
        trailers = await self._real.trailing_metadata()
        note_status(self._exchange, await self._real.code(), await self._real.details(), trailers)
        return response

    def __await__(self) -> Generator[Any, None, Any]:
        if self._only is None:
            self._only = asyncio.ensure_future(self._noted())
        return self._only.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _RecordedMany:
    """A real call with one request and a stream of responses."""

    def __init__(self, real: Any, exchange: HttpExchange) -> None:
        self._real = real
        self._exchange = exchange
        exchange.opened(200, "", [("content-type", "application/x-ndjson")])
        self._messages = self._all()

    async def _all(self) -> AsyncGenerator[Any]:
        try:
            async for message in self._real:
                self._exchange.chunk(line_of(message, bytes_of))
                yield message
        except Exception as error:
            note_end(self._exchange, error)
            raise
        trailers = await self._real.trailing_metadata()
        note_status(self._exchange, await self._real.code(), await self._real.details(), trailers)

    def __aiter__(self) -> AsyncGenerator[Any]:
        return self._messages

    async def read(self) -> Any:
        """The next message, or EOF."""
        return await anext(self._messages, importlib.import_module("grpc.aio").EOF)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _one_request(real: Any, router: TrafficRouter, recorded: Any) -> Any:
    @functools.wraps(real)
    def call(self: Any, request: Any, **kwargs: Any) -> Any:
        if not router.watching:
            return real(self, request, **kwargs)
        asked = request_of(_url(self), request, self._request_serializer, kwargs.get("metadata"))
        exchange = router.begin(asked)
        if exchange is None:
            return real(self, request, **kwargs)
        if exchange.response is not None:
            return _PlayedOne(exchange, self._response_deserializer)
        return recorded(real(self, request, **kwargs), exchange)

    return call


class _PlayedStream(_Call):
    """A call whose request is a stream that is played: give it requests or write them, and iterate, read or
    await."""

    def __init__(self, found: StreamPlayer | HttpResponse, requests: Any, call: Any) -> None:
        super().__init__()
        self._found = found
        self._call = call
        self._changed = asyncio.Event()
        self._messages = self._all()
        self._only: asyncio.Task[Any] | None = None
        self._sending = None if requests is None else asyncio.ensure_future(self._send(requests))

    async def _send(self, requests: Any) -> None:
        async for request in _each(requests):
            await self.write(request)

    async def write(self, request: Any) -> None:
        """The agent sends a message."""
        if isinstance(self._found, StreamPlayer):
            self._found.sent("message", line_of(request, self._call._request_serializer))
        self._changed.set()

    async def done_writing(self) -> None:
        """The agent sends no more."""

    async def _all(self) -> AsyncGenerator[Any]:
        headers: list[Any] | None = None
        found = self._found
        if isinstance(found, StreamPlayer):
            while (event := found.upcoming()) is not None:
                if not isinstance(event, StreamEvent):
                    self._changed.clear()
                    try:
                        await asyncio.wait_for(self._changed.wait(), event)
                    except TimeoutError:
                        continue
                elif event.kind == "status":
                    headers = event.value["headers"]
                    found.close()
                    break
                else:
                    yield message_of(event.content, self._call._response_deserializer)
        refused = found.refusal() if isinstance(found, StreamPlayer) else found
        player = found if isinstance(found, StreamPlayer) else None
        self._raise_unless_ok(stream_status(player, headers, refused))

    async def _known(self) -> Status:
        async for _ in self._messages:
            pass
        assert self._status is not None
        return self._status

    def __aiter__(self) -> AsyncGenerator[Any]:
        return self._messages

    async def read(self) -> Any:
        """The next message, or EOF."""
        return await anext(self._messages, importlib.import_module("grpc.aio").EOF)

    def __await__(self) -> Generator[Any, None, Any]:
        if self._only is None:
            self._only = asyncio.ensure_future(anext(self._messages))  # type: ignore[arg-type]
        return self._only.__await__()


class _RecordedStream:
    """A real call whose request is a stream."""

    def __init__(self, real: Any, recorder: StreamRecorder, serializer: Any) -> None:
        self._real = real
        self._recorder = recorder
        self._serializer = serializer
        self._messages = self._all()
        self._only: asyncio.Task[Any] | None = None

    async def write(self, request: Any) -> None:
        """The agent sends a message."""
        self._recorder.passed("agent", "message", line_of(request, self._serializer))
        await self._real.write(request)

    async def _all(self) -> AsyncGenerator[Any]:
        try:
            async for message in self._real:
                self._recorder.passed("service", "message", line_of(message, bytes_of))
                yield message
        except Exception as error:
            if callable(getattr(error, "code", None)):
                note_stream_status(self._recorder, error)
            raise
        await self._note_status()

    async def _note_status(self) -> None:
        real = self._real
        ended = _Ended(await real.code(), await real.details(), await real.trailing_metadata())
        note_stream_status(self._recorder, ended)

    async def _noted(self) -> Any:
        try:
            response = await self._real
        except Exception as error:
            if callable(getattr(error, "code", None)):
                note_stream_status(self._recorder, error)
            raise
        self._recorder.passed("service", "message", line_of(response, bytes_of))
        await self._note_status()
        return response

    def __await__(self) -> Generator[Any, None, Any]:
        if self._only is None:
            self._only = asyncio.ensure_future(self._noted())
        return self._only.__await__()

    def __aiter__(self) -> AsyncGenerator[Any]:
        return self._messages

    async def read(self) -> Any:
        """The next message, or EOF."""
        return await anext(self._messages, importlib.import_module("grpc.aio").EOF)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Ended:
    """A status as grpc's blocking calls tell it."""

    def __init__(self, code: Any, details: Any, trailers: Any) -> None:
        self._told = code, details, trailers

    def code(self) -> Any:
        return self._told[0]

    def details(self) -> Any:
        return self._told[1]

    def trailing_metadata(self) -> Any:
        return self._told[2]


async def _each(requests: Any) -> AsyncGenerator[Any]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:  # pyright: ignore[reportUnknownVariableType]
            yield request
    else:
        for request in requests:
            yield request


async def _noting(requests: Any, recorder: StreamRecorder, serializer: Any) -> AsyncGenerator[Any]:
    async for request in _each(requests):
        recorder.passed("agent", "message", line_of(request, serializer))
        yield request


def _streaming(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    def call(self: Any, request_iterator: Any = None, **kwargs: Any) -> Any:
        found = None
        if router.watching:
            found = router.begin_stream(stream_request_of(_url(self), kwargs.get("metadata")))
        if found is None:
            return real(self, request_iterator, **kwargs)
        if not isinstance(found, StreamRecorder):
            return _PlayedStream(found, request_iterator, self)
        serializer = self._request_serializer
        requests = None if request_iterator is None else _noting(request_iterator, found, serializer)
        return _RecordedStream(real(self, requests, **kwargs), found, serializer)

    return call
