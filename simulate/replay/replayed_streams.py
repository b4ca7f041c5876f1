"""The connections of one replayed conversation on which both sides send when they like."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from simulate.replay.intercept.streams import StreamPlayer, StreamRecorder
from simulate.replay.matching.divergence import Divergence, JsonChange, changes_between, refusal
from simulate.replay.matching.recordings import SENT, HttpResponse, StreamEvent, StreamRecording
from simulate.replay.matching.request import CanonicalRequest, HttpRequest
from simulate.replay.matching.rules import Rules
from simulate.replay.record_session import current_span_id


class ReplayedStreams:
    """The recorded connections, each of which is played once, at their recorded times if ``paced``.

    ``take`` is told which one is played; those of which ``elsewhere`` says so are played by another process.
    ``note`` is told what is not as recorded; a connection then goes on only if
    ``goes_on``. ``live`` opens one that was not recorded, where it may. ``only_later`` says whether two
    values, the first recorded at a time in ms, differ by the time of day alone."""

    def __init__(
        self,
        recordings: Iterable[StreamRecording],
        rules: Rules,
        *,
        paced: bool,
        goes_on: bool,
        take: Callable[[StreamRecording], None],
        elsewhere: Callable[[StreamRecording], bool],
        note: Callable[[Divergence], None],
        live: Callable[[HttpRequest], StreamRecorder | None],
        only_later: Callable[[float, object, object], bool],
    ) -> None:
        self._recordings = list(recordings)
        self._rules = rules
        self._paced = paced
        self._goes_on = goes_on
        self._take = take
        self._elsewhere = elsewhere
        self._note = note
        self._live = live
        self._only_later = only_later
        self._lock = threading.Lock()
        self._taken: set[int] = set()
        self._players: list[StreamPlayer] = []

    def begin(self, request: HttpRequest) -> StreamPlayer | StreamRecorder | HttpResponse:
        """The player of a recording of this connection; where there is none left, the connection goes out or
        is refused."""
        asked = request.canonical(self._rules)
        with self._lock:
            same = [one for one in self._recordings if one.key == asked.key]
            if free := self._free(asked.key):
                return self._player(free)
        divergence = self._missed(asked, same)
        divergence.span_id = current_span_id()
        self._note(divergence)
        return self._live(request) or refusal(str(divergence), divergence)

    def failed(self, request: HttpRequest) -> str | None:
        """How the next recording of this connection failed to open, which is then played; None where it did
        not."""
        asked = request.canonical(self._rules)
        with self._lock:
            free = self._free(asked.key)
            if not free or free[0].events[0].kind != "lost":
                return None
            self._take_one(free[0])
            return str(free[0].events[0].value.get("error"))

    def _free(self, key: str) -> list[StreamRecording]:
        return [
            one
            for one in self._recordings
            if one.key == key and one.events and id(one) not in self._taken and not self._elsewhere(one)
        ]

    def _player(self, free: list[StreamRecording]) -> StreamPlayer:
        player = StreamPlayer(
            free,
            self._rules,
            paced=self._paced,
            take=self._take_one,
            diverged=self._diverged,
            only_later=self._is_only_later,
        )
        self._players.append(player)
        return player

    def _diverged(self, divergence: Divergence) -> bool:
        self._note(divergence)
        return self._goes_on

    def again(self, anew: Iterable[StreamRecording]) -> list[str]:
        """Play what the agent sends in other recordings of these connections, and note where it is answered
        otherwise."""
        notes: list[str] = []
        for one in anew:
            same = [each for each in self._recordings if each.key == one.key]
            free = [each for each in same if id(each) not in self._taken]
            asked = CanonicalRequest(one.endpoint, one.query, "none", None, one.key)
            if not free:
                self._note(self._missed(asked, same))
                continue
            player = self._player(free)
            for event in one.events:
                if event.by == "agent" and event.kind in SENT:
                    player.sent(event.kind, event.content)
            player.close()
            then = [event.content for event in player.recording.events if event.by == "service"]
            if then != [event.content for event in one.events if event.by == "service"]:
                notes.append(f"{player.recording.place}: {one.endpoint} is answered otherwise now")
        return notes

    def _take_one(self, recording: StreamRecording) -> None:
        self._taken.add(id(recording))
        self._take(recording)

    def _is_only_later(self, one: StreamRecording, event: StreamEvent, then: object, now: object) -> bool:
        return self._only_later(one.start + event.at, then, now)

    def _missed(self, asked: CanonicalRequest, same: list[StreamRecording]) -> Divergence:
        if same:
            last = same[-1]
            return Divergence(
                "exhausted", asked.endpoint, "extra call", ["extra call"], nearest=last.place, key=asked.key
            )
        nearest = next((one for one in self._recordings if one.endpoint == asked.endpoint), None)
        if nearest is None:
            return Divergence("never_recorded", asked.endpoint, "extra call", ["extra call"], key=asked.key)
        then, now = dict(nearest.query), dict(asked.query)
        changes = changes_between(then, now, "?")
        changes += changes_between(nearest.headers, dict(asked.headers), "headers")
        part = "model" if any(change.path == "?.model" for change in changes) else "parameters"
        return Divergence(
            "drifted", asked.endpoint, part, [part], nearest=nearest.place, changes=changes, key=asked.key
        )

    def left(self) -> list[Divergence]:
        """What the agent did not send on the connections that it opened."""
        return [divergence for player in self._players for divergence in player.left()]

    @property
    def reordered(self) -> Divergence | None:
        """The first connection on which the agent sent the same in another order."""
        player = next((one for one in self._players if one.reordered), None)
        if player is None:
            return None
        one = player.recording
        changes = [JsonChange("order", "as recorded", "another")]
        return Divergence(
            "reordered", one.asked, "order", ["order"], turn=one.turn, nearest=one.place, changes=changes
        )

    def notes(self) -> list[str]:
        """What is not compared, where it differs."""
        return [note for player in self._players for note in player.notes()]
