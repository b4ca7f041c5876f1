"""A recording made anew, held against the one that there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from simulate.model.shapes import is_object
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.stale import cassettes
from simulate.replay.matching.divergence import Divergence, changes_between
from simulate.replay.matching.recordings import HttpRecording, ToolRecording
from simulate.replay.matching.rules import Rules, default_rules
from simulate.replay.replay_session import ReplaySession
from simulate.replay.report import ReplayReport


def verify(recorded: Cassette, anew: Cassette, rules: Rules | None = None) -> ReplayReport:
    """As if the new recording's requests had been replayed from the old one. Where a request is the same and
    its answer is not, the world changed and not the agent: a note says so, and it is not a divergence.
    """
    replay = ReplaySession(recorded, rules or default_rules())
    for one in sorted((*anew.http, *anew.tools), key=lambda each: each.start):
        replay.turn = one.turn
        before = replay.again(one)
        if before is None or isinstance(before, Divergence):
            continue
        changes = changes_between(_answer(before), _answer(one))
        if changes:
            replay.notes.append(f"{before.place}: {one.asked} is answered otherwise now: {changes[0]}")
    replay.finish()
    return replay.report()


def _answer(one: HttpRecording | ToolRecording) -> object:
    """What came back, without what is new in every answer."""
    if isinstance(one, ToolRecording):
        return one.error if one.error is not None else one.result
    response = one.response
    body: Any
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = response.content.decode("utf-8", "replace")
    if is_object(body):
        members = body.items()
        body = {name: value for name, value in members if name not in {"id", "created", "created_at"}}
    return {"status": response.status, "ended": response.ended.partition(":")[0], "body": body}


def verify_folders(recorded: Path, anew: Path) -> dict[str, ReplayReport]:
    """Each cassette below ``recorded`` against the one at the same place below ``anew``."""
    found: dict[str, ReplayReport] = {}
    for folder in cassettes(recorded):
        place = folder.relative_to(recorded)
        found[str(place)] = verify(Cassette.load(folder), Cassette.load(anew / place))
    return found
