"""Who sends a request: told by the stack of the code that sends it, never by where it goes.

Telemetry is what an exporter sends. It never enters a cassette, and a replay swallows it: it is none of the
agent's behaviour, and an exporter's thread belongs to no conversation.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator
from types import FrameType

from simulate.replay.matching.endpoints import split_url
from simulate.replay.matching.request import HttpRequest

_EXPORTING = re.compile(
    r"opentelemetry\.exporter\.|opentelemetry\.sdk\.(_shared_internal|\w+(\._internal)?\.export)\b"
    r"|sentry_sdk\.transport$|posthog\.consumer$|ddtrace\.internal\.writer|langsmith\._internal\._background_thread$"
)
"""Modules that do nothing but export: whatever they call is telemetry."""

_SDKS = (
    "langfuse",
    "langsmith",
    "posthog",
    "fi_instrumentation",
    "fi",
    "ddtrace",
    "sentry_sdk",
    "crewai",
    "litellm",
)
_TELEMETRY = re.compile(
    r"/v1/(traces|metrics|logs)/?$|/v1/projects/[^/]+/traces$"
    r"|/api/public/(otel|ingestion)|/otel/v1/|/tracer/v1/"
    r"|/opentelemetry\.proto\.|/api/v2/spans$|/api/traces$"
    r"|/runs(/batch|/multipart)?$|^/batch/?$|/api/\d+/(envelope|store)/?$|/v0\.\d/traces$|/telemetry/proxy/"
)
"""Where SDKs that do other things, too, post their telemetry."""

_CLIENTS = frozenset(
    [
        "simulate",
        "httpx",
        "httpx2",
        "httpcore",
        "requests",
        "urllib3",
        "urllib",
        "http",
        "aiohttp",
        "socket",
        "ssl",
        "backoff",
        "tenacity",
        "contextlib",
        "contextvars",
        "functools",
        "asyncio",
        "concurrent",
        "threading",
        "anyio",
        "logging",
    ]
)
"""Packages between a sender and the socket."""

_PRICES = "/model_prices_and_context_window.json"
_STANDARD = re.compile(r"[\\/]lib[\\/]python3|<frozen")


def carries_telemetry(request: HttpRequest) -> bool:
    """Whether the request that this code is about to send is an exporter's."""
    if is_exporting():
        return True
    if request.method != "POST" or not _TELEMETRY.search(split_url(request.url)[1]):
        return False
    return _sender() in _SDKS


def is_exporting() -> bool:
    """Whether an exporter of telemetry called this code."""
    # asked for each request, so a plain loop
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        if _exports(frame.f_globals.get("__name__")):
            return True
        frame = frame.f_back
    return False


@functools.cache
def _exports(module: object) -> bool:
    return isinstance(module, str) and _EXPORTING.match(module) is not None


def is_housekeeping(request: HttpRequest) -> bool:
    """Whether a library fetches something for itself, once a process: LiteLLM its price list."""
    return request.url.endswith(_PRICES) and _sender() == "litellm"


def _sender() -> str:
    """The package nearest to the HTTP client whose request this is."""
    packages = (_module(frame).partition(".")[0] for frame in _frames())
    return next((name for name in packages if name not in _CLIENTS), "")


def _frames() -> Iterator[FrameType]:
    """From the innermost outwards."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        yield frame
        frame = frame.f_back


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


_HARNESS = ("simulate.replay.", "simulate.conversation.", "simulate.integrations.")


def place_in_agent() -> str:
    """The line in the agent's own code that a request comes from, as ``file:line in function``."""
    frames = [frame for frame in _frames() if not _module(frame).startswith("simulate.replay.")]
    libraries = [frame for frame in frames if "site-packages" in frame.f_code.co_filename]
    own = [
        frame
        for frame in frames
        if frame not in libraries
        and not _STANDARD.search(frame.f_code.co_filename)
        and not _module(frame).startswith(_HARNESS)
    ]
    frame = (own or libraries or frames)[0]
    name = re.split(r"[\\/]", frame.f_code.co_filename)[-1]
    return f"{name}:{frame.f_lineno} in {frame.f_code.co_name}"
