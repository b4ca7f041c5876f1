"""Sums and sketches by hour: counted before sampling, so that rates and costs stay true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import delete, func, select
from sqlalchemy.engine import Connection

from simulate.server.store.many import execute_many
from simulate.server.store.schema import rollups, sketches
from simulate.server.store.sketch import quantile
from simulate.server.store.store import Store
from simulate.server.store.summary import Rolled

SUMS = ("traces", "errors", "priced", "succeeded", "breached", "tokens", "dollars")
DAY = 24
_KEY = ("project", "hour", "name", "value")


def dumped(rolled: Iterable[Rolled]) -> str:
    """What a trace added, as its row keeps it."""
    return orjson.dumps(list(rolled)).decode()


def loaded(text: str) -> list[Rolled]:
    """The same again."""
    return [Rolled(**each) for each in orjson.loads(text)]


class Additions:
    """What a batch of traces adds to the sums, and takes away where a trace was counted before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sums: defaultdict[tuple[Any, ...], defaultdict[str, float]] = defaultdict(
            lambda: defaultdict(float)
        )
        self._bins: defaultdict[tuple[Any, ...], int] = defaultdict(int)

    def add(self, project: str, rolled: Iterable[Rolled], sign: int = 1) -> None:
        """Count a trace, or with ``sign`` -1 no longer."""
        for each in rolled:
            key = (project, each.hour, each.name, each.value)
            for name, amount in each.sums.items():
                self._sums[key][name] += sign * amount
            for measure, place in each.bins.items():
                self._bins[*key, measure, place] += sign

    def write(self, connection: Connection) -> None:
        """Add all of it."""
        # in one order everywhere: two processes that write the same rows do not wait for each other
        rows = [
            {**dict(zip(_KEY, key, strict=True)), **{name: sums.get(name, 0) for name in SUMS}}
            for key, sums in sorted(self._sums.items())
        ]
        if rows:
            new = self._store.insert(rollups)
            kept = {name: rollups.c[name] + new.excluded[name] for name in SUMS}
            execute_many(connection, new.on_conflict_do_update(index_elements=_KEY, set_=kept), rows)
        columns = (*_KEY, "measure", "bin")
        bins = [
            {**dict(zip(columns, key, strict=True)), "count": count}
            for key, count in sorted(self._bins.items())
            if count
        ]
        if bins:
            new = self._store.insert(sketches)
            kept = {"count": sketches.c.count + new.excluded["count"]}
            execute_many(connection, new.on_conflict_do_update(index_elements=columns, set_=kept), bins)


def _step(column: Any, step: int) -> Any:
    """The beginning of the step that an hour lies in, in whole numbers in both databases."""
    return column - column % step if step > 1 else column


def _chosen(table: Any, project: str, since: int, until: int, name: str, value: str | None) -> Any:
    found = (table.c.project == project) & (table.c.name == name)
    found &= (table.c.hour >= since) & (table.c.hour <= until)
    return found if value is None else found & (table.c.value == value)


def over_time(
    store: Store, project: str, since: int, until: int, *, step: int = 1, name: str = "all", value: str = ""
) -> dict[int, dict[str, float]]:
    """The sums of each step of ``step`` hours from ``since`` to ``until`` (hours since the epoch) in which
    anything was; a step that is not there had no trace."""
    place = _step(rollups.c.hour, step)
    query = select(place.label("at"), *(func.sum(rollups.c[each]).label(each) for each in SUMS))
    query = query.where(_chosen(rollups, project, since, until, name, value)).group_by(place)
    with store.read() as connection:
        rows = connection.execute(query).mappings().all()
    return {int(row["at"]): _plain(row) for row in rows if row["traces"]}


def by_value(
    store: Store, project: str, since: int, until: int, name: str, most: int
) -> dict[str, dict[str, float]]:
    """The sums of each value of a tag, the dearest first, at most ``most``."""
    sums = [func.sum(rollups.c[each]).label(each) for each in SUMS]
    query = select(rollups.c.value, *sums).where(_chosen(rollups, project, since, until, name, None))
    query = query.group_by(rollups.c.value).order_by(sums[-1].desc(), sums[0].desc(), rollups.c.value)
    with store.read() as connection:
        rows = connection.execute(query.limit(most)).mappings().all()
    return {str(row["value"]): _plain(row) for row in rows if row["traces"]}


def _plain(row: Any) -> dict[str, float]:
    return {each: float(row[each]) if each == "dollars" else int(row[each]) for each in SUMS}


def quantiles(
    store: Store, project: str, since: int, until: int, measure: str, shares: tuple[float, ...],
    *, step: int = 1, name: str = "all", value: str = "",
) -> dict[int, list[float | None]]:  # fmt: skip
    """The quantiles of a measure (``seconds``, ``first_token``) in each step that has any."""
    place = _step(sketches.c.hour, step)
    chosen = _chosen(sketches, project, since, until, name, value) & (sketches.c.measure == measure)
    query = (
        select(place, sketches.c.bin, func.sum(sketches.c.count))
        .where(chosen)
        .group_by(place, sketches.c.bin)
    )
    bins: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    with store.read() as connection:
        for at, where, count in connection.execute(query):
            bins[int(at)].append((int(where), int(count)))
    found = {at: [quantile(each, share) for share in shares] for at, each in sorted(bins.items())}
    return {at: values for at, values in found.items() if values[0] is not None}


def forget_before(connection: Connection, hour: int) -> None:
    """Drop the sums of the hours before."""
    for table in (rollups, sketches):
        connection.execute(delete(table).where(table.c.hour < hour))
