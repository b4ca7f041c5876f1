"""Cases of golden datasets as the store keeps them, and what people decided about their answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import case as when
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection

from simulate.errors import InputError
from simulate.server.store.schema import cases, labels
from simulate.server.store.store import Store

CANDIDATE, VERIFIED, REJECTED = "candidate", "verified", "rejected"
LABELS = ("yes", "no", "cannot tell")
_COLUMNS = (
    cases.c.id, cases.c.dataset, cases.c.name, cases.c.trace_id, cases.c.state, cases.c.scenario,
    cases.c.origin, cases.c.data, cases.c.added_ns, cases.c.added_by, cases.c.reviewed_ns,
    cases.c.reviewed_by, cases.c.users,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeptCase:
    """A case: ``scenario`` is its YAML, ``data`` its trace as OTLP JSON lines, ``state`` one of `CANDIDATE`,
    `VERIFIED` and `REJECTED`."""

    id: int
    dataset: str
    name: str
    trace_id: str
    state: str
    scenario: str
    origin: dict[str, Any]
    data: bytes
    added_ns: int
    added_by: str
    reviewed_ns: int | None
    reviewed_by: str | None
    users: list[str]


@dataclass(frozen=True, slots=True)
class AnswerLabel:
    """Whether the agent said what ``said`` describes: ``agent`` are its lines, ``label`` one of `LABELS`."""

    said: str
    agent: list[str]
    label: str
    by: str


def put_case(
    store: Store, project: str, kept: dict[str, Any], users: Sequence[str], instead_of: int | None = None
) -> None:
    """Keep a case, as a candidate, in place of one of the same name, and of the one with the number
    ``instead_of``, whose labels it takes over."""
    row = {
        **kept, "project": project, "state": CANDIDATE, "users": orjson.dumps(list(users)).decode(),
        "added_ns": time.time_ns(), "reviewed_ns": None, "reviewed_by": None,
    }  # fmt: skip
    new = store.insert(cases).values(row)
    replaced = {name: new.excluded[name] for name in row}
    key = ("project", "dataset", "name")
    with store.write() as connection:
        done = connection.execute(
            new.on_conflict_do_update(index_elements=key, set_=replaced).returning(cases.c.id)
        )
        number = int(done.scalar_one())
        if instead_of is not None and instead_of != number:
            connection.execute(update(labels).where(labels.c.case == instead_of).values(case=number))
            connection.execute(delete(cases).where(cases.c.id == instead_of))


def datasets(store: Store, project: str) -> dict[str, dict[str, int]]:
    """Dataset → how many of its cases are in each state."""
    found: dict[str, dict[str, int]] = {}
    query = select(cases.c.dataset, cases.c.state, func.count()).where(cases.c.project == project)
    query = query.group_by(cases.c.dataset, cases.c.state).order_by(cases.c.dataset)
    with store.read() as connection:
        for dataset, state, number in connection.execute(query):
            found.setdefault(dataset, {CANDIDATE: 0, VERIFIED: 0, REJECTED: 0})[state] = int(number)
    return found


def cases_of(store: Store, project: str, dataset: str) -> list[KeptCase]:
    """The cases of a dataset: those that wait for somebody first, the oldest of them first."""
    order = when({CANDIDATE: 0, VERIFIED: 1}, value=cases.c.state, else_=2)
    query = select(*_COLUMNS).where(cases.c.project == project, cases.c.dataset == dataset)
    with store.read() as connection:
        return [_case(row) for row in connection.execute(query.order_by(order, cases.c.id))]


def case_of(store: Store, project: str, dataset: str, name: str) -> KeptCase | None:
    """One case; None where there is none."""
    query = select(*_COLUMNS).where(
        cases.c.project == project, cases.c.dataset == dataset, cases.c.name == name
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else _case(row)


def made_of(store: Store, project: str, trace_id: str) -> list[KeptCase]:
    """The cases that were made of a trace."""
    query = select(*_COLUMNS).where(cases.c.project == project, cases.c.trace_id == trace_id)
    with store.read() as connection:
        return [_case(row) for row in connection.execute(query.order_by(cases.c.id))]


def _case(row: Any) -> KeptCase:
    told = dict(row._mapping)
    return KeptCase(**{**told, "origin": orjson.loads(told["origin"]), "users": orjson.loads(told["users"])})


def review(store: Store, case: KeptCase, state: str, by: str) -> None:
    """Say that a case is right or that it is not. Raises InputError where nobody says so."""
    if state not in (CANDIDATE, VERIFIED, REJECTED):
        raise InputError(f"{state[:20]!r} is not a state of a case")
    if not by:
        raise InputError("who says so?", hint="give a name: each verified case has one")
    now = time.time_ns()
    with store.write() as connection:
        row = {"state": state, "reviewed_ns": now, "reviewed_by": by}
        connection.execute(update(cases).where(cases.c.id == case.id).values(row))


def add_label(store: Store, case: KeptCase, given: AnswerLabel) -> None:
    """Keep what somebody decided. Raises InputError for a label that there is not, or about nothing."""
    if given.label not in LABELS:
        raise InputError(f"{given.label[:20]!r} is not a label", hint=f"labels are {', '.join(LABELS)}")
    if not (given.said and given.by and given.agent):
        raise InputError("a label needs what should have been said, an answer, and who decided")
    same = (labels.c.case == case.id, labels.c.said == given.said)
    row = {
        "case": case.id, "said": given.said, "agent": orjson.dumps(given.agent).decode(),
        "label": given.label, "by": given.by, "at_ns": time.time_ns(),
    }  # fmt: skip
    with store.write() as connection:
        # who decides again corrects: a judge is not measured by two labels of one thing
        connection.execute(delete(labels).where(*same, labels.c.agent == row["agent"]))
        connection.execute(insert(labels).values(row))


def labels_of(store: Store, project: str, dataset: str, case: int | None = None) -> list[AnswerLabel]:
    """The labels of a dataset, or of one of its cases, in the order in which they were given."""
    query = select(labels.c.said, labels.c.agent, labels.c.label, labels.c.by)
    query = query.join(cases, cases.c.id == labels.c.case)
    query = query.where(cases.c.project == project, cases.c.dataset == dataset)
    if case is not None:
        query = query.where(cases.c.id == case)
    with store.read() as connection:
        rows = connection.execute(query.order_by(labels.c.id)).all()
    return [AnswerLabel(said, orjson.loads(agent), label, by) for said, agent, label, by in rows]


def forget_cases(connection: Connection, users: Sequence[str], project: str | None) -> None:
    """Remove the cases that are about one of these people."""
    query = select(cases.c.id, cases.c.users)
    if project is not None:
        query = query.where(cases.c.project == project)
    wanted = set(users)
    gone = [number for number, told in connection.execute(query) if wanted & set(orjson.loads(told))]
    for number in gone:
        connection.execute(delete(labels).where(labels.c.case == number))
        connection.execute(delete(cases).where(cases.c.id == number))
