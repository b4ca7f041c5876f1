"""Whose fault an HTTP status is, and what to do about it; one rule for every agent behind HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulate.errors import AgentFault, EnvironmentFault, Fault
from simulate.model.outage import outage, refuses
from simulate.model.text import shorten

if TYPE_CHECKING:
    import aiohttp

TRIES = 3
"""Attempts at one request. Only those that cannot have reached the agent's code are made again: a refused
connection, and 429, with which a server says that it did nothing."""
_KEY = "set the agent's key in [tool.simulate.agents] as env:NAME"
_HINTS = {
    401: _KEY,
    403: _KEY,
    404: "correct the agent's address",
    405: "correct the agent's address",
    407: "a proxy is in the way: look at HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
    429: "run fewer at once with --jobs",
}


def status_fault(
    address: str,
    status: int,
    detail: str = "",
    *,
    not_found: str | None = None,
    page: str | None = None,
    model_failed: bool | None = None,
) -> Fault:
    """The fault that a status comes to.

    Args:
        address: The agent's.
        status: What it answered: a status that is no success.
        detail: What the body says of it.
        not_found: What to do where there is nothing at the address.
        page: The body, where it is a page for people.
        model_failed: Whether the body says that the agent's model failed; read from ``detail`` unless given.
    """
    message = f"{address} answered {status}"
    if page is not None:
        message += f" with a web page{page_title(page)}"
    elif detail:
        message += f": {detail}"
    if status < 400:
        return EnvironmentFault(message, hint="it redirects without saying where to; correct the address")
    if "HTTPS port" in message or "HTTPS server" in message:
        return EnvironmentFault(message, hint="it speaks TLS: write https:// in the address")
    if model_failed is None:
        model_failed = outage(detail) is not None
    # 500 is what a program answers that raised; what it says of its model counts
    if (refuses(status) and status != 500) or model_failed:
        hint = not_found if status in (404, 405) and not_found else _HINTS.get(status)
        return EnvironmentFault(message, hint=hint)
    if page is not None and status != 500:
        return EnvironmentFault(message, hint="is the address that of the agent?")
    return AgentFault(message)


def handshake_fault(address: str, error: aiohttp.WSServerHandshakeError) -> Fault:
    """Whose fault it is that a server took no WebSocket."""
    if error.status < 300:
        return EnvironmentFault(
            f"{address} speaks HTTP and no WebSocket", hint="correct the agent's address or `path`"
        )
    return status_fault(address, error.status, error.message)


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether a response is a page for people: of a login, a proxy or a hotel's network."""
    return headers.get("content-type", "").lower().startswith(("text/html", "application/xhtml"))


def page_title(page: str) -> str:
    """`` (its title)``; nothing where it has none."""
    found = re.search(r"<title[^>]*>(.*?)</title", page, re.IGNORECASE | re.DOTALL)
    return "" if found is None else f" ({shorten(found[1].strip(), 80)})"
