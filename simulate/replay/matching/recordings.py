"""What was recorded: requests with their responses, and tool calls with what they gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import orjson

Chunk = tuple[float, bytes]
"""Milliseconds since the response began, and what came then."""


@dataclass(slots=True)
class HttpResponse:
    """What came back. ``ended`` is ``complete``, ``closed`` (by the agent), ``died: …`` or ``failed: …``
    (no response at all); after both stands the client's exception as ``Class: message``."""

    status: int
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    chunks: list[Chunk] = field(default_factory=list[Chunk])
    ended: str = "complete"
    took: float = 0.0
    """Milliseconds from the request to the end of the body, or to the failure."""

    @property
    def content(self) -> bytes:
        """The whole body."""
        return b"".join(content for _, content in self.chunks)

    def header(self, name: str) -> str:
        """The first header of that name, or an empty text."""
        return next((value for known, value in self.headers if known.lower() == name), "")

    @property
    def failure(self) -> tuple[str, str] | None:
        """Class and message of the exception that came instead of a response; None where one came."""
        return self._exception("failed: ")

    @property
    def given_up(self) -> bool:
        """The agent cancelled the request before any response came."""
        return self.ended.startswith("failed: CancelledError")

    @property
    def broke(self) -> tuple[str, str] | None:
        """Class and message of the exception that cut the body off; None where it came to its end."""
        return None if self.closed else self._exception("died: ")

    @property
    def closed(self) -> bool:
        """The agent read no further."""
        return self.ended == "closed" or self.ended.startswith("died: CancelledError")

    def _exception(self, how: str) -> tuple[str, str] | None:
        if not self.ended.startswith(how):
            return None
        name, _, text = self.ended.removeprefix(how).partition(": ")
        return name, text


@dataclass(slots=True, eq=False)
class HttpRecording:
    """One request and its response. ``start`` and ``end`` are ms since the conversation began."""

    key: str
    endpoint: str
    method: str
    uri: str
    body: Any
    """The canonical request body, a JSON value."""
    form: str = "json"
    ordinal: int = 0
    """Which of the requests with the same key this is."""
    start: float = 0.0
    end: float = 0.0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    query: tuple[tuple[str, str], ...] = ()
    components: dict[str, str] = field(default_factory=dict[str, str])
    turn: int | None = None
    span_id: str | None = None
    exact: str = ""
    """`HttpRequest.exact` of the request as it was made; empty where that is not known."""
    task: int = 0
    """The task or thread that asked, by number; only what one of them asked has an order."""
    own_process: bool = False
    """A process of the agent's asked for it itself, past the endpoint of its model."""
    raced: bool = False
    """A timer of the agent's went off while the answer was on its way: when it came may matter."""
    place: str = ""
    """Where it stands, for messages: ``http.json #3``."""
    _response: HttpResponse | None = None
    load: Callable[[], HttpResponse] | None = None

    @property
    def response(self) -> HttpResponse:
        """What came back; unpacked when it is first asked for."""
        if self._response is None:
            self._response = (
                self.load() if self.load else HttpResponse(0, ended="failed: nothing was recorded")
            )
        return self._response

    @response.setter
    def response(self, response: HttpResponse) -> None:
        self._response = response

    @property
    def asked(self) -> str:
        """What was asked for, for a person."""
        return self.endpoint


@dataclass(slots=True, eq=False)
class ToolRecording:
    """One tool call and what it gave: ``result``, or ``error`` as ``{"type", "message"}``."""

    key: str
    name: str
    arguments: Any
    result: Any = None
    error: dict[str, Any] | None = None
    write: bool = False
    source: Literal["tool", "mcp", "trace"] = "tool"
    ordinal: int = 0
    start: float = 0.0
    end: float = 0.0
    turn: int | None = None
    task: int = -1
    """As an `HttpRecording`'s; -1 where that is not known."""
    own_process: bool = False
    """As an `HttpRecording`'s."""
    place: str = ""

    @property
    def asked(self) -> str:
        """What was asked for, for a person."""
        return f"tool {self.name}"


By = Literal["agent", "service"]
Kind = Literal["open", "text", "binary", "message", "close", "status", "lost"]
"""``open``: the service's answer to the handshake. ``message``: one of gRPC's, as JSON. ``close`` and
``status``: how a WebSocket or a gRPC call ended. ``lost``: the connection broke."""
SENT: tuple[Kind, ...] = ("text", "binary", "message")


@dataclass(slots=True)
class StreamEvent:
    """One message, or the beginning or end of the connection; ``at`` is ms since the connection began."""

    by: By
    kind: Kind
    at: float
    content: bytes
    """As sent; of an ``open``, ``close``, ``status`` or ``lost``, a JSON object."""

    @property
    def value(self) -> dict[str, Any]:
        """What an event that is no message says."""
        return cast("dict[str, Any]", orjson.loads(self.content))


@dataclass(slots=True, eq=False)
class StreamRecording:
    """One connection. ``start`` and ``end`` are ms since the conversation began."""

    key: str
    endpoint: str
    uri: str
    query: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict[str, str])
    events: list[StreamEvent] = field(default_factory=list[StreamEvent])
    ordinal: int = 0
    start: float = 0.0
    end: float = 0.0
    turn: int | None = None
    span_id: str | None = None
    task: int = -1
    """As a `ToolRecording`'s: other calls go on meanwhile, so that it has no place in a task's order."""
    own_process: bool = False
    """As an `HttpRecording`'s."""
    place: str = ""

    @property
    def asked(self) -> str:
        """What was asked for, for a person."""
        return self.endpoint


Recording = HttpRecording | ToolRecording | StreamRecording


def number(recordings: Sequence[Recording]) -> None:
    """Give those with the same key their ordinals, in the order in which they began."""
    counts: dict[str, int] = {}
    for recording in recordings:
        recording.ordinal = counts.get(recording.key, 0)
        counts[recording.key] = recording.ordinal + 1
