"""Every kind of address that an agent under test may have, and which engine carries conversations with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simulate.errors import AddressError

Medium = Literal["text", "voice"]


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


_CLOUD = "simulate.conversation.cloud_engine:CloudEngine"
_LIVEKIT = "simulate.integrations.livekit.engine:LiveKitEngine"
_PIPECAT = "simulate.integrations.pipecat.engine:PipecatEngine"
KINDS = {
    "python": AddressKind(
        "python:module:callable, or python:path/to/file.py:callable", "text", _CLOUD, outside=False
    ),
    "http": AddressKind("http://host:port/v1, an OpenAI-compatible endpoint", "text", _CLOUD, outside=True),
    "https": AddressKind("https://host/v1, an OpenAI-compatible endpoint", "text", _CLOUD, outside=True),
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
}


def scheme_of(address: str) -> str:
    """The part before the first colon; raises AddressError with the list of those that exist."""
    scheme, colon, _ = address.partition(":")
    if not colon or scheme not in KINDS:
        known = "\n  ".join(kind.form for kind in KINDS.values())
        raise AddressError(f"{address!r} is not an agent's address; one is\n  {known}")
    return scheme


def kind_of(address: str, medium: Medium) -> AddressKind:
    """The kind of an address; raises AddressError where there is none, or it speaks another ``medium``."""
    kind = KINDS[scheme_of(address)]
    if kind.medium == medium:
        return kind
    if medium == "text":
        raise AddressError(f"{address} is an agent that speaks", hint="its scenarios need `medium: voice`")
    raise AddressError(
        f"{address} is an agent that writes, and the scenario is `medium: voice`",
        hint="a voice agent's address begins with livekit:, pipecat: or ws:",
    )
