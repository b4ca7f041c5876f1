"""What our HTTP servers on 127.0.0.1 share: whom they answer, how much they read, and how long they wait.

Every page that a browser of this machine shows can send requests to 127.0.0.1, and by a name of its own that
leads there (DNS rebinding) even read the answers. So the ``Host`` has to be a name of this machine, a page
from elsewhere is refused by its ``Origin``, and no request is taken that a browser sends without asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from aiohttp import web

    Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# by the last two, programs in containers reach this machine
_NAMES = ("localhost", "host.docker.internal", "host.containers.internal")
_UNASKED = ("text/plain", "application/x-www-form-urlencoded")
PATIENCE = 60.0
"""Seconds that a client has for the head of a request, and again for its body."""


class Refused(Exception):
    """A request that is not served; carries the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def check_sender(request: web.BaseRequest) -> None:
    """Raises Refused for what a browser may have sent for a page from elsewhere."""
    if not is_local(f"//{request.headers.get('Host', '')}"):
        raise Refused(421, "this server is 127.0.0.1 or localhost, and answers to no other name")
    origin = request.headers.get("Origin")
    elsewhere = origin is not None and not is_local(origin)
    if elsewhere or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise Refused(403, "this server answers to no page from elsewhere")


def check_content_type(request: web.BaseRequest) -> None:
    """Raises Refused for a body of a type that a browser sends anywhere without asking."""
    named = request.headers.get("Content-Type")
    unasked = request.content_type in _UNASKED or named is None
    if request.method == "POST" and request.can_read_body and unasked:
        raise Refused(415, f"a request's body has a type, such as application/json, not {named or 'none'}")


def is_local(url: str) -> bool:
    """Whether an address, ``http://name:port`` or ``//name:port``, names this machine."""
    try:
        name = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    if name in _NAMES or name.endswith(".localhost"):
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return False


class Intake:
    """Reads bodies: one has at most ``limit`` bytes, and so have all together that are being read."""

    def __init__(self, limit: int, more: str = "") -> None:
        self.limit = limit
        self._more = more
        self._held = 0

    def too_long(self, what: str = "the request") -> Refused:
        """The refusal of something beyond the limit, with what raises it."""
        return Refused(413, f"{what} is longer than {self.limit >> 20} MB{self._more}")

    async def body(self, request: web.BaseRequest) -> bytes:
        """The body as sent. Joined once; ``request.read`` copies what came three times. Raises Refused."""
        chunks, size = list[bytes](), 0
        try:
            async with asyncio.timeout(PATIENCE):
                while chunk := await request.content.readany():
                    chunks.append(chunk)
                    size += len(chunk)
                    self._held += len(chunk)
                    if size > self.limit:
                        raise self.too_long()
                    if self._held > self.limit:
                        raise Refused(503, f"{self.limit >> 20} MB of other requests are being read")
        except TimeoutError:
            raise Refused(408, f"the request was not whole after {PATIENCE:g} s") from None
        finally:
            self._held -= size
        return b"".join(chunks)


@contextlib.asynccontextmanager
async def listening(
    answer: Answer, port: int, *, host: str = "127.0.0.1", shutdown: float = 1.0
) -> AsyncGenerator[int]:
    """Listen while inside, on this machine alone unless ``host`` is another address; the port. Raises OSError
    where it cannot.

    ``answer`` gets bodies as they were sent, compressed or not. ``shutdown`` is how many seconds the requests
    have at the end that are being answered."""
    from aiohttp import web  # start-up time

    heard = set[Any]()

    async def hear(request: web.BaseRequest) -> web.StreamResponse:
        heard.add(request.protocol)
        return await answer(request)

    # no web.Application: its routing costs each request as much as the rest of a short answer
    server = web.Server(hear, access_log=None, auto_decompress=False, logger=_logger())
    runner = web.ServerRunner(server, shutdown_timeout=shutdown)
    await runner.setup()
    sweeping = asyncio.create_task(_sweep(server, heard))
    try:
        await web.TCPSite(runner, host, port).start()
        yield int(runner.addresses[0][1])
    finally:
        sweeping.cancel()
        await runner.cleanup()


async def _sweep(server: web.Server, heard: set[Any]) -> None:
    """Hang up on clients that connect and never send a whole head, which aiohttp itself waits for."""
    silent = set[Any]()
    while True:
        await asyncio.sleep(PATIENCE)
        there = set(server.connections)
        heard &= there
        for connection in (silent & there) - heard:
            connection.force_close()
            if connection.transport is not None:
                connection.transport.abort()
        silent = there - heard


def _logger() -> logging.Logger:
    """For what a server cannot do; a client that goes away or sends no HTTP is nothing to print."""
    logger = logging.getLogger("simulate.local_server")
    if not logger.filters:
        logger.addFilter(_of_ours)
    return logger


def _of_ours(record: logging.LogRecord) -> bool:
    from aiohttp import http_exceptions  # start-up time

    error = record.exc_info[1] if record.exc_info else None
    broken = (ConnectionError, TimeoutError, http_exceptions.HttpProcessingError)
    return error is not None and not isinstance(error, broken)
