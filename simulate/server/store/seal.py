"""From what came to a whole trace in the store: joined, sampled, scored, counted, and findable."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select, text
from sqlalchemy.engine import Connection

from simulate.server.store.incoming import Came, Name, came, of_names, packed, settle, unpacked
from simulate.server.store.rollups import Additions, dumped, loaded
from simulate.server.store.schema import contents, traces
from simulate.server.store.store import Store
from simulate.server.store.summary import TraceRows, rows_of
from simulate.server.store.trace_tables import WholeTrace, write
from simulate.trace.joining import join
from simulate.trace.reading import TraceReading
from simulate.trace.span import Event, Span, Trace

_MOST_PARTS = 4
Finish = Callable[[str, Trace], tuple[TraceReading, str | None]]
"""Scores a trace of a project and says why it is kept; None drops it."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A trace that was put away; ``reading`` is what it says, ``is_new`` whether it was not there before."""

    project: str
    reading: TraceReading
    kept: str | None
    rows: TraceRows
    is_new: bool


def keep_all(project: str, trace: Trace) -> tuple[TraceReading, str | None]:
    """No scores, no sampling."""
    return TraceReading(trace), "all are kept"


def seal(store: Store, names: Sequence[Name], finish: Finish = keep_all) -> list[Sealed]:
    """Make traces of what waits for these (project, trace id). All that takes time is done before the
    transaction, which would keep others from writing."""
    there = _there(store, names)
    ready = [each for name in names if (each := _prepared(name, there, finish)) is not None]
    while ready:
        try:
            with store.write() as connection:
                _put(store, connection, ready)
            break
        except _Raced as raced:  # another process was first; what is left of those is tried again
            ready = [each for each in ready if each.name not in raced.names]
    return [each.sealed for each in ready]


class _Raced(Exception):
    """Traces of which another process has taken something meanwhile."""

    def __init__(self, names: set[Name]) -> None:
        super().__init__(names)
        self.names = names


@dataclass(frozen=True, slots=True)
class _Before:
    """The trace as it is in the store."""

    id: int
    sealed_ns: int
    rolled: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class _Prepared:
    """All that is to be written, and what it was made from."""

    sealed: Sealed
    before: _Before | None
    came: list[int]
    data: bytes

    @property
    def name(self) -> Name:
        """Project and trace id."""
        return self.sealed.project, self.sealed.rows.trace["trace_id"]


@dataclass(frozen=True, slots=True)
class _There:
    """What the store has of traces: what came, how they were before, and the spans that they had."""

    came: dict[Name, Came]
    before: dict[Name, _Before]
    contents: dict[int, bytes]


def _there(store: Store, names: Sequence[Name]) -> _There:
    with store.read() as connection:
        before = _before(connection, names)
        query = select(contents.c.trace, contents.c.data)
        query = query.where(contents.c.trace.in_([each.id for each in before.values()]))
        old = {int(row[0]): row[1] for row in connection.execute(query)} if before else {}
        return _There(came(connection, names, store.recent), before, old)


def _prepared(name: Name, there: _There, finish: Finish) -> _Prepared | None:
    project, trace_id = name
    new, before = there.came[name], there.before.get(name)
    data = None if before is None else there.contents.get(before.id)
    old = [] if data is None else unpacked(data)
    if not (old or new.spans):
        return None
    given = [(span, list(span.events)) for span in (*old, *new.spans)]
    trace = Trace(trace_id, [span for span, _ in given])
    join(trace)
    _attach(trace, new.scores)
    reading, why = finish(project, trace)
    if before is not None and before.is_kept and why is None:
        why = "kept before"  # a trace that was shown does not vanish because spans came
    if before is not None and not before.is_kept and why is not None:
        trace.notes.append("spans that came earlier were sampled out")
    rows = rows_of(reading)
    made = b"" if why is None else _packed(reading.spans, given, [*filter(None, [data]), *new.packed])
    return _Prepared(Sealed(project, reading, why, rows, before is None), before, new.rows, made)


def _packed(spans: list[Span], given: list[tuple[Span, list[Event]]], parts: list[bytes]) -> bytes:
    """The spans as they are kept: where nothing changed them, as they came, which saves packing them again.
    Spans that came apart are packed apart then, which takes more room."""
    same = len(spans) == len(given) and len(parts) <= _MOST_PARTS
    if same and all(
        span is one and span.events == events for span, (one, events) in zip(spans, given, strict=True)
    ):
        return b"".join(parts)
    return packed(spans)


def _before(connection: Connection, names: Collection[Name]) -> dict[Name, _Before]:
    columns = (traces.c.id, traces.c.sealed_ns, traces.c.rolled, traces.c.is_kept)
    query = select(traces.c.project, traces.c.trace_id, *columns).where(*of_names(traces, names))
    return {(row[0], row[1]): _Before(*row[2:]) for row in connection.execute(query)}


def _attach(trace: Trace, late: Sequence[tuple[str, Event]]) -> None:
    by_id = {span.span_id: span for span in trace.spans}
    for span_id, event in late:
        span = by_id.get(span_id) or (trace.spans[0] if trace.spans and not span_id else None)
        if span is None:
            trace.notes.append(f"a score came for a span that never did: {span_id}")
        elif event not in span.events:
            span.events.append(event)


def _put(store: Store, connection: Connection, ready: Sequence[_Prepared]) -> None:
    if (
        not store.is_sqlite
    ):  # another process may be at the same traces; in one order, so that none waits for ever
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        for project, trace_id in sorted(each.name for each in ready):
            connection.execute(lock, {"name": f"{project} {trace_id}"})
    there = _before(connection, [each.name for each in ready])
    raced = {each.name for each in ready if there.get(each.name) != each.before}
    if not raced and not settle(connection, [row for each in ready for row in each.came]):
        raced = {each.name for each in ready if not settle(connection, each.came)}
    if raced:
        raise _Raced(raced)
    added = Additions(store)
    for each in ready:
        if each.before is not None:
            added.add(each.sealed.project, loaded(each.before.rolled), -1)
        added.add(each.sealed.project, each.sealed.rows.rolled)
    write(connection, [_whole(each) for each in ready])
    added.write(connection)


def _whole(ready: _Prepared) -> WholeTrace:
    sealed, rows, now = ready.sealed, ready.sealed.rows, time.time_ns()
    row: dict[str, Any] = {
        **rows.trace, "project": sealed.project, "sealed_ns": now, "is_kept": sealed.kept is not None,
        "why_kept": sealed.kept or "", "about": orjson.dumps(rows.about).decode(),
        "rolled": dumped(rows.rolled), "bytes": len(ready.data),
    }  # fmt: skip
    row["began_ns"] = row["began_ns"] or now
    return WholeTrace(ready.before and ready.before.id, row, rows, ready.data)


def spans_of(store: Store, trace: int) -> list[Span]:
    """The spans of a kept trace by its number; none for one that was dropped."""
    with store.read() as connection:
        data = connection.execute(select(contents.c.data).where(contents.c.trace == trace)).scalar()
    return [] if data is None else unpacked(data)
