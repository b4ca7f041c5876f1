"""What the interceptors know of a conversation: the one Protocol between them and all the rest."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from simulate.replay.cassette.python_values import from_json
from simulate.replay.matching.divergence import Divergence
from simulate.replay.matching.recordings import HttpRecording, HttpResponse, ToolRecording
from simulate.replay.matching.request import HttpRequest
from simulate.tools import ToolFailed


class Traffic(Protocol):
    """One conversation that is recorded or replayed, asked by the interceptors before anything goes out."""

    @property
    def replaying(self) -> bool:
        """Nothing goes out unless it is allowed."""
        ...

    @property
    def allow(self) -> set[str]:
        """``host:port`` of servers whose traffic is none of the agent's."""
        ...

    def begin(self, request: HttpRequest) -> HttpExchange | None:
        """What becomes of a request; None lets it out unseen."""
        ...

    def begin_tool(
        self, name: str, arguments: Any, *, write: bool, source: Literal["tool", "mcp"] = "tool"
    ) -> ToolExchange:
        """What becomes of a tool call."""
        ...

    def in_flight(self) -> bool:
        """Whether an answer is on its way."""
        ...

    def may_connect(self) -> bool:
        """Whether a socket may be opened to anywhere."""
        ...

    def refuse(self, what: str) -> None:
        """Something was kept from getting out; ``what`` names it, and the place in the code."""
        ...


@dataclass(slots=True)
class HttpExchange:
    """One request in flight. With a ``response`` it is played; without one it goes out, and its response is
    told to ``opened``, ``chunk`` and ``ended`` (or ``failed``) as it comes."""

    response: HttpResponse | None = None
    paced: bool = False
    """Play the chunks at the times at which they came."""
    recording: HttpRecording | None = None
    _began: float = field(default_factory=time.perf_counter)
    _status: tuple[int, str, list[tuple[str, str]]] = (0, "", [])
    _chunks: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])
    _done: bool = False

    @property
    def wait(self) -> float:
        """Seconds until the response's head is to be played."""
        chunks = self.response.chunks if self.response is not None else []
        return chunks[0][0] / 1000 if self.paced and chunks else 0.0

    def pieces(self) -> Iterator[tuple[float, bytes]]:
        """The recorded pieces of the body, each with the seconds to wait before it."""
        assert self.response is not None
        before = self.wait * 1000
        for offset, piece in self.response.chunks:
            yield (max(0.0, offset - before) / 1000 if self.paced else 0.0), piece
            before = max(before, offset)

    def opened(self, status: int, reason: str, headers: Iterable[tuple[str, str]]) -> None:
        """The response's head has come."""
        self._status = (status, reason, [(name.lower(), value) for name, value in headers])

    def chunk(self, content: bytes) -> None:
        """A piece of the body has come."""
        if content and not self._done:
            self._chunks.append(((time.perf_counter() - self._began) * 1000, bytes(content)))

    def ended(self, how: str = "complete") -> None:
        """The body is over: ``complete``, ``closed`` by the agent, ``died: …``; the first call counts."""
        if self._done or self.recording is None:
            return
        self._done = True
        status, reason, headers = self._status
        self.recording.end = self.recording.start + (time.perf_counter() - self._began) * 1000
        self.recording.response = HttpResponse(status, reason, headers, self._chunks, how)

    @property
    def over(self) -> bool:
        """The body has come to its end, or the request has failed."""
        return self._done

    @property
    def began(self) -> bool:
        """The response's head has come."""
        return bool(self._status[0])

    def died(self, error: BaseException) -> None:
        """The connection broke in the middle of the body."""
        self.ended(f"died: {type(error).__name__}: {error}")

    def failed(self, error: BaseException) -> None:
        """No response came at all."""
        self.ended(f"failed: {type(error).__name__}: {error}")

    def close(self) -> None:
        """The conversation is over while this was still open."""
        self.ended("closed" if self.began else "failed: no answer before the conversation ended")


class NotRecorded(ToolFailed):
    """What a tool raises when a replay holds no such call; it names the divergence."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(f"not in the cassette: {divergence}")
        self.divergence = divergence


@dataclass(slots=True)
class ToolExchange:
    """One tool call in flight: answered as ``recorded``, refused by ``divergence``, or run for real; then
    ``ended`` is told its result, or the exception that it raised."""

    recorded: ToolRecording | None = None
    divergence: Divergence | None = None
    ended: Callable[[Any, BaseException | None], None] = lambda result, error: None

    @property
    def live(self) -> bool:
        """The tool runs for real."""
        return self.recorded is None and self.divergence is None

    def answer(self) -> Any:
        """What the call gave when it was recorded. Raises what it raised (`ToolFailed` where its class is not
        Python's own), or NotRecorded."""
        if self.recorded is None:
            assert self.divergence is not None
            raise NotRecorded(self.divergence)
        error = self.recorded.error
        if error is None:
            return from_json(self.recorded.result)
        kind = getattr(builtins, str(error.get("type")), None)
        message = str(error.get("message", ""))
        if isinstance(kind, type) and issubclass(kind, Exception):
            raise kind(message)
        raise ToolFailed(message)
