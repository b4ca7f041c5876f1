"""An agent's own Python process, in a conversation that is recorded or replayed.

What such a process asks for itself (WebSockets, gRPC, any HTTP that does not go to the endpoint of its model)
never passes us. Its clients are patched there as ours are here; both sides meet in a folder::

    order.json          the open conversation: `OpenConversation`
    PID.process         a process that takes part
    ID/PID.ready        it knows of the conversation
    ID/PID.done         its account: `OwnProcessPart.close`
    ID/PID/             the cassette that it recorded
"""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from simulate.determinism.ids import pinned_chance_everywhere
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.first_use import FirstUse
from simulate.replay.intercept.background import IN_FLIGHT
from simulate.replay.intercept.process import begin_again, intercepted_everywhere
from simulate.replay.matching.date_drift import local_ahead, real_ns
from simulate.replay.matching.divergence import Pace, Policy
from simulate.replay.matching.endpoints import address
from simulate.replay.matching.rules import Rules
from simulate.replay.matching.secrets import Redaction
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession
from simulate.replay.report import told

_FIRST_USE: dict[Path, FirstUse] = {}
"""By folder of cassettes, for as long as this process lives."""


@dataclass(slots=True)
class OpenConversation:
    """What the processes of an agent are told of the conversation that is open now."""

    id: str
    turns: str
    """A URL that says which turn it is."""
    cassette: str | None = None
    """The folder to answer from; None where it is recorded."""
    allow: list[str] = field(default_factory=list[str])
    ignore: list[str] = field(default_factory=list[str])
    headers: list[str] = field(default_factory=list[str])
    aliases: dict[str, str] = field(default_factory=dict[str, str])
    personal: bool = True
    invented: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    chance: int | str = ""
    """What `random` and `uuid4` are drawn from."""
    apart: bool = True
    policy: Policy = "fail"
    pace: Pace = "ordered"

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def rules(self) -> Rules:
        """Those of the conversation."""
        redact = Redaction(personal=self.personal)
        redact.keep_values((kind, value) for kind, value in self.invented)
        return Rules(tuple(self.ignore), tuple(self.headers), redact, self.aliases)


class OwnProcessPart:
    """What this process has of a conversation; from its beginning on, until ``close``."""

    def __init__(self, order: dict[str, Any], place: str) -> None:
        self.order = OpenConversation(**order)
        self.folder = Path(place) / str(os.getpid())
        self.began_ns = real_ns()
        server = os.environ.get("LIVEKIT_URL")  # a room is real, and none of the agent's services
        allow = {*self.order.allow, *([address(server)] if server else [])}
        self.session = self._recording(allow) if self.order.cassette is None else self._replay(allow)
        self.session.turn_of = self._turn
        self._place = Path(place)
        self._held = ExitStack()
        self._held.enter_context(intercepted_everywhere(self.session))
        # each process draws values of its own: those of two are never the same
        number = next(n for n in count() if self._first(f"chance-{n}"))
        chance = [self.order.chance, *([number] if number else [])]
        self._held.enter_context(pinned_chance_everywhere(*chance, apart=self.order.apart))

    def _first(self, name: str) -> bool:
        """Whether no other process of this conversation has come for this before."""
        try:
            (self._place / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _recording(self, allow: set[str]) -> RecordSession:
        recorder = RecordSession(self.order.rules(), allow)
        recorder.manifest = {"started_ns": self.began_ns, "utc_ahead": local_ahead(self.began_ns)}
        return recorder

    def _replay(self, allow: set[str]) -> ReplaySession:
        assert self.order.cassette is not None
        folder = Path(self.order.cassette)
        cassette = Cassette.load(folder, allow_edited=True, allow_partial=True)
        cassette.http = [one for one in cassette.http if one.own_process]
        cassette.tools = [one for one in cassette.tools if one.own_process]
        cassette.streams = [one for one in cassette.streams if one.own_process]
        shared = _FIRST_USE.setdefault(folder.parent, FirstUse(folder.parent))
        policy: Policy = self.order.policy if self.order.policy in {"stop", "nearest"} else "fail"
        session = ReplaySession(
            cassette,
            self.order.rules(),
            policy=policy,
            pace=self.order.pace,
            allow=allow,
            first_use=shared,
        )
        session.kept.claim = lambda recording: self._first(recording.place)
        session.kept.is_claimed = lambda recording: (self._place / recording.place).exists()
        return session

    def _turn(self) -> int | None:
        with suppress(OSError, ValueError):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(self.order.turns, timeout=2) as answer:
                return int(answer.read())
        return None

    def forked(self, again: Callable[[], OwnProcessPart | None]) -> None:
        """In a copy of the process: what the original asked for is its own, and the copy begins ``again``
        when it first asks for something."""
        held, self._held = self._held, ExitStack()

        def begin() -> RecordSession | ReplaySession:
            part = again()
            held.close()
            return self.session if part is None else part.session

        begin_again(begin)

    def close(self) -> dict[str, Any]:
        """The conversation is over: what was asked for, as JSON. What was recorded is a cassette."""
        waited = time.monotonic() + IN_FLIGHT
        while self.session.in_flight() and time.monotonic() < waited:
            time.sleep(0.01)
        self._held.close()
        if isinstance(self.session, ReplaySession):
            return self._account(self.session)
        return self._kept(self.session)

    def _kept(self, recorder: RecordSession) -> dict[str, Any]:
        cassette = recorder.cassette()
        account: dict[str, Any] = {"not_kept": recorder.not_kept.message if recorder.not_kept else None}
        if len(cassette):
            cassette.manifest["complete"] = True  # whether it is, is said by `not_kept`
            cassette.save(self.folder)
            account["cassette"] = str(self.folder)
        return account

    def _account(self, player: ReplaySession) -> dict[str, Any]:
        player.finish()
        divergences = [*player.divergences, *player.streams.left()]
        report = player.report()
        if report.verdict == "reordered" and report.first is not None:
            report.notes.append(str(report.first))
        recordings = (*player.cassette.http, *player.cassette.tools, *player.cassette.streams)
        return {
            "played": [one.place for one in recordings if id(one) in player.kept.played],
            "divergences": [told(one) for one in divergences],
            "refused": report.refused,
            "notes": report.notes,
        }
