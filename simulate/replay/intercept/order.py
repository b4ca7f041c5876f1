"""The order in which answers came that were on their way at the same time, kept in a replay.

An answer, and each piece of a stream, waits for what came between its request and itself when it was
recorded: requests that the agent made meanwhile, and what other requests were answered. So a replay takes no
longer than the recording, and where nothing overlapped, no time at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from operator import attrgetter

from simulate.replay.matching.recordings import HttpRecording, ToolRecording

Recording = HttpRecording | ToolRecording
PATIENCE = 1.0
"""Seconds more than recorded that are waited for something that may never come in a changed agent."""


class _Happening:
    """A request began, or a piece of its answer came; ``at`` is ms since the conversation began."""

    __slots__ = ("at", "future")

    def __init__(self, at: float) -> None:
        self.at = at
        self.future: Future[None] = Future()

    def happen(self) -> None:
        if not self.future.done():
            with contextlib.suppress(InvalidStateError):  # another thread was quicker
                self.future.set_result(None)


class Steps:
    """The answer of one request: a step for each piece, and one for its end."""

    def __init__(self, recording: Recording, own: list[_Happening], between: Sequence[_Happening]) -> None:
        self._own = own
        self._between = between
        self._next = 0
        self._patience = [(each.at - recording.start) / 1000 + PATIENCE for each in own]
        self._began = time.monotonic()

    def wait(self, step: int) -> None:
        """Block until the step may be made, and make it."""
        while (event := self._blocker(step)) is not None:
            with contextlib.suppress(TimeoutError):
                event.future.result(self._left(step))
            event.happen()
        self._own[min(step, len(self._own) - 1)].happen()

    async def wait_async(self, step: int) -> None:
        """Wait until the step may be made, and make it."""
        while (event := self._blocker(step)) is not None:
            await asyncio.wait([asyncio.wrap_future(event.future)], timeout=self._left(step))
            event.happen()
        self._own[min(step, len(self._own) - 1)].happen()

    def over(self) -> None:
        """No further step comes."""
        for event in self._own:
            event.happen()

    def _blocker(self, step: int) -> _Happening | None:
        until = self._own[min(step, len(self._own) - 1)].at
        while self._next < len(self._between):
            event = self._between[self._next]
            if event.at >= until:
                return None
            if not event.future.done():
                return event
            self._next += 1
        return None

    def _left(self, step: int) -> float:
        patience = self._patience[min(step, len(self._own) - 1)]
        return max(0.0, self._began + patience - time.monotonic())


class RecordedOrder:
    """What overlapped in a recording; what did not is in no order that has to be kept."""

    def __init__(self, recordings: Iterable[Recording]) -> None:
        self._begin: dict[int, _Happening] = {}
        self._answer: dict[int, list[_Happening]] = {}
        self._together: dict[int, list[_Happening]] = {}
        for group in _overlapping(recordings):
            for one in group:
                self._begin[id(one)] = _Happening(one.start)
                self._answer[id(one)] = [_Happening(at) for at in _times(one)]
            events = [event for one in group for event in (self._begin[id(one)], *self._answer[id(one)])]
            events.sort(key=lambda event: event.at)
            self._together.update((id(one), events) for one in group)

    def begins(self, recording: Recording) -> Steps | None:
        """Its request has come; how its answer goes on, or None where nothing else was on its way."""
        begin = self._begin.get(id(recording))
        if begin is None:
            return None
        begin.happen()
        own, events = self._answer[id(recording)], self._together[id(recording)]
        mine = {id(event) for event in (begin, *own)}
        first = bisect_left(events, recording.start, key=attrgetter("at"))
        last = bisect_left(events, own[-1].at, key=attrgetter("at"))
        return Steps(recording, own, [event for event in events[first:last] if id(event) not in mine])


def _times(recording: Recording) -> list[float]:
    """When each piece came, and the end; in order."""
    pieces = recording.response.chunks if isinstance(recording, HttpRecording) else []
    times = [recording.start + offset for offset, _ in pieces]
    return [*times, max([recording.end, *times])]


def _overlapping(recordings: Iterable[Recording]) -> Iterable[list[Recording]]:
    """Those of which each began before another one of its group had ended."""
    group: list[Recording] = []
    until = float("-inf")
    for one in sorted(recordings, key=lambda each: each.start):
        if one.start >= until and group:
            if len(group) > 1:
                yield group
            group = []
        group.append(one)
        until = max(until, one.end)
    if len(group) > 1:
        yield group
