"""Whole traces out of what came: one is put away once nothing came for a while, and again when more does."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from simulate.server.store.incoming import Waiting, waiting
from simulate.server.store.seal import Finish, Sealed, keep_all, seal
from simulate.server.store.store import Store

QUIET = 2.0
"""Seconds without a span after which a trace is put away; spans that come later find it."""
_AT_ONCE = 100
_MOST_SPANS = 5_000
_log = logging.getLogger("simulate.server")


@dataclass(slots=True)
class Assembler:
    """Puts traces away. ``done`` is called with those that were, in the thread of `step`."""

    store: Store
    finish: Finish = keep_all
    done: Callable[[Sequence[Sealed]], object] = lambda sealed: None
    quiet: float = QUIET
    looked: Callable[[int], object] = lambda waiting: None
    """Called after each look with the spans that are not part of a trace yet."""
    waiting: int = 0
    """Spans that were not part of a trace when last looked."""
    failed: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """Traces that cannot be put away, with why; what came of them stays where it is."""
    _busy: threading.Lock = field(default_factory=threading.Lock)

    async def put_away_quiet(self) -> float:
        """Put away what is quiet; the seconds after which to look again."""
        return 0.02 if await asyncio.to_thread(self.step) else min(0.5, self.quiet / 4)

    def step(self, *, everything: bool = False) -> int:
        """Put away what has been quiet for long enough, or all there is; how many traces."""
        with self._busy:
            return self._step(everything)

    def _step(self, everything: bool) -> int:
        there = waiting(self.store)
        self.waiting = sum(each.spans for each in there)
        until = time.time_ns() - int(self.quiet * 1e9)
        ready = [
            each
            for each in there
            if (everything or each.since <= until) and (each.project, each.trace_id) not in self.failed
        ]
        count = 0
        for batch in _batches(ready):
            count += self._put_away(batch)
        self.looked(self.waiting)
        return count

    def _put_away(self, batch: Sequence[Waiting]) -> int:
        names = [(each.project, each.trace_id) for each in batch]
        try:
            sealed = seal(self.store, names, self.finish)
        except DBAPIError:
            raise
        except Exception as error:  # noqa: BLE001 - one trace must not stop the others
            if len(batch) > 1:  # one of them may spoil it for the others
                return sum(self._put_away([each]) for each in batch)
            _log.exception("trace %s cannot be put away", batch[0].trace_id)
            self.failed[names[0]] = f"{type(error).__name__}: {error}"
            return 0
        self.waiting -= sum(each.spans for each in batch)
        self.done(sealed)
        return len(sealed)


def _batches(ready: Sequence[Waiting]) -> list[list[Waiting]]:
    batches: list[list[Waiting]] = []
    spans = 0
    for each in ready:
        spans += each.spans
        if not batches or len(batches[-1]) >= _AT_ONCE or spans > _MOST_SPANS:
            batches.append([])
            spans = each.spans
        batches[-1].append(each)
    return batches


def put_away_all(store: Store, finish: Finish = keep_all) -> int:
    """Make traces of all that waits; how many."""
    assembler = Assembler(store, finish)
    return sum(itertools.takewhile(bool, iter(lambda: assembler.step(everything=True), None)))
