"""Which conversation a request belongs to, and what is to become of it.

The patched clients ask the `TrafficRouter` before anything goes out. A request made without a conversation's
context while a replay runs is refused and named: it must not go live, nor take another's answer.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory

from simulate.replay.intercept import kernel, senders
from simulate.replay.intercept.background import Background, told_late
from simulate.replay.intercept.sentry import Sentry
from simulate.replay.intercept.streams import StreamPlayer, StreamRecorder
from simulate.replay.intercept.traffic import HttpExchange, Traffic
from simulate.replay.matching.divergence import refusal
from simulate.replay.matching.endpoints import address
from simulate.replay.matching.recordings import HttpResponse
from simulate.replay.matching.request import HttpRequest

_JSON = ("content-type", "application/json")
_ABSENT = HttpResponse(404, "Not Found", [("content-length", "0")])
_ACCEPTED = HttpResponse(200, "OK", [_JSON, ("content-length", "2")], [(0.0, b"{}")])


class LiveCallRefused(ConnectionRefusedError):
    """A connection that a replay refused. Clients treat it as any refused connection."""


class TrafficRouter:
    """The conversations of this process that are recorded or replayed at this moment."""

    def __init__(self) -> None:
        self.replays: tuple[Traffic, ...] = ()
        self.background = Background()
        self.forked = False
        """This process was forked from one that is recorded or replayed."""
        self.everywhere: Traffic | None = None
        """The conversation that this whole process belongs to, where it is an agent's own."""
        self._logs: dict[Traffic, Path] = {}
        self._sentries: dict[Traffic, Sentry] = {}
        self._current: ContextVar[Traffic | None] = ContextVar("simulate_traffic", default=None)

    @property
    def current(self) -> Traffic | None:
        """The conversation that the running code belongs to."""
        return self._current.get() or self.everywhere

    @contextlib.contextmanager
    def entered(self, traffic: Traffic) -> Generator[None]:
        """What is asked for inside, also in tasks and threads that start there, is this conversation's."""
        token = self._current.set(traffic)
        try:
            yield
        finally:
            self._current.reset(token)

    @contextlib.contextmanager
    def entered_everywhere(self, traffic: Traffic) -> Generator[None]:
        """What any thread of this process asks for meanwhile is this conversation's."""
        self.everywhere = traffic
        try:
            yield
        finally:
            if self.everywhere is traffic:
                self.everywhere = None

    @property
    def watching(self) -> bool:
        """Whether anything has to be asked at all; false in a process whose recordings are over."""
        return bool(self.replays) or self.current is not None

    @property
    def playing(self) -> bool:
        """Whether a request that is made here would be answered by a replay, and not go out."""
        traffic = self.current
        return bool(self.replays) if traffic is None else traffic.replaying

    @property
    def allowed(self) -> set[str]:
        """``host:port`` that may be reached from here."""
        traffic = self.current
        return (
            traffic.allow if traffic is not None else set[str]().union(*(one.allow for one in self.replays))
        )

    @property
    def all_allowed(self) -> set[str]:
        """``host:port`` that any of the replays may reach."""
        return set[str]().union(*(replay.allow for replay in self.replays))

    @property
    def log(self) -> Path | None:
        """Where processes that this conversation started note what was refused to them."""
        traffic = self.current
        return None if traffic is None else self._logs.get(traffic)

    @property
    def sentry(self) -> str | None:
        """Where the processes of this conversation find who is asked before they reach an address; None where
        there is no conversation, or the kernel cannot ask."""
        traffic = self.current
        if traffic is None or traffic not in self._logs or not kernel.can_ask():
            return None
        if traffic not in self._sentries:
            self._sentries[traffic] = self._sentry(traffic)
        return self._sentries[traffic].path

    def _sentry(self, traffic: Traffic) -> Sentry:
        def told(target: str, what: str, _: int) -> None:
            if traffic in self.background.over:
                told_late(what, traffic)
            elif traffic.replaying:
                traffic.refuse(what)
            else:
                traffic.went_past(target, what)

        return Sentry(
            lambda: {*traffic.allow, *self.all_allowed},
            lambda: traffic.replaying and not traffic.may_connect(),
            told,
        )

    @contextlib.contextmanager
    def logged(self, traffic: Traffic) -> Generator[None]:
        """What processes that are started inside try to reach is told to ``traffic`` at the end."""
        with TemporaryDirectory(prefix="simulate-") as folder:
            log = self._logs[traffic] = Path(folder) / "refused"
            try:
                yield
            finally:
                del self._logs[traffic]
                if (sentry := self._sentries.pop(traffic, None)) is not None:
                    sentry.close()
                if log.exists():
                    for text in log.read_text("utf-8").splitlines():
                        traffic.refuse(text)

    def _tell_parent(self, what: str) -> None:
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(f"{what} in a process of the agent's, forked ({senders.place_in_agent()})\n")

    def begin(self, request: HttpRequest) -> HttpExchange | None:
        """What becomes of a request: None lets it out unseen; otherwise play or record the exchange."""
        traffic = self.current
        if not self.watching or address(request.url) in self.allowed:
            return None
        if senders.carries_telemetry(request):
            return HttpExchange(_ACCEPTED) if self.playing else None
        if senders.is_housekeeping(request):
            return HttpExchange(_ABSENT) if self.playing else None
        if traffic is None:
            return HttpExchange(refusal(self.refuse(f"{_named(request)} from outside of any conversation")))
        if self.forked:
            self._tell_parent(_named(request))
            return HttpExchange(refusal("asked by a forked process")) if traffic.replaying else None
        if traffic in self.background.over:
            told = told_late(f"{_named(request)} ({senders.place_in_agent()})", traffic)
            return HttpExchange(refusal(told)) if traffic.replaying else None
        if not traffic.replaying and _is_mcp(request):
            return None
        return traffic.begin(request)

    def begin_stream(self, request: HttpRequest) -> StreamRecorder | StreamPlayer | HttpResponse | None:
        """What becomes of a connection on which both sides send when they like; None lets it out unseen."""
        traffic = self.current
        if not self.watching or address(request.url) in self.allowed:
            return None
        named = f"{request.method} {request.url.split('?')[0]}"
        if traffic is None:
            return refusal(self.refuse(f"{named} from outside of any conversation"))
        if self.forked:
            self._tell_parent(named)
            return refusal("asked by a forked process") if traffic.replaying else None
        if traffic in self.background.over:
            told = told_late(f"{named} ({senders.place_in_agent()})", traffic)
            return refusal(told) if traffic.replaying else None
        return traffic.begin_stream(request)

    def failed_stream(self, url: str) -> str | None:
        """The exception, as ``Class: message``, with which a WebSocket failed to open when it was recorded;
        None where it is to be tried."""
        traffic = self.current
        if traffic is None or self.forked or traffic in self.background.over:
            return None
        return traffic.failed_stream(HttpRequest("WEBSOCKET", url, {}, b""))

    def refuse(self, what: str) -> str:
        """Tell the replay that concerns it (all that run, where none is known) of an attempt to get out, with
        the place in the code; returns what was told."""
        text = f"{what} ({senders.place_in_agent()})"
        traffic = self.current
        if self.forked:
            self._tell_parent(what)
            return text
        if traffic is not None and traffic in self.background.over:
            return told_late(text, traffic)
        for one in self.replays if traffic is None else (traffic,):
            one.refuse(text)
        return text


def _named(request: HttpRequest) -> str:
    return f"{request.method} {request.url.split('?')[0]}"


def _is_mcp(request: HttpRequest) -> bool:
    """Whether the SDK's MCP client sends this; it is recorded at its session instead."""
    if "mcp" not in sys.modules:
        return False
    return bool(request.headers.keys() & {"mcp-session-id", "mcp-protocol-version"}) or (
        b'"jsonrpc"' in request.body and b'"method":"initialize"' in request.body
    )
