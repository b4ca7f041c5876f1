"""What the interceptors know of a conversation: the one Protocol between them and all the rest."""

from __future__ import annotations

import asyncio
import builtins
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from simulate.replay.cassette.python_values import from_json
from simulate.replay.intercept.order import PATIENCE, Steps
from simulate.replay.intercept.streams import StreamPlayer, StreamRecorder
from simulate.replay.matching.divergence import Divergence
from simulate.replay.matching.recordings import HttpRecording, HttpResponse, ToolRecording
from simulate.replay.matching.request import HttpRequest
from simulate.tools import ToolFailed

_LAST = 1 << 62
"""The step after all pieces: the end of the body."""


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

    def begin_stream(self, request: HttpRequest) -> StreamRecorder | StreamPlayer | HttpResponse:
        """What becomes of a connection on which both sides send when they like: noted, played or refused."""
        ...

    def failed_stream(self, request: HttpRequest) -> str | None:
        """The exception, as ``Class: message``, with which opening such a connection failed when it was
        recorded; None where it is to be tried."""
        ...

    def begin_tool(
        self, name: str, arguments: Any, *, write: bool, source: Literal["tool", "mcp"] = "tool"
    ) -> ToolExchange:
        """What becomes of a tool call."""
        ...

    def serves(self, tool: str) -> bool:
        """Whether a tool that nobody marked is answered all the same."""
        ...

    def in_flight(self) -> bool:
        """Whether an answer is on its way."""
        ...

    def timer_went_off(self) -> None:
        """A timer that was set in this conversation went off."""
        ...

    def may_connect(self) -> bool:
        """Whether a socket may be opened to anywhere."""
        ...

    def went_past(self, target: str, what: str) -> None:
        """Something connected to ``target``, an address with its port, that may be in no recording."""
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
    steps: Steps | None = None
    """The answer's place among those that were on their way at the same time."""
    fetch: Callable[[], HttpResponse] | None = None
    """Gets the response when it is to be played; blocks meanwhile."""
    waited_on: Callable[[], HttpResponse] | None = None
    """Called where the agent gave the answer up when it was recorded, and now waits for it; the answer that
    the request then gets, if none has begun."""
    _began: float = field(default_factory=time.perf_counter)
    _status: tuple[int, str, list[tuple[str, str]]] = (0, "", [])
    _chunks: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])
    _done: bool = False

    def arrive(self) -> HttpResponse:
        """Block until the response's head is to be played, or its failure."""
        if self.fetch is not None:
            self.response = self.fetch()
        for waits in self._until_head():
            time.sleep(waits)
        if self.steps is not None:
            self.steps.wait(0)
        return self._head()

    async def arrive_async(self) -> HttpResponse:
        """Wait until the response's head is to be played, or its failure."""
        if self.fetch is not None:
            self.response = await asyncio.to_thread(self.fetch)
        try:
            for waits in self._until_head():
                await asyncio.sleep(waits)
            if self.steps is not None:
                await self.steps.wait_async(0)
        except BaseException:
            self.stop()
            raise
        return self._head()

    def pieces(self) -> Iterator[bytes]:
        """The recorded pieces of the body, each when it is to be played."""
        try:
            for step, (wait, piece) in enumerate(self._body()):
                if wait:
                    time.sleep(wait)
                if self.steps is not None:
                    self.steps.wait(step)
                yield piece
            time.sleep(self._until_closed())
            if self.steps is not None:
                self.steps.wait(_LAST)
            self._was_closed()
        finally:
            self.stop()

    async def pieces_async(self) -> AsyncGenerator[bytes]:
        """The recorded pieces of the body, each when it is to be played."""
        try:
            for step, (wait, piece) in enumerate(self._body()):
                if wait:
                    await asyncio.sleep(wait)
                if self.steps is not None:
                    await self.steps.wait_async(step)
                yield piece
            await asyncio.sleep(self._until_closed())
            if self.steps is not None:
                await self.steps.wait_async(_LAST)
            self._was_closed()
        finally:
            self.stop()

    def stop(self) -> None:
        """The agent asks for no more of what is played."""
        if self.steps is not None:
            self.steps.over()

    @property
    def at_once(self) -> bool:
        """All of the body may be played without waiting for anything."""
        whole = self.response is not None and self.response.ended == "complete"
        return whole and self.steps is None and not self.paced

    def _until_head(self) -> Iterator[float]:
        assert self.response is not None
        if self.response.given_up and self.waited_on is not None:
            yield self.response.took / 1000 + PATIENCE
        elif self.paced:
            yield (self.response.chunks[0][0] if self.response.chunks else self.response.took) / 1000

    def _head(self) -> HttpResponse:
        assert self.response is not None
        if self.response.given_up and self.waited_on is not None:
            self.response = self.waited_on()
        if self.response.failure is not None:
            self.stop()
        return self.response

    def _until_closed(self) -> float:
        """Seconds to wait at the end of a body that the agent closed, for the agent to close it again."""
        response = self.response
        if response is None or not response.closed or self.waited_on is None or not response.chunks:
            return 0.0
        return max(0.0, response.took - response.chunks[-1][0]) / 1000 + PATIENCE

    def _was_closed(self) -> None:
        if self.response is not None and self.response.closed and self.waited_on is not None:
            self.waited_on()

    def _body(self) -> Iterator[tuple[float, bytes]]:
        """Each piece with the seconds to wait before it."""
        assert self.response is not None
        before = self.response.chunks[0][0] if self.response.chunks else 0.0
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
        """The connection broke in the middle of the body, or the agent's task was cancelled there."""
        cancelled = isinstance(error, asyncio.CancelledError)
        self.ended("closed" if cancelled else f"died: {type(error).__name__}: {error}")

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
    steps: Steps | None = None

    def arrive(self) -> Any:
        """`answer`, once it is to be given."""
        if self.steps is not None:
            self.steps.wait(_LAST)
        return self.answer()

    async def arrive_async(self) -> Any:
        """`answer`, once it is to be given."""
        if self.steps is not None:
            try:
                await self.steps.wait_async(_LAST)
            finally:
                self.steps.over()
        return self.answer()

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
