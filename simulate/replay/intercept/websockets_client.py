"""WebSockets through the package ``websockets``: its clients for asyncio and for blocking code.

Recording listens where the package has frames; a replay gives it a `ReplayedPeer` to talk to.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import socket
import ssl
import sys
from typing import Any

from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.websocket_peer import PlayedSocket, PlayedTransport, played_socket
from simulate.replay.intercept.websocket_recording import (
    fail_again,
    frames_of,
    not_opened,
    note_frames,
    opened,
    recorder_of,
)
from simulate.replay.matching.endpoints import host_port

Patches = list[tuple[Any, str, Any]]
_ASYNC = frozenset(["websockets.asyncio.client", "websockets.legacy.client"])
_BLOCKING = frozenset(["websockets.sync.client"])
_CLOSE = 8


def patches(router: TrafficRouter) -> Patches:
    """The functions to replace."""
    return [*_connecting_async(router), *_connecting(router), *_recording(router)]


def _connecting_async(router: TrafficRouter) -> Patches:
    """What gets the package's asyncio client a connection."""
    real_create: Any = asyncio.BaseEventLoop.create_connection

    @functools.wraps(real_create)
    async def create_connection(
        loop: Any, factory: Any, host: Any = None, port: Any = None, **kwargs: Any
    ) -> Any:
        place = host_port(str(host), port)
        if not router.watching or _caller() not in _ASYNC or place in router.allowed:
            return await real_create(loop, factory, host, port, **kwargs)
        # which path is meant is known only after this
        url = f"{'wss' if kwargs.get('ssl') else 'ws'}://{place}/"
        if not router.playing:
            try:
                return await real_create(loop, factory, host, port, **kwargs)
            except OSError as error:
                not_opened(router, url, error)
                raise
        fail_again(router, url)
        made = factory()
        transport = PlayedTransport(made, router, (str(host), port or 0), secure=bool(kwargs.get("ssl")))
        await asyncio.sleep(0)
        return transport, made

    return [(asyncio.BaseEventLoop, "create_connection", create_connection)]


def _connecting(router: TrafficRouter) -> Patches:
    """What gets the package's blocking client a connection."""
    real_socket: Any = socket.create_connection
    real_wrap: Any = ssl.SSLContext.wrap_socket

    @functools.wraps(real_socket)
    def create_socket(address: Any, *args: Any, **kwargs: Any) -> Any:
        place = host_port(*address[:2])
        if not router.watching or _caller() not in _BLOCKING or place in router.allowed:
            return real_socket(address, *args, **kwargs)
        # whether it is to be secure is not known here; it only shows in the address of what is refused
        secure = address[1] == 443
        url = f"{'wss' if secure else 'ws'}://{place}/"
        if router.playing:
            fail_again(router, url)
            return played_socket(router, secure=secure)
        try:
            return real_socket(address, *args, **kwargs)
        except OSError as error:
            not_opened(router, url, error)
            raise

    @functools.wraps(real_wrap)
    def wrap_socket(context: Any, sock: Any, *args: Any, **kwargs: Any) -> Any:
        return sock if isinstance(sock, PlayedSocket) else real_wrap(context, sock, *args, **kwargs)

    return [
        (socket, "create_connection", create_socket),
        (ssl.SSLContext, "wrap_socket", wrap_socket),
    ]


def _caller() -> object:
    """The module that called the function that asks."""
    return sys._getframe(2).f_globals.get("__name__")  # pyright: ignore[reportPrivateUsage]


def url_of(uri: Any) -> str:
    """The address of a connection, as text."""
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    default = 443 if uri.secure else 80
    place = host if uri.port == default else f"{host}:{uri.port}"
    return f"{'wss' if uri.secure else 'ws'}://{place}{uri.resource_name}"


def _recording(router: TrafficRouter) -> Patches:
    """Its protocol without I/O, which the asyncio and the blocking client share."""
    protocol: Any = importlib.import_module("websockets.client").ClientProtocol
    beginning: Any = protocol.send_request
    receiving: Any = protocol.events_received
    closing: Any = protocol.send_close
    ending: Any = protocol.receive_eof

    @functools.wraps(beginning)
    def send_request(client: Any, request: Any) -> None:
        if router.watching and not router.playing:
            uri = getattr(client, "uri", None) or client.wsuri
            note_frames(client, recorder_of(router, url_of(uri), dict(request.headers.raw_items())))
        beginning(client, request)

    @functools.wraps(receiving)
    def events_received(client: Any) -> Any:
        events = receiving(client)
        frames = frames_of(client)
        for event in events if frames is not None else ():
            assert frames is not None
            if hasattr(event, "status_code"):
                body = bytes(event.body or b"").decode("utf-8", "replace")
                headers = event.headers.raw_items()
                opened(frames.recorder, event.status_code, headers, reason=event.reason_phrase, body=body)
            else:
                frames.passed("service", int(event.opcode), bytes(event.data), event.fin)
        return events

    @functools.wraps(closing)
    def send_close(client: Any, code: Any = None, reason: str = "") -> None:
        if (frames := frames_of(client)) is not None:
            told = b"" if code is None else int(code).to_bytes(2, "big") + reason.encode()
            frames.passed("agent", _CLOSE, told, True)
        closing(client, code, reason)

    @functools.wraps(ending)
    def receive_eof(client: Any) -> None:
        if (frames := frames_of(client)) is not None and client.state.name in {"OPEN", "CONNECTING"}:
            frames.recorder.told("service", "lost", error="the connection was lost")
        ending(client)

    sent = (("send_continuation", 0), ("send_text", 1), ("send_binary", 2))
    return [
        (protocol, "send_request", send_request),
        (protocol, "events_received", events_received),
        (protocol, "send_close", send_close),
        (protocol, "receive_eof", receive_eof),
        *((protocol, name, _sending(getattr(protocol, name), opcode)) for name, opcode in sent),
    ]


def _sending(real: Any, opcode: int) -> Any:
    @functools.wraps(real)
    def send(client: Any, data: Any, fin: bool = True) -> None:
        if (frames := frames_of(client)) is not None:
            frames.passed("agent", opcode, bytes(data), fin)
        real(client, data, fin)

    return send
