"""gRPC's blocking client: calls that play what was recorded, or note what passes."""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from simulate.replay.intercept.grpc_messages import (
    Status,
    line_of,
    message_of,
    note_status,
    request_of,
    status_headers,
    stream_request_of,
    url_of,
)
from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.streams import StreamPlayer, StreamRecorder
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.matching.recordings import HttpResponse

Patches = list[tuple[Any, str, Any]]


# private names of grpcio are used: tests/test_private_names.py lists them, with the version tried
def patches(router: TrafficRouter) -> Patches:
    """The methods to replace."""
    module: Any = importlib.import_module("grpc._channel")
    unary, stream = module._UnaryUnaryMultiCallable, module._UnaryStreamMultiCallable
    single = module._SingleThreadedUnaryStreamMultiCallable
    up, both = module._StreamUnaryMultiCallable, module._StreamStreamMultiCallable
    return [
        (unary, "__call__", _unary(unary.__call__, unary.with_call, router, with_call=False)),
        (unary, "with_call", _unary(unary.with_call, unary.with_call, router, with_call=True)),
        (unary, "future", _future(unary.future, router)),
        (stream, "__call__", _responses(stream.__call__, router)),
        (single, "__call__", _responses(single.__call__, router)),
        (up, "__call__", _upload(up.with_call, router, with_call=False)),
        (up, "with_call", _upload(up.with_call, router, with_call=True)),
        (both, "__call__", _both_ways(both.__call__, router)),
    ]


@functools.cache
def _error_class() -> Any:
    grpc: Any = importlib.import_module("grpc")

    class PlayedRpcError(grpc.RpcError):
        """An error that a call ended with when it was recorded, or its divergence."""

        def __init__(self, status: Status) -> None:
            Exception.__init__(self, f"{status.code.name}: {status.details}")
            self._status = status

        def code(self) -> Any:
            return self._status.code

        def details(self) -> str:
            return self._status.details

        def initial_metadata(self) -> tuple[Any, ...]:
            return ()

        def trailing_metadata(self) -> tuple[Any, ...]:
            return self._status.trailers

    return PlayedRpcError


def _raise_unless_ok(status: Status) -> None:
    if not status.ok:
        raise _error_class()(status)


class PlayedCall:
    """A call that is played: iterate over its messages, or take the only one with ``result``."""

    def __init__(self, messages: Callable[[], Iterator[Any]], status: Callable[[], Status]) -> None:
        self._messages = messages()
        self._status = status
        self._cancelled = False
        self._only: list[Any] = []
        self._error: type[Exception] = _error_class()

    def __iter__(self) -> PlayedCall:
        return self

    def __next__(self) -> Any:
        return next(self._messages)

    def result(self, timeout: float | None = None) -> Any:
        """The only message."""
        if not self._only:
            self._only.append(next(self._messages))
        return self._only[0]

    def exception(self, timeout: float | None = None) -> Exception | None:
        """How the call failed."""
        try:
            self.result()
        except self._error as error:
            return error
        return None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """It is done as soon as it is asked."""
        callback(self)

    def done(self) -> bool:
        """Nothing is waited for."""
        return True

    def running(self) -> bool:
        """Nothing runs."""
        return False

    def is_active(self) -> bool:
        """Whether more may come."""
        return not self._cancelled

    def cancel(self) -> bool:
        """The agent wants no more."""
        self._cancelled = True
        if hasattr(self._messages, "close"):
            self._messages.close()  # type: ignore[attr-defined]
        return True

    def cancelled(self) -> bool:
        """Whether the agent wants no more."""
        return self._cancelled

    def code(self) -> Any:
        """The status code."""
        return self._status().code

    def details(self) -> str:
        """The status's text."""
        return self._status().details

    def initial_metadata(self) -> tuple[Any, ...]:
        """None are kept."""
        return ()

    def trailing_metadata(self) -> tuple[Any, ...]:
        """As recorded."""
        return self._status().trailers

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name} of a gRPC call is not replayed")


def played(exchange: HttpExchange, deserializer: Any) -> PlayedCall:
    """The call that gives a recorded response."""
    holder: list[Status] = []

    def messages() -> Iterator[Any]:
        response = exchange.arrive()
        holder.append(Status(response))
        if response.status == 200 and response.failure is None:
            for piece in exchange.pieces():
                yield message_of(piece, deserializer)
        _raise_unless_ok(holder[0])

    def status() -> Status:
        return holder[0] if holder else Status(exchange.arrive())

    return PlayedCall(messages, status)


def _begin(
    router: TrafficRouter, call: Any, request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> HttpExchange | None:
    if not router.watching:
        return None
    metadata = kwargs.get("metadata", args[1] if len(args) > 1 else None)
    url = url_of(call._target, call._method)
    return router.begin(request_of(url, request, call._request_serializer, metadata))


def _unary(real: Any, real_with_call: Any, router: TrafficRouter, *, with_call: bool) -> Any:
    @functools.wraps(real)
    def call(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(router, self, request, args, kwargs)
        if exchange is None:
            return real(self, request, *args, **kwargs)
        if exchange.response is not None:
            made = played(exchange, self._response_deserializer)
            response = made.result()
            return (response, made) if with_call else response
        try:
            response, done = real_with_call(self, request, *args, **kwargs)
        except Exception as error:
            note_end(exchange, error)
            raise
        exchange.chunk(line_of(response, bytes_of))
        note_status(exchange, done.code(), done.details(), done.trailing_metadata())
        return (response, done) if with_call else response

    return call


def bytes_of(message: Any) -> bytes:
    """What a message without a serializer of protobuf's is kept as."""
    return message if isinstance(message, bytes) else str(message).encode()


def note_end(exchange: HttpExchange, ended: Any) -> None:
    """The call is over: an error, or the call itself. Only what is gRPC's own tells a status."""
    if callable(getattr(ended, "code", None)):
        note_status(exchange, ended.code(), ended.details(), ended.trailing_metadata())
    else:
        exchange.failed(ended)


def _future(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    def future(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(router, self, request, args, kwargs)
        if exchange is None:
            return real(self, request, *args, **kwargs)
        if exchange.response is not None:
            return played(exchange, self._response_deserializer)
        made = real(self, request, *args, **kwargs)

        def done(ended: Any) -> None:
            error = ended.exception() if not ended.cancelled() else None
            if error is None and not ended.cancelled():
                exchange.chunk(line_of(ended.result(), bytes_of))
            note_status(exchange, ended.code(), ended.details(), ended.trailing_metadata())

        made.add_done_callback(done)
        return made

    return future


class _Noted:
    """A real call's messages, noted as the agent takes them."""

    def __init__(self, real: Any, came: Callable[[Any], None], over: Callable[[Any], None]) -> None:
        self._real = real
        self._came = came
        self._over = over

    def __iter__(self) -> _Noted:
        return self

    def __next__(self) -> Any:
        try:
            message = next(self._real)
        except StopIteration:
            self._over(self._real)
            raise
        except Exception as error:
            self._over(error)
            raise
        self._came(message)
        return message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _responses(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    def call(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(router, self, request, args, kwargs)
        if exchange is None:
            return real(self, request, *args, **kwargs)
        if exchange.response is not None:
            return played(exchange, self._response_deserializer)
        exchange.opened(200, "", [("content-type", "application/x-ndjson")])

        return _Noted(
            real(self, request, *args, **kwargs),
            lambda message: exchange.chunk(line_of(message, bytes_of)),
            functools.partial(note_end, exchange),
        )

    return call


def _begin_stream(
    router: TrafficRouter, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> StreamRecorder | StreamPlayer | HttpResponse | None:
    if not router.watching:
        return None
    metadata = kwargs.get("metadata", args[1] if len(args) > 1 else None)
    return router.begin_stream(stream_request_of(url_of(call._target, call._method), metadata))


def noting_requests(requests: Any, recorder: StreamRecorder, serializer: Any) -> Iterator[Any]:
    """The agent's requests, noted as they are sent."""
    for request in requests:
        recorder.passed("agent", "message", line_of(request, serializer))
        yield request


def note_stream_status(recorder: StreamRecorder, ended: Any) -> None:
    """A call whose request is a stream has ended."""
    pairs = status_headers(ended.code(), ended.details(), ended.trailing_metadata())
    recorder.told("service", "status", headers=[list(pair) for pair in pairs])


def stream_status(player: StreamPlayer | None, headers: list[Any] | None, refused: HttpResponse) -> Status:
    """How a played stream ended: as recorded, or with the divergence that it was refused for."""
    if player is not None and player.refused is None:
        return Status(HttpResponse(200, headers=[(pair[0], pair[1]) for pair in headers or []]))
    return Status(refused)


def _play_stream(found: StreamPlayer | HttpResponse, requests: Any, call: Any) -> PlayedCall:
    holder: list[Status] = []

    def messages() -> Iterator[Any]:
        headers: list[Any] | None = None
        if isinstance(found, StreamPlayer):
            threading.Thread(target=send, args=(found,), daemon=True).start()
            while (event := found.wait()) is not None:
                if event.kind == "status":
                    headers = event.value["headers"]
                    found.close()
                    break
                yield message_of(event.content, call._response_deserializer)
        holder.append(_ended(found, headers))
        _raise_unless_ok(holder[0])

    def send(player: StreamPlayer) -> None:
        for request in requests:
            player.sent("message", line_of(request, call._request_serializer))

    return PlayedCall(messages, lambda: holder[0])


def _ended(found: StreamPlayer | HttpResponse, headers: list[Any] | None) -> Status:
    if isinstance(found, HttpResponse):
        return Status(found)
    return stream_status(found, headers, found.refusal())


def _both_ways(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    def call(self: Any, request_iterator: Any, *args: Any, **kwargs: Any) -> Any:
        found = _begin_stream(router, self, args, kwargs)
        if found is None:
            return real(self, request_iterator, *args, **kwargs)
        if not isinstance(found, StreamRecorder):
            return _play_stream(found, request_iterator, self)
        requests = noting_requests(request_iterator, found, self._request_serializer)
        return _Noted(
            real(self, requests, *args, **kwargs),
            lambda message: found.passed("service", "message", line_of(message, bytes_of)),
            functools.partial(note_stream_status, found),
        )

    return call


def _upload(real_with_call: Any, router: TrafficRouter, *, with_call: bool) -> Any:
    @functools.wraps(real_with_call)
    def call(self: Any, request_iterator: Any, *args: Any, **kwargs: Any) -> Any:
        found = _begin_stream(router, self, args, kwargs)
        if found is not None and not isinstance(found, StreamRecorder):
            made = _play_stream(found, request_iterator, self)
            response = made.result()
            return (response, made) if with_call else response
        if found is None:
            response, done = real_with_call(self, request_iterator, *args, **kwargs)
            return (response, done) if with_call else response
        requests = noting_requests(request_iterator, found, self._request_serializer)
        try:
            response, done = real_with_call(self, requests, *args, **kwargs)
        except Exception as error:
            if callable(getattr(error, "code", None)):
                note_stream_status(found, error)
            raise
        found.passed("service", "message", line_of(response, bytes_of))
        note_stream_status(found, done)
        return (response, done) if with_call else response

    return call
