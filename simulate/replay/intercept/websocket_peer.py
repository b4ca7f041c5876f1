"""The other end of a WebSocket in a replay: reads what a client writes, and writes what a server would.

The clients keep their own code for all of RFC 6455. What they get instead of a connection is a transport in
memory (asyncio), or one end of a pair of sockets whose other end a thread of ours serves.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.streams import StreamPlayer
from simulate.replay.matching.divergence import REFUSED_STATUS, refusal
from simulate.replay.matching.recordings import HttpResponse, Kind, StreamEvent
from simulate.replay.matching.request import HttpRequest

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_CODES = {"text": _TEXT, "binary": _BINARY}
NOT_RECORDED = 4000 + REFUSED_STATUS
"""The close code of a connection that left its recording."""


class FrameReader:
    """Messages out of the bytes that a client writes after its handshake."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._parts = bytearray()
        self._opcode = 0

    def read(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        """The opcode and payload of each message that is now whole."""
        self._bytes += content
        while (frame := self._frame()) is not None:
            last, opcode, payload = frame
            if opcode >= _CLOSE:
                yield opcode, payload
                continue
            self._opcode = opcode or self._opcode
            self._parts += payload
            if last:
                yield self._opcode, bytes(self._parts)
                self._parts.clear()

    def _frame(self) -> tuple[bool, int, bytes] | None:
        data = self._bytes
        if len(data) < 2:
            return None
        length, at = data[1] & 0x7F, 2
        for short, form, size in ((126, "!H", 2), (127, "!Q", 8)):
            if data[1] & 0x7F == short:
                if len(data) < at + size:
                    return None
                (length,) = struct.unpack_from(form, data, at)
                at += size
        masked = bool(data[1] & 0x80)
        mask = bytes(data[at : at + 4]) if masked else b""
        at += len(mask)
        if len(data) < at + length:
            return None
        payload = bytes(data[at : at + length])
        if masked:
            key = (mask * (length // 4 + 1))[:length]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
        first = data[0]
        del data[: at + length]
        return bool(first & 0x80), first & 0x0F, payload


def frame(opcode: int, payload: bytes) -> bytes:
    """One message as a server writes it."""
    length = len(payload)
    if length < 126:
        size = bytes([length])
    elif length < 65_536:
        size = struct.pack("!BH", 126, length)
    else:
        size = struct.pack("!BQ", 127, length)
    return bytes([0x80 | opcode]) + size + payload


class ReplayedPeer:
    """A server that plays. ``write`` takes the bytes that it sends, ``secure`` tells how the client dials."""

    def __init__(self, router: TrafficRouter, write: Callable[[bytes], None], *, secure: bool) -> None:
        self._router = router
        self._write = write
        self._scheme = "wss" if secure else "ws"
        self._head = bytearray()
        self._frames = FrameReader()
        self._key = b""
        self.player: StreamPlayer | None = None
        self._closing = False
        """We have said that we close, and wait for the client to agree."""
        self.over = False

    def read(self, content: bytes) -> None:
        """The client has written this."""
        if self.over:
            return
        if self.player is None:
            self._head += content
            head, end, content = bytes(self._head).partition(b"\r\n\r\n")
            if not end:
                return
            self._handshake(head)
        for opcode, payload in self._frames.read(content):
            self._got(opcode, payload)

    def _handshake(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._key = headers.get("sec-websocket-key", "").encode()
        url = f"{self._scheme}://{headers.get('host', '')}{first.split(' ')[1]}"
        found = self._router.begin_stream(HttpRequest("WEBSOCKET", url, headers, b""))
        if isinstance(found, StreamPlayer):
            self.player = found
        else:
            self._refuse(found if isinstance(found, HttpResponse) else refusal(f"WebSocket to {url}"))

    def _refuse(self, response: HttpResponse) -> None:
        self._answer(response.status, response.reason, response.headers, response.content)
        self.over = True

    def _answer(self, status: int, reason: str, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        lines = [f"HTTP/1.1 {status} {reason or 'OK'}", *(f"{name}: {value}" for name, value in headers)]
        if status != 101:
            lines = [line for line in lines if not line.lower().startswith("content-length:")]
            lines += [f"Content-Length: {len(body)}", "Connection: close"]
        self._write("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body)

    def _got(self, opcode: int, payload: bytes) -> None:
        assert self.player is not None
        if opcode == _PING:
            self._write(frame(_PONG, payload))
        elif opcode == _CLOSE:
            self.player.close()
            if not self._closing:
                self._write(frame(_CLOSE, payload[:2]))
            self.over = True
        elif opcode in {_TEXT, _BINARY}:
            kind: Kind = "text" if opcode == _TEXT else "binary"
            self.player.sent(kind, payload)
            self.end_if_refused()

    def end_if_refused(self) -> None:
        """Close where the agent has left the recording, and say why."""
        if self.player is not None and self.player.refused is not None and not self._closing:
            reason = f"not in the cassette: {self.player.refused}".splitlines()[0].encode()[:120]
            text = reason.decode("utf-8", "ignore").encode()
            self._close(struct.pack("!H", NOT_RECORDED) + text)

    def give(self, event: StreamEvent) -> None:
        """Write what the service sent. Raises ConnectionResetError where its connection broke there."""
        if self.over:
            return
        if event.kind in _CODES:
            self._write(frame(_CODES[event.kind], event.content))
        elif event.kind == "open":
            self._open(event.value)
        elif event.kind == "close":
            code, reason = event.value.get("code"), str(event.value.get("reason", ""))
            self._close(struct.pack("!H", code) + reason.encode() if code else b"")
        elif event.kind == "lost":
            self.over = True
            raise ConnectionResetError(str(event.value.get("error", "the connection broke")))

    def _close(self, payload: bytes) -> None:
        self._write(frame(_CLOSE, payload))
        self._closing = True

    def _open(self, told: dict[str, Any]) -> None:
        status = int(told.get("status", 101))
        given: list[tuple[str, str]] = told.get("headers") or []
        headers = [(name, value) for name, value in given]
        if status != 101:
            self._answer(status, str(told.get("reason", "")), headers, str(told.get("body", "")).encode())
            self.over = True
            return
        accept = base64.b64encode(hashlib.sha1(self._key + _GUID).digest()).decode()
        headers += [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
        if told.get("protocol"):
            headers.append(("Sec-WebSocket-Protocol", str(told["protocol"])))
        self._answer(101, "Switching Protocols", headers)


class PlayedTransport(asyncio.Transport):
    """What an asyncio client has instead of a connection."""

    def __init__(
        self, protocol: asyncio.Protocol, router: TrafficRouter, address: tuple[str, int], *, secure: bool
    ) -> None:
        names = {"peername": address, "sockname": ("127.0.0.1", 0), "socket": None}
        super().__init__(names | ({"ssl_object": None} if secure else {}))
        self._protocol: Any = protocol
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._out: list[bytes] = []
        self._peer = ReplayedPeer(router, self._out.append, secure=secure)
        self._pumping: asyncio.Handle | None = None
        self._paused = False
        self._loop.call_soon(protocol.connection_made, self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """The client sends."""
        if self._closing:
            return
        self._peer.read(bytes(data))
        self._pump_soon()

    def _pump_soon(self, after: float = 0.0) -> None:
        if self._pumping is not None:
            self._pumping.cancel()
        self._pumping = (
            self._loop.call_later(after, self._pump) if after else self._loop.call_soon(self._pump)
        )

    def _pump(self) -> None:
        """Give all that is due; come back when more may be."""
        if self._closing or self._paused:
            return
        player, broke = self._peer.player, None
        while player is not None and not self._peer.over:
            found = player.upcoming()
            if not isinstance(found, StreamEvent):
                if found is not None and found < 3600:
                    self._pump_soon(found)
                break
            try:
                self._peer.give(found)
            except ConnectionResetError as error:
                broke = error
            if found.kind != "open":
                break
        out, given = b"".join(self._out), bool(self._out)
        self._out.clear()
        if given:
            self._protocol.data_received(out)
            if not self._peer.over:
                self._pump_soon()
        if broke is not None or (self._peer.over and not self._closing):
            self._lose(broke)

    def _lose(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            if error is None:
                self._loop.call_soon(self._ended)
            else:
                self._loop.call_soon(self._protocol.connection_lost, error)

    def _ended(self) -> None:
        with contextlib.suppress(AttributeError):
            self._protocol.eof_received()
        self._protocol.connection_lost(None)

    def close(self) -> None:
        """The client lets go of the connection."""
        if self._peer.player is not None:
            self._peer.player.close()
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """Like `close`."""
        self.close()

    def is_closing(self) -> bool:
        """Whether the connection is over."""
        return self._closing

    def can_write_eof(self) -> bool:
        """A client may say that it sends no more."""
        return True

    def write_eof(self) -> None:
        """The client sends no more."""

    def pause_reading(self) -> None:
        """The client wants nothing for now."""
        self._paused = True

    def resume_reading(self) -> None:
        """The client reads again."""
        self._paused = False
        self._pump_soon()

    def is_reading(self) -> bool:
        """Whether the client takes more."""
        return not self._paused

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another protocol reads from now on."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Who reads."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """Nothing waits to be written."""
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """There is no limit to speak of."""
        return 0, 65_536

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""


class PlayedSocket(socket.socket):
    """What a client with blocking sockets has instead of a connection; TLS leaves it as it is."""

    def setsockopt(self, *option: Any) -> None:
        """A pair of sockets has no options of TCP, which older clients set."""

    def pending(self) -> int:
        """How much TLS holds back, which is nothing."""
        return 0

    def __del__(self) -> None:
        self.close()  # a client that leaves a refused connection open does so with a real one, too


def played_socket(router: TrafficRouter, *, secure: bool) -> PlayedSocket:
    """One end for a client; a thread of ours serves the other end."""
    ours, theirs = socket.socketpair()
    client = PlayedSocket(theirs.family, theirs.type, theirs.proto, fileno=theirs.detach())
    writing = threading.Lock()

    def write(content: bytes) -> None:
        with writing, contextlib.suppress(OSError):
            ours.sendall(content)

    peer = ReplayedPeer(router, write, secure=secure)

    def read() -> None:
        begun = False
        with contextlib.suppress(OSError):
            while content := ours.recv(65_536):
                peer.read(content)
                if peer.player is not None and not begun:
                    begun = True
                    threading.Thread(target=give, args=(peer.player,), daemon=True).start()
                if peer.over:
                    break
        if peer.player is not None:
            peer.player.close()
        if not begun or peer.over:
            hang_up()

    def give(player: StreamPlayer) -> None:
        while not peer.over and (event := player.wait()) is not None:
            try:
                peer.give(event)
            except ConnectionResetError:
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.end_if_refused()
        if peer.over:
            hang_up()

    def hang_up() -> None:
        with contextlib.suppress(OSError):
            ours.shutdown(socket.SHUT_WR)
        # the client reads what is left, and then closes
        threading.Thread(target=_drain, args=(ours,), daemon=True).start()

    threading.Thread(target=read, daemon=True).start()
    return client


def _drain(ours: socket.socket) -> None:
    with contextlib.suppress(OSError):
        ours.settimeout(5)
        while ours.recv(65_536):
            pass
    ours.close()
