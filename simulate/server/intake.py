"""The way in: an export is read, redacted and kept, and only then acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy.exc import DBAPIError

from simulate.errors import InputError
from simulate.local_server import Refused
from simulate.server.jobs import Problems, told
from simulate.server.store.incoming import Row, put, put_unread, score_row, span_row
from simulate.server.store.store import Store, reason
from simulate.trace.capture.otlp_http import EVALUATION, JSON
from simulate.trace.files.base import Notes
from simulate.trace.files.documents import load
from simulate.trace.otlp.decode import attributes, from_json, from_protobuf, json_attributes
from simulate.trace.redaction.redact import Redactor
from simulate.trace.span import Event, Span

MOST_WAITING = 500_000
"""Spans that were acknowledged and are not part of a trace yet, above which exporters are asked to wait."""
_UNREADABLE = (InputError, DecodeError, ValueError, TypeError, AttributeError, KeyError)
_LONGEST_UNREAD = 1 << 20
_EXPORTS = "exports"
_RENEW = 50_000
PATIENCE = 8.0
"""Seconds that the store has to keep an export; the usual exporter gives up after ten."""


@dataclass(slots=True)
class Counts:
    """What came since the server started."""

    requests: int = 0
    spans: int = 0
    rejected: int = 0
    unread: int = 0
    redacted: dict[str, int] = field(default_factory=dict[str, int])


class SpanIntake:
    """Takes exports in. `run` must be running: it commits what several requests brought together. While
    exports cannot be kept, ``problems`` says why."""

    def __init__(
        self, store: Store, redactor: Callable[[], Redactor] | None = None, problems: Problems | None = None
    ) -> None:
        self._store = store
        self._problems = {} if problems is None else problems
        self._new_redactor = redactor or store.redactor
        self._redactor = self._new_redactor()
        self._since_renewed = 0
        self._pending: list[tuple[list[Row], asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        # one thread: redaction is Python's own work, and two would only wait for each other
        self._reader = ThreadPoolExecutor(1, "simulate-intake")
        self.waiting = 0
        """Spans that are not part of a trace yet, as far as known."""
        self.counts = Counts()

    async def take(
        self, project: str, signal: str, body: bytes, kind: str, path: str
    ) -> tuple[int, str] | None:
        """Take one export in; the spans rejected and why, or None where all is well. Raises Refused: 400 for
        what cannot be read, which is kept aside; 429 or 503 for what may be sent again."""
        if self.waiting > MOST_WAITING:
            raise Refused(429, f"{self.waiting:,} spans are waiting to become traces")
        self.counts.requests += 1
        if signal == "metrics":
            return None
        loop = asyncio.get_running_loop()
        try:
            rows, spans, rejected = await loop.run_in_executor(
                self._reader, self.rows, project, signal, body, kind
            )
        except _UNREADABLE as error:
            await self._keep_unread(project, body, kind, path, type(error).__name__)
            raise Refused(400, f"not an OTLP {signal} request: {type(error).__name__}") from error
        await self._put(rows)
        self.waiting += spans
        self.counts.spans += spans
        self.counts.rejected += rejected
        return (rejected, "spans need a trace id of 16 bytes and a span id of 8") if rejected else None

    async def run(self) -> None:
        """Commit what came, as often as something has."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            # who was told to send again will do so
            batch = [(rows, done) for rows, done in self._pending if not done.done()]
            self._pending = []
            problem: Exception | None = None
            try:
                await asyncio.to_thread(put, self._store, [row for rows, _ in batch for row in rows])
                self._problems.pop(_EXPORTS, None)
            except Exception as error:  # noqa: BLE001 - each waiting request gets it
                self._problems[_EXPORTS] = told(error)
                problem = _unavailable(error) if isinstance(error, DBAPIError) else error
            for _, done in batch:
                if not done.done():
                    done.set_result(None) if problem is None else done.set_exception(problem)

    async def _put(self, rows: list[Row]) -> None:
        if not rows:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((rows, done))
        self._wake.set()
        try:
            async with asyncio.timeout(PATIENCE):
                await done
        except TimeoutError:
            self._pending = [each for each in self._pending if each[1] is not done]
            self._problems[_EXPORTS] = message = f"the store did not answer for {PATIENCE:g} s"
            raise Refused(503, message) from None

    async def _keep_unread(self, project: str, body: bytes, kind: str, path: str, why: str) -> None:
        self.counts.unread += 1
        # bytes that are no text stay as they are; texts among them are redacted all the same
        text = body[:_LONGEST_UNREAD].decode("utf-8", "surrogateescape")
        redacted = self._new_redactor().text(text).encode("utf-8", "surrogateescape")
        row: Row = {
            "project": project, "received_ns": time.time_ns(), "path": path, "content_type": kind,
            "why": why, "data": redacted,
        }  # fmt: skip
        try:
            await asyncio.to_thread(put_unread, self._store, [row])
        except DBAPIError as error:
            raise _unavailable(error) from error

    def rows(self, project: str, signal: str, body: bytes, kind: str) -> tuple[list[Row], int, int]:
        """The rows of a request, its spans, and how many spans had no valid id."""
        now = time.time_ns()
        redactor = self._redact_with()
        if signal == "logs":
            scores = _json_scores(body) if kind == JSON else _scores(body)
            return [_score_row(project, one, redactor, now) for one in scores], 0, 0
        notes = Notes("the request", tolerant=True)
        spans = (
            from_json(load(body, notes), notes)
            if kind == JSON
            else from_protobuf(ExportTraceServiceRequest.FromString(body), notes)
        )
        by_trace: defaultdict[str, list[Span]] = defaultdict(list)
        changed = set[str]()
        there = list(spans)
        valid = [span for span in there if _valid(span)]
        for span, redacted in zip(valid, redactor.spans(valid), strict=True):
            by_trace[span.trace_id].append(redacted)
            if redacted != span:
                changed.add(span.trace_id)
        count, rejected = len(valid), len(there) - len(valid)
        self._since_renewed += count
        self.counts.redacted = dict(redactor.counts)
        rows = [span_row(project, trace_id, some, now) for trace_id, some in by_trace.items()]
        if kind != JSON:  # what another form or redaction made may read otherwise once it was packed
            for row, (trace_id, some) in zip(rows, by_trace.items(), strict=True):
                if trace_id not in changed:
                    self._store.recent.keep(row["data"], some)
        return rows, count, rejected + notes.left_out

    def _redact_with(self) -> Redactor:
        """The redactor, made anew now and then: it remembers each placeholder that it gave."""
        if self._since_renewed > _RENEW:
            counts, self._since_renewed = self._redactor.counts, 0
            self._redactor = self._new_redactor()
            self._redactor.counts = counts
        return self._redactor


def _valid(span: Span) -> bool:
    ids = (span.trace_id, 32), (span.span_id, 16)
    return all(len(each) == length and each.strip("0") for each, length in ids)


def _unavailable(error: DBAPIError) -> Refused:
    return Refused(503, f"the store cannot take it now: {reason(error)}")


_Score = tuple[str, str, Event]


def _score_row(project: str, score: _Score, redactor: Redactor, now: int) -> Row:
    trace_id, span_id, event = score
    clean = Event(event.name, event.time_ns, redactor.value(event.attributes))
    return score_row(project, trace_id, span_id, clean, now)


def _scores(body: bytes) -> Iterator[_Score]:
    for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for of_scope in of_resource.scope_logs:
            for record in of_scope.log_records:
                found = attributes(record.attributes)
                if EVALUATION in (record.event_name, found.get("event.name")) and record.trace_id:
                    moment = record.time_unix_nano or record.observed_time_unix_nano
                    event = Event(EVALUATION, moment, found)
                    yield record.trace_id.hex(), record.span_id.hex(), event


def _json_scores(body: bytes) -> Iterator[_Score]:
    document: dict[str, Any] = load(body, Notes("the request", tolerant=True))
    for of_resource in document.get("resourceLogs") or ():
        for of_scope in of_resource.get("scopeLogs") or ():
            for record in of_scope.get("logRecords") or ():
                found = json_attributes(record.get("attributes"))
                if EVALUATION in (record.get("eventName"), found.get("event.name")) and record.get("traceId"):
                    moment = int(record.get("timeUnixNano") or record.get("observedTimeUnixNano") or 0)
                    event = Event(EVALUATION, moment, found)
                    yield str(record["traceId"]).lower(), str(record.get("spanId") or "").lower(), event
