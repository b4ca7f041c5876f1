"""The agent's address picks the engine."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from simulate.conversation.engine import Engine
from simulate.errors import AddressError, MissingExtra
from simulate.model.agent_address import KINDS, VOICE_SCHEMES, Medium, kind_of


def engine_for(
    agent: str | Callable[..., Any],
    medium: Medium,
    options: Mapping[str, Any] | None = None,
    *,
    root: Path | None = None,
) -> Engine:
    """The engine that carries this medium to this agent.

    ``options`` are those of the agent's entry in ``[tool.simulate.agents]``. Raises AddressError where the
    two don't fit, and MissingExtra where what the engine needs is not installed."""
    if not isinstance(agent, str) and medium == "voice":
        raise AddressError(
            f"{agent} is an agent that writes, and the scenario is `medium: voice`",
            hint=f"a voice agent's address begins with {VOICE_SCHEMES}",
        )
    templated = bool(options and options.get("request"))
    kind = kind_of(agent, medium, templated=templated) if isinstance(agent, str) else KINDS["python"]
    module, _, name = kind.engine.partition(":")
    try:
        engine = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "simulate":
            raise
        raise MissingExtra(f"{error.name}, which calls by voice need,", "voice") from error
    made: Engine = engine(agent, root=root, **(options or {}))
    return made
