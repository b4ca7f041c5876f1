"""Our side of `simulate.replay.own_process`: opens a conversation to an agent's Python processes, and takes
what they tell of it at its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from simulate.child_process import is_running
from simulate.errors import InputError
from simulate.model.whole_file import write_whole
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.intercept.children import taking_part
from simulate.replay.matching.rules import Rules
from simulate.replay.matching.secrets import Redaction
from simulate.replay.own_process import OpenConversation
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession
from simulate.replay.report import divergence_in

READY_SECONDS, DONE_SECONDS = 20.0, 40.0
"""How long the processes may take to begin (they import the clients' patches), and to tell."""
_LOOK = 0.01


class OwnProcesses:
    """The Python processes that were started with ``environment``; ``folder`` is where they and we meet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """What to start an agent's process with, besides ``own``."""
        return taking_part(self.folder, {**os.environ, **own})

    @contextlib.asynccontextmanager
    async def conversation(
        self, session: RecordSession | ReplaySession, turns: str, allow: set[str]
    ) -> AsyncGenerator[None]:
        """What these processes ask for while inside belongs to ``session``."""
        order = _order(session, turns, allow)
        if order is None:
            yield
            return
        place = self.folder / order.id
        place.mkdir()
        write_whole(self.folder / "order.json", orjson.dumps(order.as_dict()))
        try:
            await self._until(place, "ready", self._processes(), READY_SECONDS)
            yield
        finally:
            (self.folder / "order.json").unlink(missing_ok=True)
            await self._until(place, "done", self._ready(place), DONE_SECONDS)
            self._take(session, place)

    def tells(self, process: int) -> bool:
        """Whether a process tells itself of what it asks for, in the conversation that is open."""
        return any(self.folder.glob(f"*/{process}.joined"))

    def _processes(self) -> set[int]:
        return {int(path.stem) for path in self.folder.glob("*.process")}

    def _ready(self, place: Path) -> set[int]:
        return {int(path.stem) for path in place.glob("*.ready")}

    async def _until(self, place: Path, told: str, processes: set[int], seconds: float) -> None:
        waited = time.monotonic() + seconds
        while time.monotonic() < waited and any(  # noqa: ASYNC110 - only files tell
            not (place / f"{one}.{told}").exists() and is_running(one) for one in processes
        ):
            await asyncio.sleep(_LOOK)

    def _take(self, session: RecordSession | ReplaySession, place: Path) -> None:
        for process in sorted(self._ready(place)):
            path = place / f"{process}.done"
            if not path.exists():
                if (place / f"{process}.joined").exists():
                    session.refuse("what a process of the agent asked for, which ended without telling,")
                continue
            told: dict[str, Any] = orjson.loads(path.read_bytes())
            if broke := told.get("broke"):
                session.refuse(f"what a process of the agent asked for ({broke})")
            elif isinstance(session, ReplaySession):
                if told:
                    _played(session, told)
            elif told:
                _adopt(session, told)


def _played(session: ReplaySession, told: dict[str, Any]) -> None:
    """What a process was given itself, and how it diverged."""
    session.elsewhere.update(told["played"])
    for one in (*session.cassette.http, *session.cassette.tools, *session.cassette.streams):
        if one.place in session.elsewhere and id(one) not in session.kept.played:
            session.kept.played.add(id(one))
            if session.first_use is not None:
                session.first_use.played(one.key, session.cassette.folder)
    session.divergences += map(divergence_in, told["divergences"])
    session.notes += [note for note in told["notes"] if note not in session.notes]
    for text in told["refused"]:
        session.refuse(text)


def _adopt(session: RecordSession, told: dict[str, Any]) -> None:
    if told.get("not_kept"):
        session.not_kept = session.not_kept or InputError(told["not_kept"])
        session.ended = session.ended or told["not_kept"]
    if told.get("cassette"):
        kept = Cassette.load(told["cassette"], allow_edited=True, allow_partial=True)
        session.adopt(kept)


def _order(session: RecordSession | ReplaySession, turns: str, allow: set[str]) -> OpenConversation | None:
    """None where there is no folder to answer from: a production trace holds no such traffic."""
    rules: Rules = session.rules
    order = OpenConversation(
        uuid4().hex, turns, allow=sorted(session.allow | allow), ignore=list(rules.ignore)
    )
    order.headers, order.aliases = list(rules.headers), dict(rules.aliases)
    if isinstance(rules.redact, Redaction):
        order.personal, order.invented = rules.redact.personal, rules.redact.kept_values
    told = session.cassette.manifest if isinstance(session, ReplaySession) else session.manifest
    order.chance, order.apart = told.get("chance", told.get("scenario") or ""), "chance_apart" in told
    if isinstance(session, ReplaySession):
        folder = session.cassette.folder
        if folder is None or session.cassette.match != "http" or not (folder / "manifest.json").is_file():
            return None
        order.cassette = str(folder.resolve())
        order.policy, order.pace = session.policy, session.pace
    return order
