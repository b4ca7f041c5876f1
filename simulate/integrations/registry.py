"""The agent's address picks the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Literal

from simulate.conversation.agents.address import VOICE, scheme_of
from simulate.conversation.engine import Engine
from simulate.errors import AddressError, MissingExtra


def engine_for(
    agent: str | Callable[..., Any],
    medium: Literal["text", "voice"],
    options: Mapping[str, Any] | None = None,
    *,
    root: Path | None = None,
) -> Engine:
    """The engine that carries this medium to this agent.

    ``options`` are those of the agent's entry in ``[tool.simulate.agents]``. Raises AddressError where the
    two don't fit, and MissingExtra where what the engine needs is not installed."""
    scheme = "python" if not isinstance(agent, str) else scheme_of(agent)
    if medium == "text" and scheme not in VOICE:
        from simulate.conversation.cloud_engine import CloudEngine

        return CloudEngine(agent, options, root=root)
    if medium == "voice" and scheme in ("pipecat", "ws", "wss"):
        with _extra("voice"):
            from simulate.integrations.pipecat.engine import PipecatEngine

        return PipecatEngine(str(agent), root=root, **(options or {}))
    if medium == "voice" and scheme == "livekit":
        with _extra("voice"):
            from simulate.integrations.livekit.engine import LiveKitEngine

        return LiveKitEngine(str(agent), root=root, **(options or {}))
    if medium == "text":
        raise AddressError(f"{agent} is an agent that speaks", hint="its scenarios need `medium: voice`")
    raise AddressError(
        f"{agent} is an agent that writes, and the scenario is `medium: voice`",
        hint="a voice agent's address begins with livekit:, pipecat: or ws:",
    )


@contextlib.contextmanager
def _extra(extra: str) -> Generator[None]:
    """Name the extra to install where one of its packages is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "simulate":
            raise
        raise MissingExtra(f"{error.name}, which calls by voice need,", extra) from error
