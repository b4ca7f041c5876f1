"""Simulate callers against an agent, capture its trace in production shape, judge it, diff it, replay it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulate.tools import Serving, ToolFailed, serving, tool

if TYPE_CHECKING:
    from simulate.conversation.cloud_engine import CloudEngine
    from simulate.integrations.livekit.engine import LiveKitEngine
    from simulate.integrations.pipecat.engine import PipecatEngine
    from simulate.model.identity import ConversationStart
    from simulate.model.outcome import Outcome
    from simulate.model.persona import Persona
    from simulate.model.scenario import Scenario
    from simulate.run import run, run_sync

__all__ = [
    "CloudEngine",
    "ConversationStart",
    "LiveKitEngine",
    "Outcome",
    "Persona",
    "PipecatEngine",
    "Scenario",
    "Serving",
    "ToolFailed",
    "run",
    "run_sync",
    "serving",
    "tool",
]

_HOME = {
    "CloudEngine": "simulate.conversation.cloud_engine",
    "ConversationStart": "simulate.model.identity",
    "LiveKitEngine": "simulate.integrations.livekit.engine",
    "Outcome": "simulate.model.outcome",
    "Persona": "simulate.model.persona",
    "PipecatEngine": "simulate.integrations.pipecat.engine",
    "Scenario": "simulate.model.scenario",
    "run": "simulate.run",
    "run_sync": "simulate.run",
}


def __getattr__(name: str) -> Any:
    # an agent that imports us for @simulate.tool must not pay for the rest
    if name not in _HOME:
        raise AttributeError(f"module 'simulate' has no attribute {name!r}")
    import importlib  # start-up time of that agent

    try:
        return getattr(importlib.import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "simulate":
            raise
        from simulate.errors import MissingExtra  # likewise

        raise MissingExtra(f"{error.name}, which {name} needs,", "voice") from error
