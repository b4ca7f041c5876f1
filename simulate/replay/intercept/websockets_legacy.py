"""WebSockets through the older asyncio client of the package ``websockets``, which SDKs still use."""

from __future__ import annotations

import functools
import importlib
import warnings
from typing import Any

from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.websocket_recording import frames_of, note_frames, opened, recorder_of
from simulate.replay.intercept.websockets_client import url_of


def patches(router: TrafficRouter) -> list[tuple[Any, str, Any]]:
    """The methods to replace, where the client is still there; a replay needs none of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            protocol: Any = importlib.import_module("websockets.legacy.client").WebSocketClientProtocol
        except ImportError:
            return []
    return [
        (protocol, "handshake", _beginning(protocol.handshake, router)),
        (protocol, "read_frame", _reading(protocol.read_frame)),
        (protocol, "write_frame_sync", _writing(protocol.write_frame_sync)),
    ]


def _beginning(beginning: Any, router: TrafficRouter) -> Any:
    @functools.wraps(beginning)
    async def handshake(client: Any, wsuri: Any, *args: Any, **kwargs: Any) -> None:
        recorder = None
        if router.watching and not router.playing:
            recorder = recorder_of(router, url_of(wsuri), dict(client.extra_headers or {}))
        try:
            await beginning(client, wsuri, *args, **kwargs)
        except Exception as error:
            status = getattr(error, "status_code", None)
            if recorder is not None and status is not None:
                opened(recorder, status, getattr(error, "headers", {}).items())
            elif recorder is not None:
                recorder.told("service", "lost", error=f"{type(error).__name__}: {error}")
            raise
        if recorder is not None:
            opened(recorder, 101, client.response_headers.items())
        note_frames(client, recorder)

    return handshake


def _reading(reading: Any) -> Any:
    @functools.wraps(reading)
    async def read_frame(client: Any, *args: Any) -> Any:
        frames = frames_of(client)
        try:
            frame = await reading(client, *args)
        except EOFError:
            if frames is not None:
                frames.recorder.told("service", "lost", error="the connection was lost")
            raise
        if frames is not None:
            frames.passed("service", int(frame.opcode), bytes(frame.data), frame.fin)
        return frame

    return read_frame


def _writing(writing: Any) -> Any:
    @functools.wraps(writing)
    def write_frame_sync(client: Any, fin: bool, opcode: int, data: Any) -> None:
        if (frames := frames_of(client)) is not None:
            frames.passed("agent", int(opcode), bytes(data), fin)
        writing(client, fin, opcode, data)

    return write_frame_sync
