"""What a replay leaves out of requests, and whom it lets be reached."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from simulate.model.base import Strict
from simulate.model.json_path import path_text


class ReplaySettings(Strict):
    """Of a scenario's cassette."""

    ignore: list[Annotated[str, AfterValidator(path_text)]] = Field(default_factory=list[str])
    """JSON paths that may differ from run to run in requests, such as ``$.metadata.request_id``."""


class ProjectReplaySettings(ReplaySettings):
    """Of all cassettes of a project."""

    allow: list[str] = Field(default_factory=list[str])
    """``host:port`` of what an agent may reach in a replay, such as its database; it is not recorded."""
