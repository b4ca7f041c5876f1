"""Deterministic replay: record a conversation's model, tools and services once, and run the agent again."""

from __future__ import annotations

from simulate.replay.cassette import Cassette
from simulate.replay.key import Rules
from simulate.replay.report import ReplayReport
from simulate.replay.session import Player, Recorder, cassette_for, record, replaying

__all__ = ["Cassette", "Player", "Recorder", "ReplayReport", "Rules", "cassette_for", "record", "replaying"]
