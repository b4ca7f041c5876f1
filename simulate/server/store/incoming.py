"""What came and is not part of a trace yet: kept before it is acknowledged, so that a kill loses nothing."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import ColumnElement, Table, delete, func, insert, select
from sqlalchemy.engine import Connection

from simulate.server.store.recent import Recent
from simulate.server.store.schema import incoming, unread
from simulate.server.store.store import Store
from simulate.trace.otlp.decode import from_protobuf
from simulate.trace.otlp.encode import to_protobuf
from simulate.trace.span import Event, Span

SPANS, SCORE = "spans", "score"
Row = dict[str, Any]
Name = tuple[str, str]
"""Project and trace id."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A trace of which something came: ``since`` is when the last of it did, ``rows`` of the table."""

    project: str
    trace_id: str
    since: int
    spans: int


def packed(spans: Sequence[Span]) -> bytes:
    """Spans as they are kept."""
    return zlib.compress(to_protobuf(spans).SerializeToString(), 1)


def unpacked(data: bytes) -> list[Span]:
    """What `packed` packed; also of several, one after another."""
    spans = list[Span]()
    while data:
        stream = zlib.decompressobj()
        spans += from_protobuf(ExportTraceServiceRequest.FromString(stream.decompress(data) + stream.flush()))
        data = stream.unused_data
    return spans


def span_row(project: str, trace_id: str, spans: Sequence[Span], now: int) -> Row:
    """The row of redacted spans of one trace."""
    return _row(project, trace_id, now, len(spans), SPANS, packed(spans))


def score_row(project: str, trace_id: str, span_id: str, event: Event, now: int) -> Row:
    """The row of a score that came as a log event."""
    data = orjson.dumps([span_id, event.name, event.time_ns, event.attributes], default=str)
    return _row(project, trace_id, now, 0, SCORE, data)


def _row(project: str, trace_id: str, now: int, spans: int, what: str, data: bytes) -> Row:
    return {
        "project": project, "trace_id": trace_id, "received_ns": now, "spans": spans, "what": what,
        "data": data,
    }  # fmt: skip


def score_of(data: bytes) -> tuple[str, Event]:
    """The span's id and the event of a score's row."""
    span_id, name, time_ns, attributes = orjson.loads(data)
    return span_id, Event(name, time_ns, attributes)


def put(store: Store, rows: Sequence[Row]) -> None:
    """Keep them, all or none; they are on the disk when this returns."""
    if rows:
        with store.write() as connection:
            connection.execute(insert(incoming), list(rows))


def put_unread(store: Store, rows: Sequence[Row]) -> None:
    """Keep requests that could not be read."""
    with store.write() as connection:
        connection.execute(insert(unread), list(rows))


def waiting(store: Store) -> list[Waiting]:
    """The traces of which something came, the one that has waited longest first."""
    last = func.max(incoming.c.received_ns)
    query = select(incoming.c.project, incoming.c.trace_id, last, func.sum(incoming.c.spans))
    query = query.group_by(incoming.c.project, incoming.c.trace_id).order_by(last)
    with store.read() as connection:
        return [Waiting(row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Came:
    """What came for a trace, in order; ``rows`` are the numbers of its rows, ``packed`` its spans as they
    are kept."""

    rows: list[int]
    packed: list[bytes]
    spans: list[Span]
    scores: list[tuple[str, Event]]


def of_names(table: Table, names: Collection[Name]) -> tuple[ColumnElement[bool], ...]:
    """Tests that an index answers. They also find a trace of the same id in another of the projects."""
    projects = {project for project, _ in names}
    return table.c.project.in_(projects), table.c.trace_id.in_({trace_id for _, trace_id in names})


def came(connection: Connection, names: Collection[Name], recent: Recent) -> dict[Name, Came]:
    """What waits for traces, by project and trace id."""
    query = select(incoming.c.project, incoming.c.trace_id, incoming.c.id, incoming.c.what, incoming.c.data)
    found = {name: Came([], [], [], []) for name in names}
    for project, trace_id, row, what, data in connection.execute(
        query.where(*of_names(incoming, names)).order_by(incoming.c.id)
    ):
        of_trace = found.get((project, trace_id))
        if of_trace is None:  # of another project
            continue
        of_trace.rows.append(row)
        if what == SPANS:
            of_trace.packed.append(data)
            of_trace.spans.extend(recent.pop(data) or unpacked(data))
        else:
            of_trace.scores.append(score_of(data))
    return found


def settle(connection: Connection, rows: Sequence[int]) -> bool:
    """These rows wait no longer; False where another process has taken some of them."""
    gone = 0
    for start in range(0, len(rows), 500):  # a statement takes only so many values
        some = incoming.c.id.in_(rows[start : start + 500])
        gone += connection.execute(delete(incoming).where(some)).rowcount
    return gone == len(rows)
