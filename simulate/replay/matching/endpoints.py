"""Whom a URL asks, and for what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})

_PROVIDERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    # alias, and the part of the path that says what is asked; what stands before it belongs to the base URL
    (
        "openai",
        re.compile(
            r"/(chat/completions|completions|responses|embeddings|models(/[^/:]+)?|moderations|"
            r"audio/(transcriptions|translations|speech)|images/\w+)/?$"
        ),
    ),
    ("anthropic", re.compile(r"/messages(/count_tokens)?/?$")),
    ("google", re.compile(r"/models/[^/]+:\w+$")),
    ("bedrock", re.compile(r"/model/[^/]+/(converse|converse-stream|invoke|invoke-with-response-stream)$")),
)


def address(url: str) -> str:
    """``host:port`` of a URL; every name of this machine is ``127.0.0.1``."""
    parts = urlsplit(url)
    return host_port(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


def host_port(host: str, port: object) -> str:
    """``host:port``, as `address` writes it."""
    return f"{'127.0.0.1' if host in LOOPBACK else host}:{port}"


@lru_cache(maxsize=4096)
def split_url(url: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Host, path and the sorted pairs of the query."""
    parts = urlsplit(url)
    pairs = tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    return (parts.hostname or ""), parts.path or "/", pairs


def endpoint_of(method: str, url: str, aliases: Mapping[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """``openai POST /chat/completions`` and the like, and the query as far as it counts."""
    host, path, pairs = split_url(url)
    alias = aliases.get(host)
    if alias is None:
        for known, pattern in _PROVIDERS:
            match = pattern.search(path)
            if match:
                secret = ("key", "api_key")  # Google's API key rides in the query
                return f"{known} {method} {match[0].rstrip('/')}", tuple(
                    pair for pair in pairs if pair[0] not in secret
                )
        alias = "localhost" if host in LOOPBACK else host
    return f"{alias} {method} {path}", pairs
