"""The exceptions with which a request or a connection of aiohttp's failed, made again."""

from __future__ import annotations

import builtins
import errno
import re
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.client_reqrep import ConnectionKey


def exception_of(url: str, name: str, text: str) -> Exception:
    """The exception that was recorded, as aiohttp's own class."""
    kind: Any = getattr(aiohttp, name, None) or getattr(builtins, name, None)
    if not isinstance(kind, type) or not issubclass(kind, (aiohttp.ClientError, OSError)):
        return aiohttp.ClientConnectionError(text)
    if issubclass(kind, aiohttp.ClientConnectorError):
        return kind(_connection_key(url), _os_error(text))
    if issubclass(kind, aiohttp.ClientResponseError):
        return aiohttp.ClientConnectionError(text)
    return kind(text)


def _connection_key(url: str) -> ConnectionKey:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    known = {"host": parts.hostname or "", "port": parts.port or (443 if secure else 80), "is_ssl": secure}
    return ConnectionKey(**{name: known.get(name, name == "ssl" or None) for name in ConnectionKey._fields})  # type: ignore[arg-type]


def _os_error(text: str) -> OSError:
    """From what aiohttp says: ``Cannot connect to host … [Connect call failed (…)]``."""
    inside = re.search(r"\[(.*)\]$", text, re.DOTALL)
    told = inside[1] if inside else text
    return OSError(errno.ECONNREFUSED if told.startswith("Connect call failed") else None, told)
