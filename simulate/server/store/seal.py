"""From what came to a whole trace in the store: joined, sampled, scored, counted, and findable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.engine import Connection

from simulate.server.store.incoming import came, packed, settle, unpacked
from simulate.server.store.rollups import Additions, dumped, loaded
from simulate.server.store.schema import clean_text, contents, feedback, scores, spans, tags, traces
from simulate.server.store.store import Store
from simulate.server.store.summary import TraceRows, rows_of
from simulate.trace.joining import join
from simulate.trace.reading import TraceReading
from simulate.trace.span import Event, Span, Trace

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


def seal(store: Store, names: Iterable[tuple[str, str]], finish: Finish = keep_all) -> list[Sealed]:
    """Make traces of what waits for these (project, trace id). All that takes time is done before the
    transaction, which would keep others from writing."""
    ready = [each for name in names if (each := _prepared(store, *name, finish)) is not None]
    done: list[Sealed] = []
    with store.write() as connection:
        added = Additions(store)
        for each in ready:
            with connection.begin_nested() as savepoint:
                if _is_current(store, connection, each):
                    _put(store, connection, each, added)
                    done.append(each.sealed)
                else:  # another process was first; what is left is tried again
                    savepoint.rollback()
        added.write(connection)
    return done


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


def _prepared(store: Store, project: str, trace_id: str, finish: Finish) -> _Prepared | None:
    with store.read() as connection:
        new = came(connection, project, trace_id)
        before = _before(connection, project, trace_id)
        data = None
        if before is not None:
            query = select(contents.c.data).where(contents.c.trace == before.id)
            data = connection.execute(query).scalar()
    old = [] if data is None else unpacked(data)
    if not (old or new.spans):
        return None
    trace = Trace(trace_id, [*old, *new.spans])
    join(trace)
    _attach(trace, new.scores)
    reading, why = finish(project, trace)
    if before is not None and before.is_kept and why is None:
        why = "kept before"  # a trace that was shown does not vanish because spans came
    if before is not None and not before.is_kept and why is not None:
        trace.notes.append("spans that came earlier were sampled out")
    rows = rows_of(reading)
    made = packed(reading.spans) if why is not None else b""
    return _Prepared(Sealed(project, reading, why, rows, before is None), before, new.rows, made)


def _before(connection: Connection, project: str, trace_id: str) -> _Before | None:
    mine = (traces.c.project == project) & (traces.c.trace_id == trace_id)
    columns = (traces.c.id, traces.c.sealed_ns, traces.c.rolled, traces.c.is_kept)
    row = connection.execute(select(*columns).where(mine)).first()
    return None if row is None else _Before(*row)


def _is_current(store: Store, connection: Connection, ready: _Prepared) -> bool:
    project, trace_id = ready.sealed.project, ready.sealed.rows.trace["trace_id"]
    if not store.is_sqlite:  # another process may be at the same trace
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        connection.execute(lock, {"name": f"{project} {trace_id}"})
    return _before(connection, project, trace_id) == ready.before and settle(connection, ready.came)


def _attach(trace: Trace, late: Sequence[tuple[str, Event]]) -> None:
    by_id = {span.span_id: span for span in trace.spans}
    for span_id, event in late:
        span = by_id.get(span_id) or (trace.spans[0] if trace.spans and not span_id else None)
        if span is None:
            trace.notes.append(f"a score came for a span that never did: {span_id}")
        elif event not in span.events:
            span.events.append(event)


def _put(store: Store, connection: Connection, ready: _Prepared, added: Additions) -> None:
    sealed, before = ready.sealed, ready.before
    project, rows = sealed.project, sealed.rows
    if before is not None:
        added.add(project, loaded(before.rolled), -1)
    added.add(project, rows.rolled)
    now = time.time_ns()
    row: dict[str, Any] = {
        **rows.trace, "project": project, "sealed_ns": now, "is_kept": sealed.kept is not None,
        "why_kept": sealed.kept or "", "about": orjson.dumps(rows.about).decode(),
        "rolled": dumped(rows.rolled), "bytes": len(ready.data),
    }  # fmt: skip
    row["began_ns"] = row["began_ns"] or now
    if before is None:
        made = connection.execute(insert(traces).values(row).returning(traces.c.id))
        trace = int(made.scalar_one())
    else:
        trace = before.id
        connection.execute(update(traces).where(traces.c.id == trace).values(row))
        drop_details(connection, [trace])
    _write_tags(connection, project, trace, int(row["began_ns"]), rows)
    if sealed.kept is not None:
        _write_details(store, connection, project, trace, int(row["began_ns"]), ready.data, rows)
    _join_feedback(connection, project, trace, rows.trace["trace_id"])


def _write_details(
    store: Store, connection: Connection, project: str, trace: int, began: int, data: bytes, rows: TraceRows
) -> None:
    connection.execute(insert(contents).values(trace=trace, data=data))
    if rows.spans:
        connection.execute(insert(spans), [{"trace": trace, **each} for each in rows.spans])
    shared = {"trace": trace, "project": project, "began_ns": began}
    if rows.scores:
        connection.execute(insert(scores), [{**shared, **each} for each in rows.scores])
    words = (
        "INSERT INTO words (rowid, text) VALUES (:trace, :text)"
        if store.is_sqlite
        else "INSERT INTO words (trace, text) VALUES (:trace, to_tsvector('simple', :text))"
    )
    connection.execute(text(words), {"trace": trace, "text": clean_text(rows.text)})


def _write_tags(connection: Connection, project: str, trace: int, began: int, rows: TraceRows) -> None:
    """A trace that sampling dropped has them, too: it is counted and forgotten by them."""
    shared = {"trace": trace, "project": project, "began_ns": began}
    if rows.tags:
        found = [{**shared, "name": name, "value": value} for name, value in rows.tags]
        connection.execute(insert(tags), found)


def drop_details(connection: Connection, ids: Sequence[int]) -> None:
    """Remove all that is kept of traces but their own rows."""
    key = "rowid" if connection.dialect.name == "sqlite" else "trace"
    for trace in ids:
        for table in (contents, spans, tags, scores):
            connection.execute(delete(table).where(table.c.trace == trace))
        connection.execute(text(f"DELETE FROM words WHERE {key} = :trace"), {"trace": trace})


def _join_feedback(connection: Connection, project: str, trace: int, trace_id: str) -> None:
    """Feedback may be there before the trace."""
    mine = (feedback.c.project == project) & (feedback.c.trace_id == trace_id)
    rating = connection.execute(
        select(feedback.c.rating).where(mine).order_by(feedback.c.at_ns.desc())
    ).scalar()
    if rating is not None:
        connection.execute(update(feedback).where(mine).values(trace=trace))
        connection.execute(update(traces).where(traces.c.id == trace).values(feedback=rating))


def spans_of(store: Store, trace: int) -> list[Span]:
    """The spans of a kept trace by its number; none for one that was dropped."""
    with store.read() as connection:
        data = connection.execute(select(contents.c.data).where(contents.c.trace == trace)).scalar()
    return [] if data is None else unpacked(data)
