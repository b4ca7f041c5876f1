"""Scores by a judge: of a sample, within a day's budget, and never in the way of what comes in."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from simulate.scoring.evaluators.attach import attributes_of
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.result import Result
from simulate.scoring.evaluators.scoring import choose, score
from simulate.scoring.judge import Judge
from simulate.server.jobs import told
from simulate.server.settings import JudgeSettings
from simulate.server.store.incoming import put, score_row
from simulate.server.store.seal import Sealed
from simulate.server.store.store import Store
from simulate.trace.span import Event, Trace
from simulate.trace.vendors.simulate_conventions import EVENT

MOST_WAITING = 200
"""Traces that may wait for the judge; a slow one leaves out what comes beyond."""
_DAY = 86_400
_log = logging.getLogger("simulate.server")


@dataclass(slots=True)
class JudgingCounts:
    """What became of the sample since the server started: ``undecided`` got no score from the judge, and
    ``problem`` is why it last failed."""

    judged: int = 0
    undecided: int = 0
    left_out: int = 0
    problem: str | None = None


class Judging:
    """Judges traces that were put away while `run` runs. Their scores come in as late scores do, so that a
    trace is there before its judgement. Raises InputError for an evaluator that there is not."""

    def __init__(self, store: Store, settings: JudgeSettings, judge: Judge) -> None:
        self._store, self._settings, self._judge = store, settings, judge
        self._least = {name: least for name, least in settings.evaluators.items() if least is not None}
        self._evaluators = choose(list(settings.evaluators), self._least)
        self._names = {one.name for one in self._evaluators}
        self._queue: asyncio.Queue[tuple[str, Trace]] = asyncio.Queue(MOST_WAITING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._day, self._before = -1, 0
        self.counts = JudgingCounts()

    def offer(self, sealed: Sequence[Sealed]) -> None:
        """Take what was put away, from another thread; those of the sample that have no score yet wait."""
        for each in sealed:
            scored = any(one.name in self._names for _, view in each.reading for one in view.scores)
            if each.kept is None or scored or not self._sampled(each.reading.trace.trace_id):
                continue
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._wait, each.project, each.reading.trace)

    def _sampled(self, trace_id: str) -> bool:
        """By trace id: several servers choose alike, and a trace is chosen once and for all."""
        place = int.from_bytes(hashlib.sha256(trace_id.encode()).digest()[:8], "big")
        return place < self._settings.sample * 2**64

    def _wait(self, project: str, trace: Trace) -> None:
        try:
            self._queue.put_nowait((project, trace))
        except asyncio.QueueFull:
            self.counts.left_out += 1

    async def run(self) -> None:
        """Judge what waits, for ever."""
        self._loop = asyncio.get_running_loop()
        while True:
            project, trace = await self._queue.get()
            if self._is_spent():
                self.counts.left_out += 1
                continue
            try:
                await self._judge_one(project, trace)
            except Exception as error:  # noqa: BLE001 - one trace must not stop the others
                if not isinstance(error, DBAPIError):
                    _log.exception("trace %s cannot be judged", trace.trace_id)
                self.counts.problem = told(error)

    def _is_spent(self) -> bool:
        """Whether the day's calls are used up. A trace that began below is finished."""
        day = int(time.time()) // _DAY
        if day != self._day:
            self._day, self._before = day, self._judge.asked
        return self._judge.asked - self._before >= self._settings.calls_per_day

    async def _judge_one(self, project: str, trace: Trace) -> None:
        context = EvaluationContext(trace)
        results = await score(context, self._evaluators, judge=self._judge, thresholds=self._least)
        failed = next((one.explanation for one in results if one.status == "error"), None)
        self.counts.problem = failed
        scored = [one for one in results if one.status == "scored"]
        if not scored:
            self.counts.undecided += 1
            return
        await asyncio.to_thread(self._keep, project, trace, scored)
        self.counts.judged += 1

    def _keep(self, project: str, trace: Trace, scored: Sequence[Result]) -> None:
        redactor, now = self._store.redactor(), time.time_ns()
        ends = {span.span_id: span.end_ns or span.start_ns for span in trace.spans}
        rows = [
            score_row(
                project, trace.trace_id, one.span_id or "",
                Event(EVENT, ends.get(one.span_id or "", now), redactor.value(attributes_of(one))), now,
            )
            for one in scored
        ]  # fmt: skip
        put(self._store, rows)
