"""http.client, and through it urllib3, requests, boto3 and urllib: a socket that plays or tees.

These clients write a request to a socket and read the response from a file made of it. So the socket is the
seam: in a replay it is never connected, and its file holds the recorded response, read by the clients' own
parsers; while recording it hands everything on and notes what passes.
"""

from __future__ import annotations

import builtins
import functools
import http.client
import io
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any

from simulate.errors import HarnessFault
from simulate.replay.intercept.dechunker import Dechunker
from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.matching.endpoints import address, host_port
from simulate.replay.matching.recordings import HttpResponse
from simulate.replay.matching.request import HttpRequest

try:
    from urllib3 import connection as urllib3_connection
    from urllib3 import exceptions
except ImportError:  # an optional client
    urllib3_connection = exceptions = None

_CONNECTING: tuple[type[Exception], ...] = (
    (OSError,)
    if exceptions is None
    else (OSError, exceptions.NewConnectionError, exceptions.ConnectTimeoutError)
)
_AT_CONNECTING = frozenset(
    ["ConnectionRefusedError", "gaierror", "NewConnectionError", "NameResolutionError", "ConnectTimeoutError"]
)
"""What is raised before the request is on its way."""
_RAISING = (exceptions, builtins, socket, ssl, http.client)
"""Modules whose exceptions a connection raises."""


def patches(router: TrafficRouter) -> list[tuple[Any, str, Any]]:
    """The methods to replace: every ``connect``, and the start of a request."""
    classes: list[Any] = [http.client.HTTPConnection, http.client.HTTPSConnection]
    if urllib3_connection is not None:
        classes += [urllib3_connection.HTTPConnection, urllib3_connection.HTTPSConnection]
    found = [(kind, "connect", _connecting(kind.connect, router)) for kind in classes]
    return [
        *found,
        (http.client.HTTPConnection, "putrequest", _beginning(http.client.HTTPConnection.putrequest, router)),
    ]


def _connecting(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    def connect(connection: Any) -> None:
        connecting = getattr(connection, "_simulate_connecting", False)
        if connecting or not router.watching or _is_allowed(connection, router):
            real(connection)
            return
        if router.playing:
            connection.sock = _PlayedSocket(connection, router)
            if hasattr(connection, "is_verified"):
                connection.is_verified = connection.proxy_is_verified = True
            return
        connection._simulate_connecting = True  # HTTPS connects through HTTP's own method
        try:
            real(connection)
        except _CONNECTING as error:
            # the request is not known yet: it is written first, and then fails
            connection.sock = _FailedSocket(connection, router, error)
            return
        finally:
            connection._simulate_connecting = False
        if not isinstance(connection.sock, _RecordedSocket):
            connection.sock = _RecordedSocket(connection.sock, connection, router)

    return connect


def _beginning(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    def putrequest(connection: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        sock = getattr(connection, "sock", None)
        if sock is not None and router.watching and not _is_allowed(connection, router):
            wanted = _PlayedSocket if router.playing else _RecordedSocket
            if not isinstance(sock, wanted):
                # a connection kept alive from before, or by another conversation, is none of ours
                connection.sock = None
                sock.close()
        return real(connection, method, url, *args, **kwargs)

    return putrequest


def _is_allowed(connection: Any, router: TrafficRouter) -> bool:
    """Whether what it connects to is none of a recording's or replay's business."""
    return host_port(*_target(connection)) in router.allowed


def _target(connection: Any) -> tuple[str, int]:
    if host := getattr(connection, "_tunnel_host", None):
        return host, connection._tunnel_port
    return connection.host, connection.port


def _url(connection: Any, target: str) -> str:
    if target.startswith(("http://", "https://")):
        return target  # through a proxy
    host, port = _target(connection)
    secure = isinstance(connection, http.client.HTTPSConnection) or hasattr(connection, "cert_reqs")
    default = 443 if secure else 80
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{host}{'' if port == default else f':{port}'}{target}"


def _request(connection: Any, sent: bytes) -> HttpRequest:
    """What was written to the socket."""
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = (first + "  ").split(" ", 2)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    lowered = {name.lower(): value for name, value in headers.items()}
    if "chunked" in lowered.get("transfer-encoding", ""):
        body = b"".join(Dechunker().feed(body))
    return HttpRequest(method, _url(connection, target), headers, body)


class _PlayedSocket:
    """Collects a request and answers it from the recording; there is no connection behind it."""

    def __init__(self, connection: Any, router: TrafficRouter) -> None:
        self.connection, self.router = connection, router
        self.sent = bytearray()
        self.exchange: HttpExchange | None = None
        self.place = ""

    def sendall(self, data: Any, *_: Any) -> None:
        self.sent += bytes(data)
        if not _is_whole(self.sent):
            return
        self.begin()
        response = self.exchange.response if self.exchange is not None else None
        if response is not None and response.failure is not None and response.failure[0] in _AT_CONNECTING:
            self.fail(response)

    def begin(self) -> None:
        """The request is written, as far as it ever will be."""
        request = _request(self.connection, bytes(self.sent))
        self.sent.clear()
        self.exchange = self.router.begin(request)
        self.place = address(request.url)

    def fail(self, response: HttpResponse) -> None:
        """Raise what was raised when it was recorded, where that was."""
        assert response.failure is not None
        raise _exception(self.connection, *response.failure)

    def makefile(self, *_: Any, **__: Any) -> Any:
        if self.sent:
            self.begin()
        exchange = self.exchange
        if exchange is None or exchange.response is None:
            raise HarnessFault(
                f"http.client cannot ask {self.place} in the middle of a replay",
                hint="use the policy `fail` or `nearest` for an agent on requests or urllib3",
            )
        response = exchange.arrive()
        if response.failure is not None:
            self.fail(response)
        return io.BufferedReader(_PlayedFile(exchange))

    def settimeout(self, *_: Any) -> None: ...

    setsockopt = shutdown = settimeout

    def close(self) -> None: ...

    def fileno(self) -> int:
        return -1

    def version(self) -> str:
        return "TLSv1.3"


class _FailedSocket(_PlayedSocket):
    """Collects a request that is recorded, and fails it as connecting failed."""

    def __init__(self, connection: Any, router: TrafficRouter, error: Exception) -> None:
        super().__init__(connection, router)
        self.error = error

    def begin(self) -> None:
        super().begin()
        if self.exchange is not None:
            self.exchange.failed(self.error)
        raise self.error


def _is_whole(sent: bytes | bytearray) -> bool:
    """Whether all of a request is written."""
    head, found, body = bytes(sent).partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if length is not None:
        return len(body) >= int(length[1])
    chunked = re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE) is not None
    return bool(found) and (not chunked or body.endswith(b"0\r\n\r\n"))


def _exception(connection: Any, name: str, text: str) -> Exception:
    """The exception that was recorded, as its own class, where it can be made again."""
    kind: Any = next((getattr(each, name) for each in _RAISING if hasattr(each, name)), ConnectionError)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = ConnectionError
    if issubclass(kind, OSError):
        number = re.match(r"\[Errno (-?\d+)\] (.*)", text, re.DOTALL)
        return kind(int(number[1]), number[2]) if number else kind(text)
    if exceptions is not None and issubclass(kind, exceptions.NewConnectionError):
        # its text begins with the connection: "HTTPConnection(host=…): "
        return exceptions.NewConnectionError(connection, text.partition(": ")[2] or text)
    return kind(text)


class _PlayedFile(io.RawIOBase):
    """The recorded response as it would stand on the wire."""

    def __init__(self, exchange: HttpExchange) -> None:
        self.exchange = exchange
        self.pieces = _wire(exchange)
        self.rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.rest:
            self.rest = next(self.pieces, b"")
        count = min(len(buffer), len(self.rest))
        buffer[:count] = self.rest[:count]
        self.rest = self.rest[count:]
        return count

    def close(self) -> None:
        self.exchange.stop()
        super().close()


def _wire(exchange: HttpExchange) -> Iterator[bytes]:
    response = exchange.response
    assert response is not None
    framing = {"content-length", "transfer-encoding", "connection"}
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers if name not in framing]
    lines += ["transfer-encoding: chunked", "connection: close", "", ""]
    if response.status in {204, 304} or 100 <= response.status < 200:
        yield "\r\n".join([*lines[:-4], "connection: close", "", ""]).encode("latin-1", "replace")
        return
    yield "\r\n".join(lines).encode("latin-1", "replace")
    for piece in exchange.pieces():
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    if response.broke is None:
        yield b"0\r\n\r\n"


class _RecordedSocket:
    """A real connection that is recorded, request by request, for whichever conversation uses it."""

    def __init__(self, real: Any, connection: Any, router: TrafficRouter) -> None:
        self.real, self.connection, self.router = real, connection, router
        self.sent = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def sendall(self, data: Any, *args: Any) -> Any:
        if self.router.watching and not self.router.playing:
            self.sent += bytes(data)
        return self.real.sendall(data, *args)

    def makefile(self, *args: Any, **kwargs: Any) -> Any:
        file = self.real.makefile(*args, **kwargs)
        if not self.sent:
            return file
        request = _request(self.connection, bytes(self.sent))
        self.sent.clear()
        exchange = self.router.begin(request)
        return (
            file if exchange is None else io.BufferedReader(_RecordedFile(file, exchange, request.method), 1)
        )


class _RecordedFile(io.RawIOBase):
    """Hands on what comes, and notes the response in it."""

    def __init__(self, file: Any, exchange: HttpExchange, method: str) -> None:
        self.file, self.exchange, self.method = file, exchange, method
        self.head = b""
        self.left: int | None = None
        self.chunks: Dechunker | None = None
        self.in_body = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self.file.read1(len(buffer))
        except BaseException as error:
            self.exchange.died(error)
            raise
        buffer[: len(piece)] = piece
        self._note(piece)
        return len(piece)

    def _note(self, piece: bytes) -> None:
        if not self.in_body:
            self.head += piece
            head, found, rest = self.head.partition(b"\r\n\r\n")
            if not found:
                if not piece:
                    self.exchange.ended("failed: RemoteDisconnected: the server closed without an answer")
                return
            if head.startswith((b"HTTP/1.1 100", b"HTTP/1.0 100")):
                self.head = rest
                return
            piece, self.in_body = rest, True
            self._open(head)
            if not piece:
                return
        if self.chunks is not None:
            for data in self.chunks.feed(piece):
                self.exchange.chunk(data)
            if self.chunks.over:
                self.exchange.ended()
            elif not piece:
                self.exchange.ended("died: IncompleteRead: the connection broke")
            return
        self.exchange.chunk(piece)
        if self.left is not None:
            self.left -= len(piece)
            if self.left <= 0:
                self.exchange.ended()
            elif not piece:
                self.exchange.ended("died: IncompleteRead: the connection broke")
        elif not piece:
            self.exchange.ended()

    def _open(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        _, status, reason = (first + "  ").split(" ", 2)
        headers = [
            (name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
        ]
        self.exchange.opened(int(status), reason.strip(), headers)
        lowered = {name.lower(): value for name, value in headers}
        if self.method == "HEAD" or int(status) in {204, 304}:
            self.exchange.ended()
        elif "chunked" in lowered.get("transfer-encoding", ""):
            self.chunks = Dechunker()
        elif "content-length" in lowered:
            self.left = int(lowered["content-length"])
            if self.left == 0:
                self.exchange.ended()

    def close(self) -> None:
        if not self.closed:
            self.exchange.ended("closed")
            self.file.close()
        super().close()
