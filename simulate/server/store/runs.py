"""Simulated runs: the traces that carry a run's id, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select

from simulate.server.store.schema import tags, traces
from simulate.server.store.store import Store


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """A run in a line. ``outcomes`` count trials; one whose outcome did not come is in none of them."""

    id: str
    began_ns: int
    traces: int
    failed: int
    dollars: float | None
    outcomes: dict[str, int]


def runs(store: Store, project: str, most: int = 100) -> list[SimulatedRun]:
    """The newest runs first."""
    began = func.min(traces.c.began_ns)
    unknown = func.sum(case((traces.c.dollars.is_(None), 1), else_=0))
    query = select(
        tags.c.value, began, func.count(), func.count(traces.c.failing), func.sum(traces.c.dollars), unknown
    ).join(traces, traces.c.id == tags.c.trace)
    query = query.where(tags.c.project == project, tags.c.name == "run")
    query = query.group_by(tags.c.value).order_by(began.desc()).limit(most)
    outcome = tags.alias("outcome")
    by_outcome = (
        select(tags.c.value, outcome.c.value, func.count())
        .join(outcome, (outcome.c.trace == tags.c.trace) & (outcome.c.name == "outcome"))
        .where(tags.c.project == project, tags.c.name == "run")
        .group_by(tags.c.value, outcome.c.value)
    )
    counted: dict[str, dict[str, int]] = {}
    with store.read() as connection:
        rows = connection.execute(query).all()
        for run, status, number in connection.execute(by_outcome):
            counted.setdefault(run, {})[status] = int(number)
    return [
        SimulatedRun(
            run, int(at), int(number), int(failed), None if missing else dollars, counted.get(run, {})
        )
        for run, at, number, failed, dollars, missing in rows
    ]
