"""What people said of an answer, joined to its trace: by trace, by session, or by user and time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from simulate.errors import InputError
from simulate.server.store.schema import feedback, tags, traces
from simulate.server.store.search import Names
from simulate.server.store.store import Store
from simulate.server.store.trace_tables import NEAR

RATINGS = ("up", "down")


@dataclass(frozen=True, slots=True)
class Feedback:
    """One piece: a rating, and of what. ``at_ns`` is when it was given."""

    rating: str
    trace_id: str | None = None
    session: str | None = None
    user: str | None = None
    at_ns: int | None = None
    comment: str | None = None


def give(store: Store, project: str, given: Feedback, names: Names) -> str | None:
    """Keep it; the id of the trace it was joined to, None where there is none yet. Raises InputError for one
    that says of nothing, or that rates neither up nor down."""
    if given.rating not in RATINGS:
        raise InputError(f"{given.rating!r} is not a rating", hint="send rating: up or down")
    if not (given.trace_id or given.session or given.user):
        raise InputError("the feedback does not say of what", hint="send trace_id, session, or user and at")
    at = given.at_ns or time.time_ns()
    comment = None if given.comment is None else store.redactor().text(given.comment)
    with store.write() as connection:
        found = connection.execute(_of(project, given, at, names)).first()
        row = {
            "project": project, "at_ns": at, "trace": found and found.id, "trace_id": given.trace_id,
            "session": given.session and names(given.session)[-1],
            "user": given.user and names(given.user)[-1], "rating": given.rating,
            "comment": comment,
        }  # fmt: skip
        connection.execute(insert(feedback).values(row))
        if found is None:
            return None
        connection.execute(update(traces).where(traces.c.id == found.id).values(feedback=given.rating))
        return str(found.trace_id)


def _of(project: str, given: Feedback, at: int, names: Names) -> Any:
    query = select(traces.c.id, traces.c.trace_id).where(traces.c.project == project)
    if given.trace_id:
        return query.where(traces.c.trace_id == given.trace_id)
    tag, values = (
        (("session", "conversation"), names(given.session))
        if given.session
        else (("user",), names(given.user or ""))
    )
    inside = select(tags.c.trace).where(
        tags.c.project == project, tags.c.name.in_(tag), tags.c.value.in_(values), tags.c.began_ns <= at
    )
    if not given.session:
        inside = inside.where(tags.c.began_ns >= at - NEAR)
    return query.where(traces.c.id.in_(inside)).order_by(traces.c.began_ns.desc()).limit(1)
