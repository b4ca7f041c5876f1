"""An OTLP/HTTP receiver on 127.0.0.1 for agents outside this process.

It answers every path that ends in ``/v1/traces`` (each vendor's SDK puts its own words before that),
``/v1/logs`` and ``/v1/metrics``, protobuf or JSON, plain or compressed, by the rules of the OTLP
specification (https://opentelemetry.io/docs/specs/otlp/#otlphttp). It runs in a thread with a loop of its
own: an agent in this process that exports synchronously, on the loop that would have to answer it, would
otherwise wait for itself. A request is parsed once; its spans are decoded when a conversation asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, overload

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from simulate.errors import EnvironmentFault, InputError
from simulate.local_server import Intake, Refused, check_sender, listening
from simulate.model.text import line
from simulate.trace.capture.otlp_http import EVALUATION, JSON, PROTOBUF, export, failure, success
from simulate.trace.capture.routing import RAISE, SESSION_KEYS, ConversationSpans, Router
from simulate.trace.files.base import Notes
from simulate.trace.files.documents import load
from simulate.trace.otlp.decode import attributes, from_json, json_attributes
from simulate.trace.span import Event, Span

if TYPE_CHECKING:
    from aiohttp import web

_trace_id = attrgetter("trace_id")

LIMIT = 128 << 20
"""Bytes of one conversation's spans, unpacked, that are kept where nobody says otherwise."""
REASONS = 20
"""How many different reasons of refusals are kept."""


class Receiver:
    """Takes in export requests and hands their spans to a router.

    ``limit`` is how many bytes a request may have, unpacked, and how many the spans of one conversation, or
    of none, may have together."""

    def __init__(self, router: Router, *, port: int = 0, limit: int = LIMIT) -> None:
        self._router = router
        self._port = port
        self.limit = limit
        self._intake = Intake(limit, f"; {RAISE}")
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.endpoint = ""
        """``http://127.0.0.1:PORT`` once started."""
        self.requests = 0
        self.refused: dict[str, int] = {}
        """Why requests were turned away, and how often."""
        self.rejected = 0
        """Spans without a valid id, inside requests that were otherwise taken."""
        self.dropped: dict[str, int] = {}
        """Requests for signals that we have no use for."""

    async def start(self) -> None:
        """Listen. Raises EnvironmentFault where the port is taken."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._thread = threading.Thread(
            target=self._run, args=(asyncio.get_running_loop(), ready), name="simulate-receiver", daemon=True
        )
        self._thread.start()
        await ready

    async def stop(self) -> None:
        """Close the socket; requests that are being read are answered first."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join, 5.0)
        self._thread = None

    def _run(self, caller: asyncio.AbstractEventLoop, ready: asyncio.Future[None]) -> None:
        try:
            asyncio.run(self._serve(caller, ready))
        except OSError as error:
            fault = EnvironmentFault(
                f"the OTLP receiver cannot listen on 127.0.0.1:{self._port}: {error.strerror}",
                hint="choose another port, or 0 for any free one",
            )
            caller.call_soon_threadsafe(ready.set_exception, fault)
        except Exception as error:
            if ready.done():
                raise
            caller.call_soon_threadsafe(ready.set_exception, error)  # or start() would wait for ever

    async def _serve(self, caller: asyncio.AbstractEventLoop, ready: asyncio.Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with listening(self._answer, self._port) as port:
            self.endpoint = f"http://127.0.0.1:{port}"
            caller.call_soon_threadsafe(ready.set_result, None)
            await self._stop.wait()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        from aiohttp import web

        kind = request.content_type
        try:
            check_sender(request)
            signal, body = await export(request, self._intake)
            problem = self.take(signal, body, kind)
        except Refused as refusal:
            self.refuse(refusal)
            answer = failure(refusal.message, kind)
            return web.Response(
                status=refusal.status, body=answer, content_type=kind if kind == JSON else PROTOBUF
            )
        return web.Response(body=success(problem, kind), content_type=kind)

    def refuse(self, refusal: Refused) -> None:
        """Count a request that was turned away."""
        reason = line(f"{refusal.status} {refusal.message}")
        with self._lock:
            if reason not in self.refused and len(self.refused) >= REASONS:
                reason = "other reasons"  # one that holds a path has as many forms as there are paths
            self.refused[reason] = self.refused.get(reason, 0) + 1

    def take(self, signal: str, body: bytes, kind: str) -> tuple[int, str] | None:
        """Take one request in; the spans rejected and why, or None where all is well.

        Raises Refused for bytes that are not what they claim to be."""
        with self._lock:  # of HTTP and gRPC one at a time
            self.requests += 1
            if signal == "metrics":
                self.dropped["metrics"] = self.dropped.get("metrics", 0) + 1
                return None
            try:
                if kind == JSON:
                    return self._take_json(signal, body)
                if signal == "logs":
                    self._take_logs(ExportLogsServiceRequest.FromString(body))
                    return None
                return self._take_traces(ExportTraceServiceRequest.FromString(body), len(body))
            except (InputError, DecodeError, ValueError, TypeError, AttributeError, KeyError) as error:
                raise Refused(400, f"not an OTLP {signal} request: {type(error).__name__}") from error

    def _take_traces(self, request: ExportTraceServiceRequest, size: int) -> tuple[int, str] | None:
        """Made for speed: what is done for each span in Python here soon costs more than all the parsing."""
        rejected = 0
        size //= sum(len(scope.spans) for each in request.resource_spans for scope in each.scope_spans) or 1
        refused = self._router.refused
        for of_resource in request.resource_spans:
            for of_scope in of_resource.scope_spans:
                spans = of_scope.spans
                self._router.received += len(spans)
                keys = list(map(_trace_id, spans))
                for key, members in _parted(keys, spans):
                    if (inbox := self._open_for(key)) is not None:
                        inbox.take((of_resource, of_scope, members), len(members), size)
                    else:
                        rejected += self._route(key, of_resource, of_scope, members, size)
        self._check_room(refused)
        return self._reject(rejected)

    def _check_room(self, refused: int) -> None:
        if self._router.refused > refused:
            raise self._intake.too_long("the trace of the conversation")

    def _open_for(self, trace_id: bytes) -> ConversationSpans | None:
        """The inbox of a trace that we sent; None where its spans have to be looked into."""
        inbox = self._router.find(trace_id)
        return None if inbox is None or trace_id in inbox.claims else inbox

    def _route(
        self,
        trace_id: bytes,
        of_resource: ResourceSpans,
        of_scope: ScopeSpans,
        spans: Iterable[ProtoSpan],
        size: int,
    ) -> int:
        """Spans of a trace that the agent started itself; how many of them had no valid id."""
        rejected = 0
        for span in spans:
            if not _valid(trace_id, span.span_id):
                rejected += 1
                continue
            said = {
                pair.key: pair.value.string_value
                for holder in (of_resource.resource.attributes, span.attributes)
                for pair in holder
                if pair.key in SESSION_KEYS
            }
            links = [link.trace_id for link in span.links]
            self._router.assign(trace_id, (of_resource, of_scope, [span]), links, said, size)
        return rejected

    def _take_json(self, signal: str, body: bytes) -> tuple[int, str] | None:
        notes = Notes("the request", tolerant=True)
        document = load(body, notes)
        if signal == "logs":
            self._take_json_logs(document)
            return None
        spans, refused = list(from_json(document, notes)), self._router.refused
        for span in spans:
            self._router.received += 1
            self._take_span(_key(span.trace_id), span, len(body) // len(spans))
        self._check_room(refused)
        return self._reject(notes.left_out)

    def _take_span(self, key: bytes, span: Span, size: int) -> None:
        inbox = self._open_for(key)
        if inbox is not None:
            inbox.take(span, 1, size)
            return
        links = [_key(link.trace_id) for link in span.links]
        self._router.assign(key, span, links, {**span.resource, **span.attributes}, size)

    def _reject(self, rejected: int) -> tuple[int, str] | None:
        self.rejected += rejected
        return (rejected, "spans need a trace id of 16 bytes and a span id of 8") if rejected else None

    def _take_logs(self, request: ExportLogsServiceRequest) -> None:
        for of_resource in request.resource_logs:
            for of_scope in of_resource.scope_logs:
                for record in of_scope.log_records:
                    found = attributes(record.attributes)
                    if EVALUATION in (record.event_name, found.get("event.name")):
                        moment = record.time_unix_nano or record.observed_time_unix_nano
                        self._keep_score(
                            record.trace_id, record.span_id.hex(), Event(EVALUATION, moment, found)
                        )
        self.dropped["logs"] = self.dropped.get("logs", 0) + 1

    def _take_json_logs(self, document: dict[str, Any]) -> None:
        for of_resource in document.get("resourceLogs") or ():
            for of_scope in of_resource.get("scopeLogs") or ():
                for record in of_scope.get("logRecords") or ():
                    found = json_attributes(record.get("attributes"))
                    if EVALUATION in (record.get("eventName"), found.get("event.name")):
                        moment = int(record.get("timeUnixNano") or record.get("observedTimeUnixNano") or 0)
                        event = Event(EVALUATION, moment, found)
                        self._keep_score(_key(record.get("traceId")), str(record.get("spanId") or ""), event)
        self.dropped["logs"] = self.dropped.get("logs", 0) + 1

    def _keep_score(self, trace_id: bytes, span_id: str, event: Event) -> None:
        inbox = self._router.find(trace_id)
        if inbox is not None:
            inbox.scores.append((span_id.lower(), event))
            inbox.changed()


class _Some(Sequence[ProtoSpan]):
    """Some spans of a scope, by their places: a span of protobuf becomes an object when it is asked for, and
    holding fifty thousand of those costs more than parsing them."""

    __slots__ = ("_places", "_spans")

    def __init__(self, spans: Sequence[ProtoSpan], places: list[int]) -> None:
        self._spans = spans
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> ProtoSpan: ...
    @overload
    def __getitem__(self, place: slice) -> _Some: ...
    def __getitem__(self, place: int | slice) -> ProtoSpan | _Some:
        if isinstance(place, int):
            return self._spans[self._places[place]]
        return _Some(self._spans, self._places[place])

    def __iter__(self) -> Iterator[ProtoSpan]:
        return map(self._spans.__getitem__, self._places)


def _parted(keys: list[bytes], spans: Sequence[ProtoSpan]) -> Iterable[tuple[bytes, Sequence[ProtoSpan]]]:
    """The spans of each trace; no span becomes an object of its own before somebody reads it."""
    by_trace: dict[bytes, list[int]] = {key: [] for key in keys}
    if len(by_trace) == 1:
        return ((keys[0], spans),)
    for place, key in enumerate(keys):
        by_trace[key].append(place)
    return [(key, _Some(spans, places)) for key, places in by_trace.items()]


def _valid(trace_id: bytes, span_id: bytes) -> bool:
    return len(trace_id) == 16 and len(span_id) == 8 and any(trace_id) and any(span_id)


def _key(text: Any) -> bytes:
    with contextlib.suppress(ValueError):
        return bytes.fromhex(str(text or ""))
    return b""
