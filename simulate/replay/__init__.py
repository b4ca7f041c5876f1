"""Deterministic replay: record a conversation's model, tools and services once, and run the agent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulate.replay.cassette.cassette import Cassette
from simulate.replay.matching.rules import Rules
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession
from simulate.replay.report import ReplayReport
from simulate.replay.session import cassette_for, record, replaying

if TYPE_CHECKING:
    from simulate.replay.serving.server import playback

__all__ = [
    "Cassette",
    "RecordSession",
    "ReplayReport",
    "ReplaySession",
    "Rules",
    "cassette_for",
    "playback",
    "record",
    "replaying",
]


def __getattr__(name: str) -> Any:
    if name == "playback":
        # a server's packages are for those who serve
        from simulate.replay.serving.server import playback

        return playback
    raise AttributeError(f"module 'simulate.replay' has no attribute {name!r}")
