"""A search through many files, shared out to processes: each reads a part of the files and looks there."""

from __future__ import annotations

import heapq
import multiprocessing
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from simulate.errors import TraceFileError
from simulate.trace.files.documents import Source, sources
from simulate.trace.files.reader import TraceIndex
from simulate.trace.find import Facts, ReadFacts, Summary, TraceSearch
from simulate.trace.joining import join
from simulate.trace.span import Trace

WORTH = 2_000_000
"""Bytes that a process must have to read before it pays to start it."""
LARGE = 1000
"""Spans of a trace that is not held to the end only to be told in a line then."""


def latest_of(found: Iterable[Facts], limit: int) -> tuple[Iterator[Summary], int]:
    """The latest, those without a time last, and how many were found. Only they are kept and told in a line,
    however many are found."""
    latest: list[tuple[int, int, Facts | Summary]] = []
    count = 0
    for count, each in enumerate(found, 1):
        large = isinstance(each, ReadFacts) and len(each.reading.trace) > LARGE
        heapq.heappush(latest, (each.began or 0, -count, each.summary if large else each))
        if len(latest) > limit:
            heapq.heappop(latest)
    ordered = sorted(latest, key=lambda one: one[:2], reverse=True)
    return (each if isinstance(each, Summary) else each.summary for _, _, each in ordered), count


@dataclass(slots=True)
class _Found:
    """What one process found: all of it in a line each, or the latest."""

    summaries: list[Summary]
    count: int
    looked_at: int
    undecided: Counter[str]
    skipped: list[TraceFileError]


def search_apart(
    search: TraceSearch,
    files: Sequence[Source],
    *,
    limit: int | None,
    tolerant: bool = False,
    skipped: list[TraceFileError],
) -> tuple[list[Summary], int] | None:
    """The latest ``limit`` traces that ``search`` finds (all with None) and how many there are; None where
    processes would not pay or cannot be started, so that the caller looks by itself.

    Errors are those of `iter_traces`, and ``search`` counts as if it had looked itself. Traces of which
    several processes have read a part are put together and looked at here."""
    shares = _shares(sources(*files))
    if len(shares) < 2:
        return None
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    workers: list[BaseProcess] = []
    for share in shares:
        here, there = context.Pipe()
        worker = context.Process(
            target=_look, args=(there, [*pipes, here], search, share, limit, tolerant), daemon=True
        )
        pipes.append(here)
        worker.start()
        there.close()
        workers.append(worker)
    try:
        return _gather(pipes, search, limit, skipped)
    except (EOFError, BrokenPipeError):
        return None  # one ended before its time, such as for want of memory
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _shares(files: Sequence[Source]) -> list[list[Source]]:
    """The files in as many parts of about one size as processes pay."""
    if sys.platform in ("win32", "darwin") or threading.active_count() > 1:
        return []  # another process would begin anew there, and no fork may have half of the threads
    paths = [each for each in files if isinstance(each, str | Path) and str(each) != "-"]
    try:
        sizes = [os.stat(path).st_size for path in paths]
    except OSError:
        return []  # reading says which file it is
    total = sum(sizes)
    count = min(len(os.sched_getaffinity(0)), total // WORTH, len(files))
    if len(paths) < len(files) or count < 2:
        return []
    shares: list[list[Source]] = [[] for _ in range(count)]
    before = 0
    for path, size in zip(paths, sizes, strict=True):
        shares[min(before * count // total, count - 1)].append(path)
        before += size
    return [share for share in shares if share]


def _gather(
    pipes: Sequence[Connection], search: TraceSearch, limit: int | None, skipped: list[TraceFileError]
) -> tuple[list[Summary], int] | None:
    ids = [_told(pipe) for pipe in pipes]
    seen = Counter[str](trace_id for part in ids for trace_id in part)
    if not seen:
        return None
    torn = {trace_id for trace_id, parts in seen.items() if parts > 1}
    for pipe in pipes:
        pipe.send(torn)
    traces: dict[str, Trace] = {}
    for pipe in pipes:
        for part in _told(pipe):
            whole = traces.setdefault(part.trace_id, part)
            if whole is not part:
                whole.spans += part.spans
                whole.notes += part.notes
    for trace in traces.values():
        join(trace)
    theirs: list[_Found] = [_told(pipe) for pipe in pipes]
    for one in theirs:
        search.looked_at += one.looked_at
        search.undecided += one.undecided
        skipped += one.skipped
    found = [_of(search, traces.values(), limit), *theirs]
    summaries = [each for one in found for each in one.summaries]
    if limit is not None:
        summaries = sorted(summaries, key=lambda each: each.start_ns or 0, reverse=True)[:limit]
    return summaries, sum(one.count for one in found)


def _told(pipe: Connection) -> Any:
    """What the other side sent; raises what it raised."""
    told = pipe.recv()
    if isinstance(told, BaseException):
        raise told
    return told


def _look(
    pipe: Connection,
    others: Iterable[Connection],
    search: TraceSearch,
    files: list[Source],
    limit: int | None,
    tolerant: bool,
) -> None:
    """In a process of its own: the ids of the traces in these files, then those that are asked for, then what
    was found among the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this one ends it
    for other in others:
        other.close()  # the fork has the other ends, too, and would not see that they were closed
    skipped: list[TraceFileError] = []
    try:
        with TraceIndex(*files, tolerant=tolerant, skipped=skipped, alone=False) as index:
            pipe.send(index.ids)
            torn = pipe.recv()
            pipe.send([index.part(trace_id) for trace_id in index.ids if trace_id in torn])
            found = _of(search, (index.trace(one) for one in index.ids if one not in torn), limit)
            found.skipped = skipped
            pipe.send(found)
    except Exception as error:  # noqa: BLE001 - it is raised where this process was started
        pipe.send(error)


def _of(search: TraceSearch, traces: Iterable[Trace], limit: int | None) -> _Found:
    facts = search.among(traces)
    if limit is None:
        summaries = [each.summary for each in facts]
        count = len(summaries)
    else:
        latest, count = latest_of(facts, limit)
        summaries = list(latest)
    return _Found(summaries, count, search.looked_at, search.undecided, [])
