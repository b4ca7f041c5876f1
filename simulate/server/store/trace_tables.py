"""The rows of traces: written and removed for many traces with one statement a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select, text, update
from sqlalchemy.engine import Connection

from simulate.server.store.many import execute_many
from simulate.server.store.schema import clean_text, contents, feedback, scores, spans, tags, traces
from simulate.server.store.summary import TraceRows

_AT_ONCE = 400
"""Values of one statement; SQLite takes a thousand."""
NEAR = 3_600_000_000_000
"""How long before feedback its trace may have begun, where only user and time are given, in nanoseconds."""
_JOINED_BY = {"session": "session", "conversation": "session", "user": "user"}
_WORDS = {
    "sqlite": "INSERT INTO words (rowid, text) VALUES (:trace, :text)",
    "postgresql": "INSERT INTO words (trace, text) VALUES (:trace, to_tsvector('simple', :text))",
}


@dataclass(frozen=True, slots=True)
class WholeTrace:
    """A trace to be written. ``id`` is None for one that is not there yet; ``row`` is that of `traces`;
    ``data`` is empty for one that sampling dropped."""

    id: int | None
    row: dict[str, Any]
    rows: TraceRows
    data: bytes


def write(connection: Connection, whole: Sequence[WholeTrace]) -> None:
    """Write them, in place of what was there of them."""
    numbered = _numbered(connection, whole)
    drop_details(connection, [each.id for each in whole if each.id is not None])
    kept = [(trace, each) for trace, each in numbered if each.row["is_kept"]]
    packed = [{"trace": trace, "data": each.data} for trace, each in kept]
    execute_many(connection, insert(contents), packed)
    narrow = [{"trace": trace, **row} for trace, each in kept for row in each.rows.spans]
    execute_many(connection, insert(spans), narrow)
    shared = {
        trace: {"trace": trace, "project": each.row["project"], "began_ns": each.row["began_ns"]}
        for trace, each in numbered
    }
    # a trace that sampling dropped has tags, too: it is counted and forgotten by them
    found = [
        {**shared[trace], "name": name, "value": value}
        for trace, each in numbered
        for name, value in each.rows.tags
    ]
    execute_many(connection, insert(tags), found)
    scored = [{**shared[trace], **row} for trace, each in kept for row in each.rows.scores]
    execute_many(connection, insert(scores), scored)
    if kept:
        words = [{"trace": trace, "text": clean_text(each.rows.text)} for trace, each in kept]
        connection.execute(text(_WORDS[connection.dialect.name]), words)
    _join_feedback(connection, numbered)


def _numbered(connection: Connection, whole: Sequence[WholeTrace]) -> list[tuple[int, WholeTrace]]:
    """Each trace with its number; their own rows are there by then."""
    new = [each for each in whole if each.id is None]
    old = [(each.id, each) for each in whole if each.id is not None]
    if old:
        where = update(traces).where(traces.c.id == bindparam("number"))
        connection.execute(where, [{"number": number, **each.row} for number, each in old])
    if not new:
        return old
    made = insert(traces).returning(traces.c.id, sort_by_parameter_order=True)
    numbers = connection.execute(made, [each.row for each in new]).scalars()
    return [*old, *zip(map(int, numbers), new, strict=True)]


def drop_details(connection: Connection, ids: Sequence[int]) -> None:
    """Remove all that is kept of traces but their own rows."""
    key = "rowid" if connection.dialect.name == "sqlite" else "trace"
    words = text(f"DELETE FROM words WHERE {key} IN :ids").bindparams(bindparam("ids", expanding=True))
    for start in range(0, len(ids), _AT_ONCE):
        some = list(ids[start : start + _AT_ONCE])
        for table in (contents, spans, tags, scores):
            connection.execute(delete(table).where(table.c.trace.in_(some)))
        connection.execute(words, {"ids": some})


def _join_feedback(connection: Connection, numbered: Sequence[tuple[int, WholeTrace]]) -> None:
    """Feedback may be there before the trace."""
    by_name: dict[str, dict[tuple[str, str], tuple[int, int]]] = {"trace_id": {}, "session": {}, "user": {}}
    for trace, each in numbered:
        project, place = each.row["project"], (trace, int(each.row["began_ns"]))
        by_name["trace_id"][project, each.row["trace_id"]] = place
        for tag, value in each.rows.tags:
            if (name := _JOINED_BY.get(tag)) is not None:
                by_name[name][project, value] = place
    wanted = [
        feedback.c[name].in_([value for _, value in places]) for name, places in by_name.items() if places
    ]
    query = select(feedback).where(feedback.c.trace.is_(None), or_(*wanted)).order_by(feedback.c.at_ns)
    for given in connection.execute(query).mappings().all():
        # what was given is asked for: a trace id before a session, a session before a user
        name = next(name for name in by_name if given[name])
        place, at = by_name[name].get((given["project"], given[name])), int(given["at_ns"])
        if place is None or (name != "trace_id" and at < place[1]):
            continue
        if name == "user" and at - place[1] > NEAR:
            continue
        connection.execute(update(feedback).where(feedback.c.id == given["id"]).values(trace=place[0]))
        connection.execute(update(traces).where(traces.c.id == place[0]).values(feedback=given["rating"]))
