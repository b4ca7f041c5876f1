"""WebSockets through the package ``websocket-client``."""

from __future__ import annotations

import functools
import importlib
import urllib.parse
from typing import Any

from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.websocket_peer import played_socket
from simulate.replay.intercept.websocket_recording import (
    fail_again,
    frames_of,
    note_frames,
    opened,
    recorder_of,
)
from simulate.replay.matching.endpoints import host_port


def patches(router: TrafficRouter) -> list[tuple[Any, str, Any]]:
    """The methods to replace."""
    kind: Any = getattr(importlib.import_module("websocket"), "WebSocket", None)
    if kind is None:
        return []  # another package of that name
    return [
        (kind, "connect", _connecting(kind.connect, router)),
        (kind, "send_frame", _sending(kind.send_frame)),
        (kind, "recv_frame", _receiving(kind.recv_frame)),
    ]


def _connecting(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    def connect(client: Any, url: str, **options: Any) -> None:
        parts = urllib.parse.urlsplit(url)
        secure = parts.scheme == "wss"
        place = host_port(parts.hostname or "", parts.port or (443 if secure else 80))
        if router.playing and place not in router.allowed:
            fail_again(router, url, importlib.import_module("websocket"))
            real(client, url, **options | {"socket": played_socket(router, secure=secure)})
            return
        recorder = recorder_of(router, url, _headers(options.get("header"))) if router.watching else None
        note_frames(client, None)
        try:
            real(client, url, **options)
        except Exception as error:
            status = getattr(error, "status_code", None)
            if recorder is not None and status is not None:
                found: Any = getattr(error, "resp_headers", None) or {}
                body: Any = getattr(error, "resp_body", None) or b""
                opened(recorder, status, found.items(), body=body.decode("utf-8", "replace"))
            elif recorder is not None:
                recorder.told("service", "lost", error=f"{type(error).__name__}: {error}")
            raise
        if recorder is not None:
            opened(recorder, 101, client.handshake_response.headers.items())
            note_frames(client, recorder)

    return connect


def _headers(given: Any) -> dict[str, str]:
    """Headers as the package takes them: an object, or lines."""
    pairs = given.items() if hasattr(given, "items") else (line.split(":", 1) for line in given or ())
    return {str(name): str(value).strip() for name, value in pairs}


def _sending(real: Any) -> Any:
    @functools.wraps(real)
    def send_frame(client: Any, frame: Any) -> int:
        if (frames := frames_of(client)) is not None:
            frames.passed("agent", frame.opcode, frame.data, bool(frame.fin))
        return real(client, frame)

    return send_frame


def _receiving(real: Any) -> Any:
    @functools.wraps(real)
    def recv_frame(client: Any) -> Any:
        frames = frames_of(client)
        try:
            frame = real(client)
        except Exception as error:
            if frames is not None and type(error).__name__ == "WebSocketConnectionClosedException":
                frames.recorder.told("service", "lost", error=str(error))
            raise
        if frames is not None and frame is not None:
            frames.passed("service", frame.opcode, frame.data, bool(frame.fin))
        return frame

    return recv_frame
