"""What is noted of a WebSocket that goes out, whichever client opened it."""

from __future__ import annotations

import builtins
import re
import socket
from collections.abc import Iterable
from typing import Any

from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.streams import StreamRecorder
from simulate.replay.matching.recordings import By, Kind
from simulate.replay.matching.request import HttpRequest

_OURS = frozenset(
    {"upgrade", "connection", "sec-websocket-accept", "sec-websocket-extensions", "date", "server"}
)
"""Headers of a handshake's answer that belong to one connection."""


def recorder_of(router: TrafficRouter, url: str, headers: dict[str, str]) -> StreamRecorder | None:
    """What notes the messages of a connection that is about to be opened; None where nobody does."""
    found = router.begin_stream(HttpRequest("WEBSOCKET", url, headers, b""))
    return found if isinstance(found, StreamRecorder) else None


def opened(recorder: StreamRecorder, status: int, headers: Iterable[tuple[str, str]], **more: Any) -> None:
    """The service has answered the handshake."""
    pairs = list(headers)
    if status == 101:
        protocol = next((value for name, value in pairs if name.lower() == "sec-websocket-protocol"), None)
        recorder.told("service", "open", status=status, protocol=protocol)
    else:
        told = [list(pair) for pair in pairs if pair[0].lower() not in _OURS]
        recorder.told("service", "open", status=status, headers=told, **more)


def not_opened(router: TrafficRouter, url: str, error: BaseException) -> None:
    """A connection failed before there was a handshake."""
    if (recorder := recorder_of(router, url, {})) is not None:
        recorder.told("service", "lost", error=f"{type(error).__name__}: {error}")


def fail_again(router: TrafficRouter, url: str, *modules: Any) -> None:
    """Raise what opening this connection raised when it was recorded: an OSError, or an exception of one of
    the ``modules``."""
    told = router.failed_stream(url)
    if told is None:
        return
    name, _, text = told.partition(": ")
    kind: Any = next(
        (getattr(one, name) for one in (builtins, socket, *modules) if hasattr(one, name)), OSError
    )
    number = re.match(r"\[Errno (-?\d+)\] (.*)", text, re.DOTALL) if issubclass(kind, OSError) else None
    raise kind(int(number[1]), number[2]) if number else kind(text)


_KINDS: dict[int, Kind | None] = {0: None, 1: "text", 2: "binary"}
"""By a frame's opcode; None continues the message before."""
_CLOSE = 8


class Frames:
    """The messages of one connection, put together from their frames."""

    def __init__(self, recorder: StreamRecorder) -> None:
        self.recorder = recorder
        self._kinds: dict[By, Kind] = {}
        self._parts: dict[By, bytearray] = {}

    def passed(self, by: By, opcode: int, data: bytes | str, last: bool) -> None:
        """A frame was sent."""
        content = data.encode() if isinstance(data, str) else bytes(data)
        if opcode == _CLOSE:
            code = int.from_bytes(content[:2], "big") or None
            self.recorder.told(by, "close", code=code, reason=content[2:].decode("utf-8", "replace"))
        if opcode not in _KINDS:
            return
        self._kinds[by] = _KINDS[opcode] or self._kinds.get(by, "text")
        self._parts.setdefault(by, bytearray()).extend(content)
        if last:
            self.recorder.passed(by, self._kinds[by], bytes(self._parts.pop(by)))


def frames_of(connection: Any) -> Frames | None:
    """What notes the frames of a client's connection; None where nobody does."""
    return getattr(connection, "simulate_frames", None)


def note_frames(connection: Any, recorder: StreamRecorder | None) -> None:
    """Let the frames of a client's connection be noted."""
    connection.simulate_frames = None if recorder is None else Frames(recorder)
