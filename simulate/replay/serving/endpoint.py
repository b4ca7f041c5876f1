"""Where the model of agents in other processes is, while their conversations are recorded or replayed.

Such an agent is started with its ``OPENAI_BASE_URL`` (and ``ANTHROPIC_BASE_URL``) pointing here. A request is
recorded on its way to the real endpoint, or answered from the cassette, by the same sessions as in this
process. Whose request it is, an agent need not tell: of those agents one conversation is held at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from aiohttp.web import BaseRequest as Request
from yarl import URL

from simulate.replay.fork import ForkSession
from simulate.replay.intercept import kernel
from simulate.replay.intercept.children import child_environment
from simulate.replay.intercept.process import entered
from simulate.replay.intercept.sentry import Sentry
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.matching.divergence import refusal
from simulate.replay.matching.endpoints import address
from simulate.replay.matching.request import HttpRequest
from simulate.replay.matching.rules import Rules
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession
from simulate.replay.serving import outgoing
from simulate.replay.serving.own_processes import OwnProcesses
from simulate.replay.serving.sockets import abort, asks_for_models, listening, models_of, send

_HOP_BY_HOP = frozenset(
    {
        "host",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "content-length",
        "content-encoding",
        "accept-encoding",
        "upgrade",
        "te",
        "trailer",
        "proxy-authorization",
        "x-simulate-session",
    }
)
_UPSTREAM = {
    "OPENAI_BASE_URL": "https://api.openai.com/v1",
    "ANTHROPIC_BASE_URL": "https://api.anthropic.com",
}
NEVER_ASKED = (
    "the agent asked the model's endpoint for nothing: does it use OPENAI_BASE_URL (or ANTHROPIC_BASE_URL)?"
)
NO_SENTRY = (
    "this system has no kernel guard (Linux with seccomp): of programs that are neither Python nor Node, only"
    " what goes by a proxy was stopped"
)


class ModelEndpoint:
    """The endpoint. ``port`` 0 takes a free one; an agent that runs already is told a fixed one.

    ``guard``: Python and Node processes that are started with ``environment`` reach nothing but us."""

    def __init__(self, port: int = 0, *, guard: bool = False, allow: tuple[str, ...] = ()) -> None:
        self.port = port
        self.guard = guard
        self.allow = allow
        self.upstream = {name: os.environ.get(name) or usual for name, usual in _UPSTREAM.items()}
        self._turn = asyncio.Lock()
        self._session: RecordSession | ReplaySession | None = None
        self._asked = 0
        self._processes: OwnProcesses | None = None
        self._sentry: Sentry | None = None
        self._own: set[str] = set()
        """Addresses of ours that an agent's processes reach."""

    @property
    def base_url(self) -> str:
        """What an agent's ``OPENAI_BASE_URL`` is to be."""
        return f"http://127.0.0.1:{self.port}/v1"

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """What to start an agent's process with; ``own`` is what else it gets, such as our receiver."""
        found = {"OPENAI_BASE_URL": self.base_url, "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{self.port}"}
        self.reach(own)
        if self._processes is not None:
            found |= self._processes.environment(own)
        found |= outgoing.environment(self.port, {*self._own, *self.allow}, {**os.environ, **own})
        if self._sentry is not None:
            found |= self._sentry.environment()
        if not self.guard:
            return found
        base = {**os.environ, **own, **found}
        return found | child_environment(sorted({*self._own, *self.allow}), self._log, base)

    def reach(self, own: Mapping[str, str]) -> None:
        """Let agents' processes reach our addresses among these variables; none of it is recorded."""
        urls = [value for value in own.values() if value.startswith(("http://", "https://"))]
        self._own |= {f"127.0.0.1:{self.port}", *map(address, urls)}

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncGenerator[ModelEndpoint]:
        """Listen on 127.0.0.1 while inside; InputError where the port is taken."""
        with TemporaryDirectory() as folder:
            self._log = Path(folder) / "refused"
            (Path(folder) / "processes").mkdir()
            self._processes = OwnProcesses(Path(folder) / "processes")
            if kernel.can_ask():
                self._sentry = Sentry(self._reachable, self._refuses, self._reached)
            async with ClientSession(auto_decompress=True, timeout=ClientTimeout(total=None)) as client:
                self._client = client
                try:
                    async with listening(self._answer, self.port, turn=self._tell_turn) as self.port:
                        yield self
                finally:
                    if self._sentry is not None:
                        self._sentry.close()

    @contextlib.asynccontextmanager
    async def conversation(self, session: RecordSession | ReplaySession) -> AsyncGenerator[None]:
        """What agents in other processes ask for while inside belongs to ``session``; others wait."""
        async with self._turn:
            self._session, self._asked = session, 0
            if isinstance(session, ForkSession):
                session.reach = self._real_address
            seen = self._refused()
            assert self._processes is not None, "the endpoint is being served"
            session.allow |= self._own
            turns = f"http://127.0.0.1:{self.port}/__simulate/turn"
            try:
                async with self._processes.conversation(session, turns, self._own):
                    yield
            finally:
                self._session = None
                if isinstance(session, ReplaySession):
                    for text in self._refused()[len(seen) :]:
                        session.refuse(text)
                    if self._sentry is None or self._sentry.forbidden:
                        session.notes.append(NO_SENTRY)
                    if not self._asked and session.cassette.http:
                        session.notes.append(NEVER_ASKED)

    def _reachable(self) -> set[str]:
        return {*self._own, *self.allow, *(() if self._session is None else self._session.allow)}

    def _refuses(self) -> bool:
        return self.guard or (self._session is not None and not self._session.may_connect())

    def _reached(self, target: str, what: str, process: int) -> None:
        """The kernel tells of what an agent's process reaches for, past us."""
        session, processes = self._session, self._processes
        if self._refuses():
            with self._log.open("a", encoding="utf-8") as log:
                log.write(what + "\n")
        elif isinstance(session, RecordSession) and not (processes and processes.tells(process)):
            session.went_past(target, what)

    async def _tell_turn(self, _: Request, body: bytes) -> web.Response:
        turn = None if self._session is None else self._session.turn_of()
        return web.Response(text="" if turn is None else str(turn))

    def _refused(self) -> list[str]:
        return self._log.read_text("utf-8").splitlines() if self._log.exists() else []

    async def _answer(self, request: Request, body: bytes) -> web.StreamResponse:
        session = self._session
        is_outgoing = outgoing.is_outgoing(request)
        if is_outgoing and outgoing.is_telemetry(request):
            return web.json_response({})
        if session is None and is_outgoing and not self.guard:
            # an agent that starts; Python processes are not recorded then either
            return await self._forward(request, outgoing.meant(request, body), HttpExchange())
        if session is None:
            refused = refusal(f"{request.method} {request.path}: no conversation is open")
            return await send(request, HttpExchange(refused))
        self._asked += 1
        if isinstance(session, ReplaySession) and asks_for_models(request) and not session.lists_models:
            return await send(request, HttpExchange(models_of(session.cassette.http)))
        asked = HttpRequest(request.method, str(request.url), request.headers, body)
        asked = outgoing.meant(request, body) if is_outgoing else asked
        exchange = session.begin(asked)
        assert exchange is not None  # only what this process asks for itself is let out unseen
        if exchange.response is not None:
            return await send(request, exchange)
        return await self._forward(request, asked, exchange)

    def _real_address(self, request: HttpRequest) -> str:
        if address(request.url) != f"127.0.0.1:{self.port}":
            return request.url
        return self._at_upstream(request.url.partition("//")[2].partition("/")[2], request.headers)

    def _at_upstream(self, path: str, headers: Mapping[str, str]) -> str:
        path = "/" + path.removeprefix("/")
        if "anthropic-version" in headers:
            return self.upstream["ANTHROPIC_BASE_URL"].rstrip("/") + path
        return self.upstream["OPENAI_BASE_URL"].rstrip("/") + path.removeprefix("/v1")

    async def _forward(
        self, request: Request, asked: HttpRequest, exchange: HttpExchange
    ) -> web.StreamResponse:
        """Let a request go on to the address that it is meant for, and note its answer piece by piece as it
        passes."""
        target = self._real_address(asked)
        if exchange.recording is not None:
            exchange.recording.uri = target
        headers = {name: value for name, value in asked.headers.items() if name not in _HOP_BY_HOP}
        headers["Accept-Encoding"] = "identity"
        # the call is noted here: it is let out unseen
        unseen = RecordSession(Rules(), [address(target)])
        try:
            with entered(unseen):
                return await self._passed_on(request, target, headers, asked.body, exchange)
        except ConnectionResetError:
            exchange.ended("closed")  # the agent went away
            raise
        except (ClientError, OSError) as error:
            return await self._broke(request, target, exchange, error)

    async def _passed_on(
        self,
        request: Request,
        target: str,
        headers: dict[str, str],
        body: bytes,
        exchange: HttpExchange,
    ) -> web.StreamResponse:
        url = URL(target, encoded=True)
        async with self._client.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            kept = [
                (name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP
            ]
            exchange.opened(answer.status, answer.reason or "", kept)
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in kept:
                response.headers.add(name, value)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                exchange.chunk(piece)
                await response.write(piece)
            exchange.ended()
            await response.write_eof()
            return response

    async def _broke(
        self, request: Request, target: str, exchange: HttpExchange, error: Exception
    ) -> web.StreamResponse:
        """The real address cannot be reached, or its answer died on the way: so it does for the agent."""
        if exchange.began:
            exchange.died(error)
            abort(request)
        exchange.failed(error)
        if outgoing.is_outgoing(request):
            abort(request)
        text = f"{target}: {error}; is OPENAI_BASE_URL the agent's own endpoint, here where we run?"
        return web.json_response({"error": {"message": text, "type": "unreachable"}}, status=502)
