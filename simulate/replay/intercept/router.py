"""Which conversation a request belongs to, and what is to become of it.

The patched clients ask `route` before anything goes out. A request made without a conversation's context
while a replay runs is refused and named: it must not go live, and it must not take another's answer.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from simulate.replay.cassette.cassette import Reply
from simulate.replay.matching.divergence import refusal
from simulate.replay.player import Player
from simulate.replay.session import Exchange, Recorder, current

if TYPE_CHECKING:
    from traceback import FrameSummary

players: list[Player] = []
"""The replays that run in this process at this moment."""

_TELEMETRY = re.compile(
    r"/v1/(traces|metrics|logs)/?$|/v1/projects/[^/]+/traces$"
    r"|/api/public/(otel|ingestion)|/otel/v1/|/tracer/v1/"
    r"|/opentelemetry\.proto\.|/api/v2/spans$|/api/traces$"
    r"|/runs/(batch|multipart)$|^/batch/?$|/api/\d+/(envelope|store)/?$|/v0\.\d/traces$|/telemetry/proxy/"
)
"""Where exporters of traces, metrics, logs and usage statistics post to: OTLP, Langfuse, LangSmith, traceAI,
Zipkin, Jaeger, PostHog, Sentry, Datadog."""

_HOUSEKEEPING = re.compile(r"/model_prices_and_context_window\.json$")
"""What a library fetches for itself, once a process: LiteLLM's price list. It does without."""

_ABSENT = Reply(404, "Not Found", [("content-length", "0")])
_ACCEPTED = Reply(200, "OK", [("content-type", "application/json"), ("content-length", "2")], [(0.0, b"{}")])


def is_telemetry(method: str, url: str, headers: Mapping[str, str]) -> bool:
    """Whether a request carries telemetry, which never enters a cassette."""
    if method.upper() != "POST":
        return False
    path = urlsplit(url).path
    return bool(_TELEMETRY.search(path)) and not path.endswith("/chat/completions")


def _is_mcp(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the SDK's MCP client sends this; it is recorded at its session instead."""
    if "mcp" not in sys.modules:
        return False
    names = {name.lower() for name in headers}
    return bool(names & {"mcp-session-id", "mcp-protocol-version"}) or (
        b'"jsonrpc"' in body and b'"method":"initialize"' in body
    )


def address(url: str) -> str:
    """``host:port`` of a URL."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def watching() -> bool:
    """Whether anything has to be asked at all; false in a process whose recordings are over."""
    return bool(players) or current.get() is not None


def route(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Exchange | None:
    """What becomes of a request: None lets it out unseen; otherwise play or record the exchange."""
    session = current.get()
    if isinstance(session, Recorder):
        if address(url) in session.allow or is_telemetry(method, url, headers) or _is_mcp(headers, body):
            return None
        if _HOUSEKEEPING.search(url):
            return None
        return session.begin(method, url, headers, body)
    if session is None and not players:
        return None
    allowed = session.allow if session else set[str]().union(*(player.allow for player in players))
    if address(url) in allowed:
        return None
    if is_telemetry(method, url, headers):
        return Exchange(reply=_ACCEPTED)  # nobody's business here: dropped, and the exporter is content
    if _HOUSEKEEPING.search(url):
        return Exchange(reply=_ABSENT)
    if session is not None:
        if session.lets_own_out() and not session.knows(method, url, headers, body):
            return None
        return session.begin(method, url, headers, body)
    text = f"{method} {url.split('?')[0]} from outside of any conversation ({caller()})"
    for player in players:
        player.refuse(text)
    return Exchange(reply=refusal(text))


def refuse(what: str) -> None:
    """Tell the replay that concerns it (all that run, where none is known) of an attempt to get out."""
    session = current.get()
    text = f"{what} ({caller()})"
    for player in [session] if isinstance(session, Player) else list(players):
        player.refuse(text)


def caller() -> str:
    """The place in the agent's own code that a request comes from, as ``file:line in function``."""
    frames: list[FrameSummary] = [
        frame
        for frame in traceback.extract_stack()
        if not re.search(
            r"/simulate/(replay|engines|agents)/|/lib/python3|site-packages|<frozen", frame.filename
        )
    ]
    if not frames:
        every = [frame for frame in traceback.extract_stack() if "/simulate/replay/" not in frame.filename]
        frames = [frame for frame in every if "site-packages" in frame.filename] or every
    last = frames[-1]
    return f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno} in {last.name}"
