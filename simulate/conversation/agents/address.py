"""From an address to an adapter, and from a medium and an address to the engine that can carry it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from simulate.conversation.agents.adapter import AgentAdapter
from simulate.errors import AddressError

SCHEMES = {
    "python": "python:module:callable, or python:path/to/file.py:callable",
    "http": "http://host:port/v1, an OpenAI-compatible endpoint",
    "https": "https://host/v1, an OpenAI-compatible endpoint",
    "livekit": "livekit:agent-name, or livekit:path/to/agent.py (voice)",
    "pipecat": "pipecat:module:bot (voice)",
    "ws": "ws://host:port, a Pipecat bot in another process (voice)",
    "wss": "wss://host, a Pipecat bot in another process (voice)",
}
VOICE = {"livekit", "pipecat", "ws", "wss"}


def scheme_of(address: str) -> str:
    """The part before the first colon; refused with the list of those that exist."""
    scheme = address.partition(":")[0]
    if ":" not in address or scheme not in SCHEMES:
        known = "\n  ".join(SCHEMES.values())
        raise AddressError(f"{address!r} is no agent's address; one is\n  {known}")
    return scheme


def text_adapter(
    agent: str | Callable[..., Any], options: Mapping[str, Any] | None = None, root: Path | None = None
) -> AgentAdapter:
    """The adapter to an agent that speaks text: a callable, or an address.

    ``options`` are those of ``[tool.simulate.agents]``: ``model``, ``headers``, ``api_key``, ``stream``."""
    from simulate.conversation.agents.python import PythonAdapter, load

    if not isinstance(agent, str):
        return PythonAdapter(agent)
    scheme = scheme_of(agent)
    if scheme == "python":
        return PythonAdapter(load(agent.partition(":")[2], agent, root), agent)
    if scheme in ("http", "https"):
        from simulate.conversation.agents.http import HttpAdapter

        return HttpAdapter(agent, **(options or {}))
    raise AddressError(
        f"{agent} is an agent that speaks, and this scenario is text", hint="set `medium: voice`"
    )
