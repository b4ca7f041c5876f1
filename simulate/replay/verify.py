"""A recording made anew, held against the one that there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from simulate.model.shapes import is_list, is_object
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.interactions import set_key
from simulate.replay.cassette.stale import cassettes
from simulate.replay.matching.divergence import Divergence, changes_between, explain_request
from simulate.replay.matching.keys import call_key
from simulate.replay.matching.recordings import HttpRecording, ToolRecording
from simulate.replay.matching.request import CanonicalRequest
from simulate.replay.matching.rules import Rules, default_rules
from simulate.replay.replay_session import ReplaySession
from simulate.replay.report import ReplayReport


def verify(recorded: Cassette, anew: Cassette, rules: Rules | None = None) -> ReplayReport:
    """As if the new recording's requests had been replayed from the old one. Where a request is the same and
    its answer is not, the world changed and not the agent: a note says so, and it is not a divergence.
    """
    replay = ReplaySession(recorded, rules or default_rules())
    said: dict[str, str] = {}
    """Texts of the new answers, with those that stood in their places."""
    first_changed: HttpRecording | ToolRecording | None = None
    for one in sorted((*anew.http, *anew.tools), key=lambda each: each.start):
        replay.turn = one.turn
        known = len(replay.divergences)
        before = _again(replay, _as_answered_then(one, said, replay.rules))
        if before is None or isinstance(before, Divergence):
            if first_changed is not None and not known:
                replay.notes.append(
                    f"this comes after {first_changed.place} was answered otherwise: it may follow from"
                    " that, and not from a change of the agent"
                )
            continue
        changes = changes_between(_answer(before), _answer(one))
        if changes:
            first_changed = first_changed or before
            said.update(
                (change.now, change.recorded)
                for change in changes
                if isinstance(change.now, str) and isinstance(change.recorded, str) and len(change.now) > 1
            )
            replay.notes.append(f"{before.place}: {one.asked} is answered otherwise now: {changes[0]}")
    replay.notes += replay.streams.again(anew.streams)
    replay.finish()
    return replay.report()


def _again(
    replay: ReplaySession, one: HttpRecording | ToolRecording
) -> HttpRecording | ToolRecording | Divergence | None:
    """What stands here for a request of another recording; None where it diverges."""
    if isinstance(one, ToolRecording):
        return replay.recorded_tool(one.name, one.arguments)
    found = replay.kept.next_http(one.key)
    if found is None:
        with replay.kept.lock:
            asked = CanonicalRequest(one.endpoint, one.query, "json", one.body, one.key)
            candidates = replay.kept.near(one.endpoint)
            replay.note(explain_request(asked, candidates, replay.kept.played))
    return found


def _as_answered_then(
    one: HttpRecording | ToolRecording, said: dict[str, str], rules: Rules
) -> HttpRecording | ToolRecording:
    """A request as it would have been had the models and tools answered as they did before: what it repeats
    of their answers is none of the agent's doing."""
    if not said:
        return one
    if isinstance(one, ToolRecording):
        arguments = _replaced(one.arguments, said)
        return replace(one, arguments=arguments, key=call_key(one.name, arguments, rules))
    made = replace(one, body=_replaced(one.body, said))
    set_key(made, rules)
    return made


def _replaced(value: Any, said: dict[str, str]) -> Any:
    if isinstance(value, str):
        return said.get(value, value)
    if is_object(value):
        return {name: _replaced(inner, said) for name, inner in value.items()}
    if is_list(value):
        return [_replaced(inner, said) for inner in value]
    return value


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
