"""Whom a URL asks, and for what.

A model's endpoint goes by many base URLs: the provider's, a gateway's, a stub's, the playback server's. So
the base URL is left out of what a request is matched by where the host is a known provider's, where the
environment configures it as one, or where path, method and body are all those of a provider's API. Where
all that is known of two base URLs is the last, neither answers for the other: they may be two services.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})
Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation of a provider's API: ``path`` is its end, ``fields`` what its JSON body must name."""

    provider: str
    method: str
    path: re.Pattern[str]
    fields: tuple[bytes, ...] = ()


def _operation(provider: str, method: str, path: str, fields: str = "") -> _Operation:
    names = tuple(f'"{name}"'.encode() for name in fields.split())
    return _Operation(provider, method, re.compile(f"{path}/?$"), names)


_OPERATIONS = (
    _operation("openai", "POST", r"(/deployments/[^/]+)/(chat/completions|completions|embeddings|responses)"),
    _operation("openai", "POST", r"/chat/completions", "model messages"),
    _operation("openai", "POST", r"/completions", "model prompt"),
    _operation("openai", "POST", r"/responses", "model"),
    _operation("openai", "POST", r"/(embeddings|moderations)", "input"),
    _operation("openai", "POST", r"/audio/(transcriptions|translations|speech)"),
    _operation("openai", "POST", r"/images/\w+"),
    _operation("openai", "GET", r"/models(/[^/:]+)?"),
    _operation("anthropic", "POST", r"/messages(/count_tokens)?", "model messages"),
    _operation("google", "POST", r"/models/[^/]+:\w+"),
    _operation(
        "bedrock", "POST", r"/model/[^/]+/(converse|converse-stream|invoke|invoke-with-response-stream)"
    ),
    _operation("openai", "WEBSOCKET", r"/(realtime|responses)"),
    _operation("google", "WEBSOCKET", r"/ws/google\.[\w.]+/?\w*BidiGenerate\w+"),
    _operation("deepgram", "WEBSOCKET", r"/(listen|speak|agent/converse)"),
    _operation("elevenlabs", "WEBSOCKET", r"/text-to-speech/[^/]+/(multi-)?stream-input"),
    _operation("elevenlabs", "WEBSOCKET", r"/(speech-to-text/realtime|convai/conversation)"),
    _operation("cartesia", "WEBSOCKET", r"/(tts|stt)/websocket"),
)
_PROVIDERS = frozenset(operation.provider for operation in _OPERATIONS)
_HOSTS = re.compile(
    r"(^|\.)(api\.openai\.com|openai\.azure\.com|cognitiveservices\.azure\.com|services\.ai\.azure\.com"
    r"|api\.anthropic\.com|(generativelanguage|aiplatform)\.googleapis\.com|api\.(groq|deepseek|mistral|fireworks"
    r"|perplexity|cerebras|cohere|together|x)\.(com|ai|xyz)|openrouter\.ai|router\.huggingface\.co)$"
    r"|-aiplatform\.googleapis\.com$|^bedrock-runtime[.-].*\.amazonaws\.com$"
)
_PLAIN_PREFIX = re.compile(r"(/(v\d+\w*|openai|anthropic|api|inference|compatible-mode))*")
"""What a base URL's path is made of where it names nobody's forms, channels or tenants."""

_BASE_URLS = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "AZURE_OPENAI_ENDPOINT")
_CONFIGURING = ("_BASE_URL", "_API_BASE", "_ENDPOINT")
_CREDENTIALS = ("key", "api_key", "access_token", "authorization", "single_use_token", "token", "xi-api-key")
"""Keys that ride in the query: Google's, and those of browsers' WebSockets, which have no headers."""


def address(url: str) -> str:
    """``host:port`` of a URL; every name of this machine is ``127.0.0.1``."""
    parts = urlsplit(url)
    return host_port(
        parts.hostname or "", parts.port or (443 if parts.scheme in {"https", "wss", "grpcs"} else 80)
    )


def host_port(host: str, port: object) -> str:
    """``host:port``, as `address` writes it."""
    return f"{'127.0.0.1' if host in LOOPBACK else host}:{port}"


@lru_cache(maxsize=4096)
def split_url(url: str) -> tuple[str, str, Query]:
    """Host, path and the sorted pairs of the query."""
    parts = urlsplit(url)
    pairs = tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    return (parts.hostname or ""), parts.path or "/", pairs


def endpoint_of(method: str, url: str, body: bytes, aliases: Mapping[str, str]) -> tuple[str, Query]:
    """``openai POST /chat/completions``, or host, method and path in full; and the query as far as it counts.

    ``method`` is in upper case, ``body`` as sent or as JSON; ``aliases`` name hosts."""
    host, path, pairs = split_url(url)
    alias = aliases.get(host)
    if alias is None:
        found = _operation_of(method, url)
        if found is not None:
            operation, asked, prefix = found
            if _fits(operation, prefix, body) or _HOSTS.search(host) or _is_configured(url, _BASE_URLS):
                query = tuple(pair for pair in pairs if pair[0] not in _CREDENTIALS)
                return f"{operation.provider} {method} {asked}", query
        alias = "localhost" if host in LOOPBACK else host
    return f"{alias} {method} {path}", pairs


def base_of(endpoint: str, url: str) -> str | None:
    """Host and path of the base URL that a model's endpoint was asked by; None for any other."""
    words = endpoint.split(" ")
    if words[0] not in _PROVIDERS:
        return None
    host, path, _ = split_url(url)
    return ("localhost" if host in LOOPBACK else host) + path.rstrip("/").removesuffix(words[-1])


@lru_cache(maxsize=4096)
def _operation_of(method: str, url: str) -> tuple[_Operation, str, str] | None:
    """The operation that the end of a path names, that end, and what stands before it."""
    path = split_url(url)[1]
    for operation in _OPERATIONS:
        match = operation.path.search(path)
        if match and operation.method == method:
            return operation, match[0].rstrip("/"), path[: match.start()]
    return None


def _fits(operation: _Operation, prefix: str, body: bytes) -> bool:
    return _PLAIN_PREFIX.fullmatch(prefix) is not None and all(name in body for name in operation.fields)


def is_models(url: str) -> bool:
    """Whether a model provider is known to be there: by its host, or since the environment says so. What is
    on this machine (a stub, a proxy, the playback server) is taken for one."""
    host = split_url(url)[0]
    names = [name for name in os.environ if name.endswith(_CONFIGURING)]
    return host in LOOPBACK or _HOSTS.search(host) is not None or _is_configured(url, names)


def _is_configured(url: str, names: Iterable[str]) -> bool:
    bases = (os.environ.get(name) for name in names)
    return any(base and url.startswith(base.rstrip("/") + "/") for base in bases)
