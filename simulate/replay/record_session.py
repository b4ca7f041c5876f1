"""One conversation that is recorded: everything goes out, and is remembered."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

from opentelemetry import trace

from simulate.errors import InputError
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.interactions import record_of
from simulate.replay.cassette.python_values import NotKept, to_json
from simulate.replay.cassette.stream_file import redact, stream_of
from simulate.replay.cassette.stream_redaction import redacted
from simulate.replay.intercept.sentry import addresses
from simulate.replay.intercept.streams import StreamRecorder
from simulate.replay.intercept.toolbox import InterceptedTools
from simulate.replay.intercept.traffic import HttpExchange, ToolExchange
from simulate.replay.matching.date_drift import real_ns
from simulate.replay.matching.encodings import NotDecoded, decoded
from simulate.replay.matching.endpoints import address
from simulate.replay.matching.json_values import plain
from simulate.replay.matching.keys import call_key
from simulate.replay.matching.recordings import (
    HttpRecording,
    HttpResponse,
    StreamRecording,
    ToolRecording,
    number,
)
from simulate.replay.matching.request import HttpRequest
from simulate.replay.matching.rules import Rules
from simulate.replay.matching.secrets import Redaction
from simulate.tools import Toolbox


class RecordSession:
    """What one conversation asks of models, services and tools, as it is recorded.

    ``allow`` names ``host:port`` of servers whose traffic is none of the agent's.
    """

    replaying = False

    def __init__(self, rules: Rules, allow: Iterable[str] = ()) -> None:
        self.rules = rules
        self.allow = set(allow)
        self.turn: int | None = None
        self.turn_of: Callable[[], int | None] = lambda: self.turn
        """Which turn it is, where something else counts them."""
        self.ended = ""
        """Set to say that the recording is partial, and why."""
        self.not_kept: InputError | None = None
        """The first answer that a replay could not give again."""
        self.manifest: dict[str, Any] = {}
        self.conversation: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any]] = []
        self.blobs: dict[str, bytes] = {}
        self._began, self._began_ns = time.perf_counter(), real_ns()
        self._exchanges: list[HttpExchange] = []
        self._open: list[HttpExchange] = []
        self._tools: list[ToolRecording] = []
        self._streams: list[StreamRecording] = []
        self._adopted: list[Cassette] = []
        self._reached: dict[str, str] = {}
        self._lock = threading.Lock()
        self._tasks: dict[tuple[int, Any], int] = {}

    def begin(self, request: HttpRequest) -> HttpExchange:
        """A request begins; its place in the order is taken now, not when its answer comes."""
        recording = record_of(request, self.rules)
        recording.start = self._now()
        recording.turn = self.turn_of()
        recording.span_id = current_span_id()
        recording.task = self._task()
        exchange = HttpExchange(recording=recording)
        with self._lock:
            self._exchanges.append(exchange)
            self._open.append(exchange)
        return exchange

    def begin_stream(self, request: HttpRequest) -> StreamRecorder:
        """A connection is opened on which both sides send when they like."""
        recording = stream_of(request, self.rules)
        recording.start = recording.end = self._now()
        recording.turn = self.turn_of()
        recording.span_id = current_span_id()
        with self._lock:
            self._streams.append(recording)
        return StreamRecorder(recording, self._now)

    def failed_stream(self, request: HttpRequest) -> str | None:
        """It is tried."""
        return None

    def begin_tool(
        self, name: str, arguments: Any, *, write: bool, source: Literal["tool", "mcp"] = "tool"
    ) -> ToolExchange:
        """A tool call begins."""
        recording = ToolRecording(
            call_key(name, arguments, self.rules),
            name,
            self.rules.value(plain(arguments)),
            write=write,
            source=source,
            start=self._now(),
            turn=self.turn_of(),
            task=self._task(),
        )
        with self._lock:
            self._tools.append(recording)

        def ended(result: Any, error: BaseException | None) -> None:
            recording.end = self._now()
            if error is not None:
                recording.error = _error(error, self.rules)
                return
            try:
                recording.result = self.rules.value(to_json(result))
            except NotKept as kind:
                self._refuse(
                    InputError(
                        f"the tool {name} gave a {kind}, which a replay could not give again",
                        hint="let the tool give JSON values, dates, decimals, dataclasses or pydantic models"
                        " of a module",
                    )
                )
                recording.result = self.rules.value(plain(result))

        return ToolExchange(ended=ended)

    def serves(self, tool: str) -> bool:
        """A tool that nobody marked runs, and is not recorded."""
        return False

    def in_flight(self) -> bool:
        """Whether an answer is on its way."""
        with self._lock:
            return any(not exchange.over for exchange in self._open)

    @property
    def passed(self) -> int:
        """How many requests and messages there were so far."""
        with self._lock:
            return len(self._exchanges) + sum(len(stream.events) for stream in self._streams)

    def timer_went_off(self) -> None:
        """What is on its way races with it."""
        with self._lock:
            self._open = [exchange for exchange in self._open if not exchange.over]
            for exchange in self._open:
                if exchange.recording is not None:
                    exchange.recording.raced = True

    def may_connect(self) -> bool:
        """A conversation that is recorded beside a replay may reach everything."""
        return True

    def refuse(self, what: str) -> None:
        """Something that no recording can see was done all the same."""
        self._refuse(
            InputError(
                f"{what} cannot be recorded",
                hint="let the agent's own process, or a thread of it, ask for it",
            )
        )

    def went_past(self, target: str, what: str) -> None:
        """Something connected to ``target``, an address with its port; ``what`` is told at the end, unless a
        recording holds it."""
        if target not in self.allow:
            self._reached.setdefault(target, self.rules.text(what))

    def toolbox(self, inner: Toolbox | None = None) -> Toolbox:
        """The toolbox that records; ``inner`` answers (the scenario's pins)."""
        return InterceptedTools(self, inner)

    def adopt(self, kept: Cassette) -> None:
        """What a process of the agent has recorded of this conversation, redacted already."""
        later = (int(kept.manifest["started_ns"]) - self._began_ns) / 1e6
        for one in (*kept.http, *kept.tools, *kept.streams):
            one.own_process = True
            one.start, one.end = one.start + later, one.end + later
        self._adopted.append(kept)

    def cassette(self) -> Cassette:
        """What was recorded so far, redacted."""
        with self._lock:
            exchanges, tools, streams = list(self._exchanges), list(self._tools), list(self._streams)
        for exchange in exchanges:
            exchange.close()
        recordings = [exchange.recording for exchange in exchanges if exchange.recording is not None]
        for recording in recordings:
            self._store(recording)
        for stream in streams:
            redact(stream, self.rules)
        manifest = {"match": "http", **self.manifest, "complete": not self.ended}
        if self.ended:
            manifest["ended"] = self.ended
        said = [self.rules.value(one) for one in self.conversation]
        if isinstance(self.rules.redact, Redaction):
            manifest |= self.rules.redact.manifest()
        for kept in self._adopted:
            recordings, tools = [*recordings, *kept.http], [*tools, *kept.tools]
            streams = [*streams, *kept.streams]
            own: Any = manifest.get("personal")
            manifest["personal"] = _together(own, kept.manifest.get("personal"))
        if self._adopted:
            for made in (recordings, tools, streams):
                made.sort(key=lambda one: one.start)
        number(recordings)
        number(tools)
        number(streams)
        if unseen := self._unseen(address(one.uri) for one in (*recordings, *streams)):
            manifest["unseen"] = unseen
        return Cassette(recordings, tools, self.frames, self.blobs, said, manifest, streams=streams)

    def _unseen(self, recorded: Iterable[str]) -> list[str]:
        """What was reached and is in no recording."""
        if not self._reached:
            return []
        places = [place.rpartition(":") for place in {*recorded, *self.allow}]
        known = {f"{host}:{port}" for name, _, port in places for host in addresses(name)}
        return [what for target, what in self._reached.items() if target not in known]

    def _store(self, recording: HttpRecording) -> None:
        try:
            recording.response = _stored(recording.response, self.rules)
        except NotDecoded as error:
            self._refuse(
                InputError(
                    f"{recording.endpoint} sent an answer that cannot be read: {error}",
                    hint="install the package where the agent runs, or let its client not accept that",
                )
            )
            recording.response = HttpResponse(recording.response.status, ended="failed: it could not be read")

    def _refuse(self, error: InputError) -> None:
        self.not_kept = self.not_kept or error
        self.ended = self.ended or error.message

    def _task(self) -> int:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is None and threading.current_thread() is not threading.main_thread():
            return -1  # which worker of a pool gets what is chance: no order
        with self._lock:
            return self._tasks.setdefault((threading.get_ident(), task), len(self._tasks))

    def _now(self) -> float:
        return (time.perf_counter() - self._began) * 1000


def _together(one: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any]:
    """What two manifests say of personal data."""
    merged = {**(other or {}), **(one or {})}
    for name in ("invented", "pseudonyms"):
        texts = [*(one or {}).get(name, ()), *(other or {}).get(name, ())]
        merged |= {name: list(dict.fromkeys(texts))} if texts else {}
    return merged


def current_span_id() -> str | None:
    """The OpenTelemetry span that is current, for the report."""
    context = trace.get_current_span().get_span_context()
    return f"{context.span_id:016x}" if context.is_valid else None


def _error(error: BaseException, rules: Rules) -> dict[str, Any]:
    kept: dict[str, Any] = {"type": type(error).__name__, "message": rules.text(str(error))}
    protocol: Any = getattr(error, "error", None)
    if hasattr(protocol, "code"):  # an MCP server's
        kept |= {"code": protocol.code, "message": protocol.message, "data": protocol.data}
    return kept


_NOT_KEPT = frozenset(
    [
        "set-cookie",
        "date",
        "server",
        "cf-ray",
        "cf-cache-status",
        "alt-svc",
        "strict-transport-security",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "openai-organization",
        "openai-project",
        "anthropic-organization-id",
        "via",
    ]
)


def _stored(response: HttpResponse, rules: Rules) -> HttpResponse:
    """The response as it is kept: decoded, redacted, without what belongs to one connection."""
    encoding = response.header("content-encoding")
    chunks, dropped = response.chunks, _NOT_KEPT
    if encoding:
        pieces = decoded([content for _, content in chunks], encoding)
        chunks = [(offset, piece) for (offset, _), piece in zip(chunks, pieces, strict=True)]
        dropped = dropped | {"content-encoding", "content-length"}
    if rules.redact is not None and chunks:
        chunks = redacted(chunks, response.header("content-type"), rules)
        dropped = dropped | {"content-length"}
    kept = [(name, value) for name, value in response.headers if name not in dropped]
    headers = [(name, rules.parameter(name, value)) for name, value in kept]
    return HttpResponse(response.status, response.reason, headers, chunks, response.ended)
