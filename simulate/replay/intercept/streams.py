"""One connection on which both sides send when they like, as it is recorded or played."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence

import orjson

from simulate.replay.intercept.order import PATIENCE
from simulate.replay.matching.divergence import Divergence, JsonChange, refusal
from simulate.replay.matching.recordings import SENT, By, HttpResponse, Kind, StreamEvent, StreamRecording
from simulate.replay.matching.rules import Rules
from simulate.replay.matching.streams import (
    Form,
    explain_event,
    form_of,
    keeps_alive,
    never_sent,
    same_but_for_ids,
)

_UNASKED_SECONDS = 5.0


class StreamRecorder:
    """Notes what passes on a connection that goes out."""

    def __init__(self, recording: StreamRecording, now: Callable[[], float]) -> None:
        self.recording = recording
        self._now = now
        self._lock = threading.Lock()
        self._over = False

    def passed(self, by: By, kind: Kind, content: bytes) -> None:
        """Something was sent, by the agent or by the service."""
        with self._lock:
            if not self._over:
                at = self._now() - self.recording.start
                self.recording.events.append(StreamEvent(by, kind, at, bytes(content)))
                self.recording.end = self._now()
                self._over = kind in {"close", "status", "lost"} and by == "service"

    def told(self, by: By, kind: Kind, **what: object) -> None:
        """The connection was opened, closed or lost; ``what`` says how."""
        self.passed(by, kind, orjson.dumps(what))


class _Assigned:
    """A recording that a connection may be answered from, with what each of its events is compared by."""

    def __init__(self, recording: StreamRecording, rules: Rules) -> None:
        self.recording = recording
        forms = [
            form_of(event.kind, event.content, rules) if event.by == "agent" and event.kind in SENT else None
            for event in recording.events
        ]
        self.due = {
            index: form
            for index, form in enumerate(forms)
            if form is not None and form.media is None and not keeps_alive(form)
        }
        """What the agent has to send, by its number in the recording."""
        sounds = [None if form is None else form.media for form in forms]
        self.shapes = {form.key for form in forms if form is not None and form.media is not None}
        self.sound = hashlib.sha256(b"".join(each for each in sounds if each is not None)).digest()
        self.heard: list[int] = []
        """How much sound had been sent before each event."""
        ends = (
            n for n, event in enumerate(recording.events) if event.by == "agent" and event.kind == "close"
        )
        self.closing = next(ends, len(recording.events))
        """Where the agent closed the connection: what came after it is no answer."""
        total = 0
        for sound in sounds:
            self.heard.append(total)
            total += len(sound or b"")
        self.all_heard = total


class StreamPlayer:
    """Gives what the service sent when it was recorded, each event once the agent has sent what it had sent
    until then: the same events, and as much sound. Nothing waits much longer than it took when recorded.

    ``candidates`` are the recordings that the connection may be answered from; the first thing that the agent
    sends tells which, where the service did not speak first. ``diverged`` is told what is not as recorded,
    and says whether to go on; ``only_later`` whether two values differ by the time of day alone.
    """

    def __init__(
        self,
        candidates: Sequence[StreamRecording],
        rules: Rules,
        *,
        paced: bool,
        take: Callable[[StreamRecording], None],
        diverged: Callable[[Divergence], bool],
        only_later: Callable[[StreamRecording, StreamEvent, object, object], bool],
    ) -> None:
        self._rules = rules
        self._paced = paced
        self._take = take
        self._diverged = diverged
        self._only_later = only_later
        self._candidates = [_Assigned(one, rules) for one in candidates]
        self._one = self._candidates[0]
        self._taken = False
        self._ids: dict[str, str] = {}
        self._next = 0
        self._heard = 0
        self._sound = hashlib.sha256()
        self._began = time.monotonic()
        self._changed = threading.Condition(threading.RLock())
        self.refused: Divergence | None = None
        """What the connection ends with."""
        self.reordered = False
        self._closed = False

    @property
    def recording(self) -> StreamRecording:
        """What it is answered from."""
        return self._one.recording

    # what the agent sends

    def sent(self, kind: Kind, content: bytes) -> None:
        """The agent has sent something."""
        with self._changed:
            if self.refused is None and not self._closed:
                self._judge(kind, form_of(kind, content, self._rules))
            self._changed.notify_all()

    def _judge(self, kind: Kind, now: Form) -> None:
        if keeps_alive(now):
            return
        if not self._taken:
            self._choose(now)
        one = self._one
        if now.media is not None:
            self._heard += len(now.media)
            self._sound.update(now.media)
            if now.key not in one.shapes:
                self._missed(explain_event(one.recording, None, None, now, len(one.recording.events)))
            return
        due = next(iter(one.due), None)
        for index, then in one.due.items():
            if then.key == now.key:
                self.reordered = self.reordered or index != due
                del one.due[index]
                return
        if due is None:
            self._missed(explain_event(one.recording, None, None, now, len(one.recording.events)))
            return
        index = next((each for each, form in one.due.items() if form.name == now.name), due)
        then = one.due[index]
        event = one.recording.events[index]
        if event.kind == kind and (
            same_but_for_ids(then.value, now.value, self._ids)
            or self._only_later(one.recording, event, then.value, now.value)
        ):
            self.reordered = self.reordered or index != due
            del one.due[index]
            return
        if self._missed(
            explain_event(one.recording, index + 1, then, now, len(one.recording.events)), one.recording
        ):
            del one.due[index]

    def _missed(self, divergence: Divergence, recording: StreamRecording | None = None) -> bool:
        """Whether the connection goes on all the same."""
        goes_on = self._diverged(divergence)
        if not goes_on:
            self.refused = divergence
        return goes_on

    def _choose(self, now: Form) -> None:
        """Settle which recording this is."""

        def begins_so(one: _Assigned) -> bool:
            if now.media is not None:
                return now.key in one.shapes
            first = next(iter(one.due.values()), None)
            return first is not None and first.key == now.key

        self._settle(next(filter(begins_so, self._candidates), self._one))

    def _settle(self, one: _Assigned) -> None:
        self._one, self._taken = one, True
        self._take(one.recording)

    # what the service sends

    def wait(self) -> StreamEvent | None:
        """Block until the service's next event is due; None where none comes any more."""
        with self._changed:
            while not (isinstance(found := self.upcoming(), StreamEvent) or found is None):
                self._changed.wait(found)
            return found

    def upcoming(self) -> StreamEvent | float | None:
        """The service's next event if it is due, which is then given; else the seconds for which to wait at
        most, unless the agent sends something; None where none comes any more."""
        with self._changed:
            events = self._one.recording.events
            while self._next < len(events) and events[self._next].by == "agent":
                self._next += 1
            if self.refused is not None or self._closed:
                return None
            if self._next == len(events) or self._next > self._one.closing:
                return 3600.0  # silent, and open until the agent closes it or leaves the recorded path
            event = events[self._next]
            left = self._began + event.at / 1000 - time.monotonic()
            if self._paced and left > 0:
                return left
            if left + self._patience() > 0 and not self._is_due():
                return left + self._patience()
            if not self._taken and (event.kind != "open" or event.value.get("status") != 101):
                self._settle(self._one)
            self._next += 1
            return self._with_ids(event)

    def _is_due(self) -> bool:
        return not self._is_unasked() and self._heard >= self._one.heard[self._next]

    def _is_unasked(self) -> bool:
        """Whether the agent has yet to send a message that it had sent before the next event."""
        first = next(iter(self._one.due), None)
        return first is not None and first < self._next

    def _patience(self) -> float:
        """How much later than recorded an event may come: a message's answer waits for a slow agent, while as
        much sound may never come."""
        return _UNASKED_SECONDS if self._is_unasked() else PATIENCE

    def _with_ids(self, event: StreamEvent) -> StreamEvent:
        content = event.content
        if event.kind in SENT and event.kind != "binary":
            for then, now in self._ids.items():
                content = content.replace(then.encode(), now.encode())
        return StreamEvent(event.by, event.kind, event.at, content)

    def refusal(self) -> HttpResponse:
        """The divergence that the connection ended with, as a response."""
        return refusal(str(self.refused), self.refused)

    def close(self) -> None:
        """The agent has closed the connection."""
        with self._changed:
            if not self._taken:
                self._settle(self._one)
            self._closed = True
            self._changed.notify_all()

    # account

    def left(self) -> list[Divergence]:
        """What the agent did not send."""
        one = self._one
        if self.refused is not None:
            return []
        found = [never_sent(one.recording, index + 1, form) for index, form in one.due.items()]
        if one.all_heard and not self._heard:
            index = next(index for index, heard in enumerate(one.heard) if heard) - 1 if any(one.heard) else 0
            missing = never_sent(one.recording, index + 1, Form(None, b""))
            missing.changes = [JsonChange("sound", f"{one.all_heard} bytes", "none")]
            found.append(missing)
        return found

    def notes(self) -> list[str]:
        """What is not compared, where it differs."""
        if self._heard and self._sound.digest() != self._one.sound:
            return [
                f"{self._one.recording.place}: the sound that the agent sent is not as recorded"
                f" ({self._one.all_heard} bytes then, {self._heard} now); the service answers as recorded"
            ]
        return []
