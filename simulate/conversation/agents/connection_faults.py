"""What is between us and an agent's endpoint, told as what it is: none of it is the agent's."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from simulate import determinism
from simulate.conversation.agents.status_faults import is_page, page_title
from simulate.errors import EnvironmentFault, Fault, NotReached
from simulate.model.outage import outage


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


_NEVER_CONNECTED = {
    "ConnectError", "ConnectTimeout",
    "ClientConnectorError", "ClientConnectorDNSError", "ConnectionTimeoutError",
}  # fmt: skip


def never_connected(error: BaseException) -> bool:
    """Whether no connection came about, so that the request cannot have reached the agent's code."""
    return any(
        type(one).__name__ in _NEVER_CONNECTED or isinstance(one, ConnectionRefusedError)
        for one in chain(error)
    )


def error_told(body: Any) -> str | None:
    """In a few words what an error in the shape of OpenAI's, or of a web framework, says of the model behind
    an endpoint."""
    if not isinstance(body, Mapping):
        return None
    known = cast("Mapping[str, Any]", body)
    inner = known.get("error", known)
    if not isinstance(inner, Mapping):
        return outage(str(inner))
    told = cast("Mapping[str, Any]", inner)
    message = told.get("message") or told.get("detail")
    code = told.get("code", told.get("status"))
    status = int(code) if str(code).isdigit() and 400 <= int(code) < 600 else None
    return outage(f"{told.get('type') or ''} {code or ''}: {message or ''}", status)


def connection_fault(error: Exception, address: str) -> Fault | None:
    """What is between us and the agent, told as what it is; None where it is nothing of that."""
    for one in chain(error):
        name, text = type(one).__name__, str(one)
        if isinstance(one, ssl.SSLError) or "SSL:" in text or "CERTIFICATE_VERIFY" in text:
            if "CERTIFICATE" in text.upper():
                return EnvironmentFault(
                    f"{address}: its certificate is not accepted: {text}",
                    hint="SSL_CERT_FILE names the authorities that are trusted",
                )
            return EnvironmentFault(
                f"{address}: no TLS connection comes about: {text}",
                hint="does the port speak plain HTTP? then write http:// in the address",
            )
        if name == "TooManyRedirects":
            return EnvironmentFault(f"{address} redirects in a loop", hint="correct the address")
        if name == "ProxyError":
            hint = "look at HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
            return EnvironmentFault(f"{address}: the proxy in between refuses: {text}", hint=hint)
        strange = name in ("BadStatusLine", "BadHttpMessage", "BadHttpMethod") or (
            name in ("RemoteProtocolError", "LocalProtocolError") and "illegal" in text
        )
        if strange:
            speaks = r"\x15\x03" in text or r"\x16\x03" in text
            return EnvironmentFault(
                f"{address}: what listens there does not speak {'plain ' if speaks else ''}HTTP: {text}",
                hint="it speaks TLS: write https:// in the address" if speaks else "correct the address",
            )
        if name in ("UnsupportedProtocol", "InvalidURL", "InvalidUrlRedirectClientError"):
            return EnvironmentFault(f"{address}: it leads to an address that is none: {text}")
    if never_connected(error):
        text = " ".join(map(str, chain(error)))
        if "Name or service" in text or "nodename" in text or "name resolution" in text:
            return NotReached(f"the host of {address} is unknown", hint="correct its address")
        return NotReached(f"nothing listens at {address}", hint="start the agent, or correct its address")
    return None


_COMPLETE = ("connection.connect_tcp.complete", "connection.start_tls.complete")


def watching(opened: list[float]) -> Callable[[Any], Awaitable[None]]:
    """A hook for the requests of a client like httpx's: adds to ``opened`` when a connection comes about, on
    the conversation's clock."""
    clock = determinism.current().clock

    async def watch(event: str, _: Any) -> None:
        if event in _COMPLETE:
            opened.append(clock.monotonic())

    async def hook(request: Any) -> None:
        request.extensions = {**request.extensions, "trace": watch}

    return hook


async def refuse_pages(response: Any, address: str) -> None:
    """Raise where an answer is a page for people: of a login, a proxy or a hotel's network."""
    if not is_page(response.headers):
        return
    raise page_fault((await response.aread()).decode("utf-8", "replace"), address)


def page_fault(page: str, address: str) -> EnvironmentFault:
    """What to say of a page for people."""
    return EnvironmentFault(
        f"{address} answered a web page{page_title(page)} instead of JSON",
        hint="a login, a proxy or another server is in the way; is the address that of the agent?",
    )


def is_whole_page(text: str) -> bool:
    """Whether a text is a page for people from its first character on."""
    return text.lstrip()[:14].lower().startswith(("<!doctype html", "<html"))


async def other_protocol(address: str) -> EnvironmentFault | None:
    """What listens at a port that closed the connection without an answer, where it speaks no HTTP."""
    parts = urlsplit(address)
    if parts.scheme != "http":
        return None
    if await _heard(parts.hostname, parts.port or 80, tls=True) is not None:
        return EnvironmentFault(
            f"{address} closed the plain connection: it speaks TLS", hint="write https:// in the address"
        )
    said = await _heard(parts.hostname, parts.port or 80)
    if not said or said.startswith(b"HTTP/"):
        return None
    return EnvironmentFault(
        f"{address}: what listens there does not speak HTTP: it says {said[:60]!r}",
        hint="correct the address",
    )


async def _heard(host: str | None, port: int, *, tls: bool = False) -> bytes | None:
    """What a server says to a question that no agent answers; None where no connection comes about."""
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    said: bytes | None = None
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            said = b""
            writer.write(b"OPTIONS * HTTP/1.0\r\n\r\n")
            said = await reader.read(100)
            writer.close()
    return said
