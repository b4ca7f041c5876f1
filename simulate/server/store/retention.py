"""How long traces stay, and how a person is forgotten."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import delete, func, select, text
from sqlalchemy.engine import Connection

from simulate.server.store.cases import forget_cases
from simulate.server.store.rollups import forget_before
from simulate.server.store.schema import feedback, incoming, rollups, sketches, tags, traces, unread
from simulate.server.store.search import Names
from simulate.server.store.store import Store
from simulate.server.store.summary import HOUR
from simulate.server.store.trace_tables import drop_details

_DAY = 24 * HOUR
_AT_ONCE = 200


def expire(store: Store, days: float | None, most_bytes: int | None, rollup_days: float = 400) -> int:
    """Remove traces that began more than ``days`` days ago, and the oldest beyond ``most_bytes`` of spans as
    they are kept; how many. Sums of hours stay for ``rollup_days``. None keeps everything."""
    now, gone = time.time_ns(), 0
    if days is not None:
        gone += _remove_all(store, traces.c.began_ns < now - int(days * _DAY))
        with store.write() as connection:
            for table in (unread, incoming):  # of what waits only scores of traces that never came are so old
                connection.execute(delete(table).where(table.c.received_ns < now - int(days * _DAY)))
    if most_bytes is not None and (until := _oldest_within(store, most_bytes)) is not None:
        gone += _remove_all(store, traces.c.began_ns < until)
    with store.write() as connection:
        forget_before(connection, int((now - rollup_days * _DAY) // HOUR))
    return gone


def _oldest_within(store: Store, most: int) -> int | None:
    """When the oldest trace began that there is still room for; None where there is room for all."""
    with store.read() as connection:
        if (connection.execute(select(func.sum(traces.c.bytes))).scalar() or 0) <= most:
            return None
        size = 0
        query = select(traces.c.began_ns, traces.c.bytes).order_by(traces.c.began_ns.desc())
        for began, each in connection.execute(query):
            size += each
            if size > most:
                return int(began) + 1
    return None


def _remove_all(store: Store, which: object) -> int:
    gone = 0
    while True:
        with store.write() as connection:
            query = select(traces.c.id).where(which).limit(_AT_ONCE)  # pyright: ignore[reportArgumentType]
            ids = list(connection.execute(query).scalars())
            remove(connection, ids)
        gone += len(ids)
        if len(ids) < _AT_ONCE:
            return gone


def remove(connection: Connection, ids: Sequence[int]) -> None:
    """Remove traces and all that was said of them; the sums of their hours stay."""
    if ids:
        drop_details(connection, ids)
        connection.execute(delete(feedback).where(feedback.c.trace.in_(ids)))
        connection.execute(delete(traces).where(traces.c.id.in_(ids)))


def forget_user(store: Store, user: str, names: Names, project: str | None = None) -> int:
    """Remove every trace of a person, what they said, the cases made of it, and the sums that name them; how
    many traces. Sums that name nobody stay as they are."""
    wanted = names(user)
    gone = 0
    with store.write() as connection:
        mine = tags.c.name.in_(("user",)) & tags.c.value.in_(wanted)
        if project is not None:
            mine &= tags.c.project == project
        ids = list(connection.execute(select(tags.c.trace).where(mine).distinct()).scalars())
        for start in range(0, len(ids), _AT_ONCE):
            remove(connection, ids[start : start + _AT_ONCE])
        gone += len(ids)
        of_project = [] if project is None else [feedback.c.project == project]
        connection.execute(delete(feedback).where(feedback.c.user.in_(wanted), *of_project))
        forget_cases(connection, wanted, project)
        for table in (rollups, sketches):
            named = (table.c.name == "user") & table.c.value.in_(wanted)
            connection.execute(
                delete(table).where(named if project is None else named & (table.c.project == project))
            )
    if store.is_sqlite:
        with store.write() as connection:  # the index of words keeps what was removed until it is merged
            connection.execute(text("INSERT INTO words (words) VALUES ('optimize')"))
    return gone
