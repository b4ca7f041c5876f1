"""Every kind of address that an agent under test may have, and which engine carries conversations with it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal

from simulate.errors import AddressError
from simulate.model.web_url import url_problem

Medium = Literal["text", "voice"]
Held = Literal["", "url", "command", "url or command", "socket url"]


@dataclass(frozen=True, slots=True)
class AddressKind:
    """One scheme; a new one is a line below and a class that the line names."""

    form: str
    """As a person would write it."""
    medium: Medium
    engine: str
    """``module:class``, imported for the first agent of the kind."""
    outside: bool
    """The agent runs in another process, where time cannot be virtual."""
    adapter: str = ""
    """``module:class`` of a text agent's adapter, likewise."""
    holds: Held = ""
    """What must follow the scheme."""
    takes_all: bool = False
    """Whether it is given what was said before (``history:``) and files (``attachments:``)."""


_CLOUD = "simulate.conversation.cloud_engine:CloudEngine"
_LIVEKIT = "simulate.integrations.livekit.engine:LiveKitEngine"
_PIPECAT = "simulate.integrations.pipecat.engine:PipecatEngine"
_SOCKETS = "simulate.integrations.sockets.engine:SocketEngine"
_AGENTS = "simulate.conversation.agents"


def _text(
    form: str,
    adapter: str,
    holds: Literal["", "url", "command", "url or command"] = "",
    *,
    takes_all: bool = False,
) -> AddressKind:
    return AddressKind(
        form,
        "text",
        _CLOUD,
        outside=True,
        adapter=f"{_AGENTS}.{adapter}",
        holds=holds,
        takes_all=takes_all,
    )


def _socket(form: str) -> AddressKind:
    return AddressKind(form, "voice", _SOCKETS, outside=True, holds="socket url")


KINDS = {
    "python": AddressKind(
        "python:module:callable, or python:path/to/file.py:callable", "text", _CLOUD, outside=False
    ),
    "http": _text("http://host:port/v1, an OpenAI-compatible endpoint", "http:HttpAdapter", takes_all=True),
    "https": _text("https://host/v1, an OpenAI-compatible endpoint", "http:HttpAdapter", takes_all=True),
    "responses": _text(
        "responses:http://host/v1, an endpoint of OpenAI's Responses API",
        "responses:ResponsesAdapter",
        "url",
        takes_all=True,
    ),
    "anthropic": _text(
        "anthropic:http://host/v1, an endpoint of Anthropic's Messages API",
        "anthropic_messages:AnthropicAdapter",
        "url",
        takes_all=True,
    ),
    "a2a": _text(
        "a2a:http://host:port, an agent with an A2A agent card", "a2a_agent:A2AAdapter", "url", takes_all=True
    ),
    "mcp": _text(
        "mcp:http://host/mcp or mcp:command, an agent that an MCP server offers as a tool",
        "mcp_tool:McpAdapter",
        "url or command",
    ),
    "exec": _text("exec:command, a program on stdin and stdout", "program:ProgramAdapter", "command"),
    "livekit": AddressKind(
        "livekit:agent-name, or livekit:path/to/agent.py (voice)", "voice", _LIVEKIT, outside=True
    ),
    "pipecat": AddressKind("pipecat:module:bot (voice)", "voice", _PIPECAT, outside=False),
    "ws": AddressKind(
        "ws://host:port, a Pipecat bot in another process (voice)", "voice", _PIPECAT, outside=True
    ),
    "wss": AddressKind(
        "wss://host, a Pipecat bot in another process (voice)", "voice", _PIPECAT, outside=True
    ),
    "twilio": _socket("twilio:ws://host:port/path, an agent that takes Twilio's Media Streams (voice)"),
    "realtime": _socket("realtime:wss://host/v1/realtime?model=…, OpenAI's Realtime protocol (voice)"),
    "gemini": _socket("gemini:wss://host/ws/…BidiGenerateContent, Gemini's Live API (voice)"),
    "pcm": _socket("pcm:ws://host:port/path, plain samples over a WebSocket (voice)"),
}
_WEB = _text("http://host:port, with a `request` in pyproject.toml", "web:WebAdapter")
_SOCKET = _text("ws://host:port, with a `request` in pyproject.toml", "web_socket:WebSocketAdapter")
_TEMPLATED = {"http": _WEB, "https": _WEB, "ws": _SOCKET, "wss": _SOCKET}
"""What an address is where its entry says by a template how to speak with it."""
VOICE_SCHEMES = ", ".join(f"{scheme}:" for scheme, kind in KINDS.items() if kind.medium == "voice")
MAY_HAVE_REQUEST = frozenset({*_TEMPLATED, "exec", "mcp"})


def scheme_of(address: str) -> str:
    """The part before the first colon; raises AddressError with the list of those that exist."""
    scheme, colon, _ = address.partition(":")
    if not colon or scheme not in KINDS:
        known = "\n  ".join(kind.form for kind in KINDS.values())
        raise AddressError(f"{address!r} is not an agent's address; one is\n  {known}")
    return scheme


def target_of(address: str) -> str:
    """The URL or command in an address: all of a URL's own, else what follows the scheme."""
    return address.partition(":")[2] if KINDS[scheme_of(address)].holds else address


def is_url(target: str) -> bool:
    return target.startswith(("http://", "https://"))


def names_code(address: str) -> bool:
    """Whether reaching the agent at an address imports a module or starts a program that it names."""
    scheme, colon, target = address.partition(":")
    if not colon or scheme not in KINDS:
        return False
    if scheme == "livekit":
        return target.endswith(".py")
    return scheme in ("python", "pipecat", "exec") or (scheme == "mcp" and not is_url(target))


def check_address(address: str) -> str:
    """The address, if its form is right; raises AddressError."""
    scheme = scheme_of(address)
    kind, target = KINDS[scheme], target_of(address)
    if (problem := _problem(scheme, kind.holds, target)) is not None:
        raise AddressError(f"{address!r} {problem}; an address is\n  {kind.form}")
    return address


_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_CODE = re.compile(rf"(?:[^\s:/\\]+|.*\.py):{_NAME}")


def _problem(scheme: str, holds: Held, target: str) -> str | None:
    """Why an address reaches nothing, whatever there is."""
    if scheme in ("python", "pipecat"):
        named = target.removeprefix(f"{scheme}:")
        return None if _CODE.fullmatch(named) else "names no callable in a module or file"
    if scheme == "livekit":
        return None if target.removeprefix("livekit:").strip() else "names no agent"
    if holds == "socket url":
        return url_problem(target, ("ws", "wss"))
    if not holds:
        return url_problem(target, (scheme,))
    if "url" in holds and is_url(target):
        return url_problem(target)
    try:
        words = shlex.split(target) if "command" in holds else []
    except ValueError as error:
        return f"is not a command line ({error})"
    return None if words else f"lacks its {holds}"


def kind_of(address: str, medium: Medium, *, templated: bool = False) -> AddressKind:
    """The kind of an address; raises AddressError where there is none, or it speaks another ``medium``.

    ``templated``: its entry in pyproject.toml has a ``request``, so that ``ws://`` may carry text."""
    scheme = scheme_of(check_address(address))
    kind = KINDS[scheme]
    if templated and medium == "text" and scheme in _TEMPLATED:
        return _TEMPLATED[scheme]
    if kind.medium == medium:
        return kind
    if medium == "text":
        hint = "its scenarios need `medium: voice`"
        if scheme in _TEMPLATED:
            hint += "; for text over a WebSocket, give it a `request` in [tool.simulate.agents]"
        raise AddressError(f"{address} is an agent that speaks", hint=hint)
    raise AddressError(
        f"{address} is an agent that writes, and the scenario is `medium: voice`",
        hint=f"a voice agent's address begins with {VOICE_SCHEMES}",
    )
