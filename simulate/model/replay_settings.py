"""What a replay leaves out of requests, and whom it lets be reached."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from simulate.errors import InputError
from simulate.model.base import Strict
from simulate.model.json_path import parse_path


def _path(text: str) -> str:
    try:
        parse_path(text)
    except InputError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return text


class ReplaySettings(Strict):
    """Of a scenario's cassette."""

    ignore: list[Annotated[str, AfterValidator(_path)]] = Field(default_factory=list[str])
    """JSON paths that may differ from run to run in requests, such as ``$.metadata.request_id``."""


class ProjectReplaySettings(ReplaySettings):
    """Of all cassettes of a project."""

    allow: list[str] = Field(default_factory=list[str])
    """``host:port`` of what an agent may reach in a replay, such as its database; it is not recorded."""
