"""What differs between a recording and a replay only because time has passed."""

from __future__ import annotations

from typing import Any

from simulate.replay.matching.chat import ENDPOINT as CHAT
from simulate.replay.matching.chat import told_by_both
from simulate.replay.matching.date_drift import Moment, local_ahead, only_time_passed, real_ns
from simulate.replay.matching.recordings import HttpRecording, ToolRecording


class TimePassed:
    """Compares by the clock of a recording, whose manifest says when it began, and by the clock of now."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self._manifest = manifest
        self._told: dict[str, None] = {}
        """Dates and times of the recording, and those that are in their places now."""

    def explains(self, at: float, then: Any, now: Any) -> bool:
        """Whether two values differ only by the date and time that they tell; the first was recorded ``at``
        ms after the conversation began."""
        began: Any = self._manifest.get("started_ns")
        if not isinstance(began, int):
            return False
        recorded = Moment.of(began + int(at * 1e6), self._manifest.get("utc_ahead", 0))
        ns = real_ns()
        passed = only_time_passed(then, now, recorded, Moment.of(ns, local_ahead(ns)))
        self._told.update(dict.fromkeys(map(str, passed or ())))
        return passed is not None

    def explains_call(self, one: HttpRecording | ToolRecording, then: Any, now: Any) -> bool:
        """`explains` for a request or a tool call."""
        if isinstance(one, HttpRecording) and one.endpoint == CHAT:
            now = told_by_both(then, now)
        return self.explains(one.start, then, now)

    def notes(self) -> list[str]:
        """What was answered as recorded although it tells another time."""
        if not self._told:
            return []
        told = ", ".join(list(self._told)[:4]) + (" …" if len(self._told) > 4 else "")
        return [f"the agent tells the time, which has passed: {told}; answered as recorded"]
