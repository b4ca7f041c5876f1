"""Recordings as a local OpenAI-compatible server: an agent in any language replays by one changed line.

Sessions of agents that run at the same time are told apart by the ``x-simulate-session`` header, by the trace
id of ``traceparent``, or else by their history: a request belongs to the conversation whose messages it
continues, and one that continues none begins a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from aiohttp import web

from simulate.errors import InputError
from simulate.replay import key as keys
from simulate.replay.cassette import Cassette, Reply
from simulate.replay.chat import Atom, form_of_request, is_chat
from simulate.replay.divergence import Policy
from simulate.replay.key import Rules
from simulate.replay.player import Player
from simulate.replay.report import ReplayReport
from simulate.replay.session import default_rules

_DROPPED = frozenset({"content-length", "transfer-encoding", "connection", "content-encoding"})


@dataclass(slots=True)
class Session:
    """One agent's conversation with the server."""

    player: Player
    name: str
    history: list[Atom] = field(default_factory=list[Atom])


class PlaybackServer:
    """Serves one or more cassettes; each session plays one of them from its beginning."""

    def __init__(
        self,
        cassettes: Sequence[Cassette],
        *,
        rules: Rules | None = None,
        policy: Policy = "fail",
        pace: Literal["instant", "recorded"] = "instant",
    ) -> None:
        if policy not in {"fail", "stop", "nearest"}:
            raise InputError(f"a playback server cannot go {policy}", hint="choose fail, stop or nearest")
        self.cassettes = list(cassettes)
        self.rules = rules or default_rules()
        self.policy: Policy = policy
        self.pace: Literal["instant", "recorded"] = pace
        self.sessions: list[Session] = []
        self.port = 0
        self._named: dict[str, Session] = {}

    @property
    def base_url(self) -> str:
        """What to set ``OPENAI_BASE_URL`` to."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def root_url(self) -> str:
        """What to set ``ANTHROPIC_BASE_URL`` to."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncGenerator[PlaybackServer]:
        """Listen on 127.0.0.1 while inside; InputError where the port is taken."""
        app = web.Application(client_max_size=256 * 2**20)
        app.router.add_get("/__simulate/report", self._report)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, "127.0.0.1", port).start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                raise InputError(
                    f"port {port} is taken; does another playback run?", hint="choose another with --port"
                ) from error
            self.port = int(runner.addresses[0][1])
            yield self
        finally:
            await runner.cleanup()

    def reports(self) -> list[ReplayReport]:
        """One report a session, in the order in which they began."""
        for session in self.sessions:
            session.player.finish()
        return [session.player.report() for session in self.sessions]

    async def _report(self, _: web.Request) -> web.Response:
        sessions = [{"session": s.name, **s.player.report().as_dict()} for s in self.sessions]
        return web.json_response({"sessions": sessions}, dumps=lambda value: orjson.dumps(value).decode())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        session = self._session(request.method, str(request.url), request.headers, body)
        listing = request.method == "GET" and request.path.rstrip("/").endswith("/models")
        if listing and not any(one.endpoint.endswith("/models") for one in session.player.cassette.http):
            return self._models()
        exchange = session.player.begin(request.method, str(request.url), request.headers, body)
        assert exchange.reply is not None  # only the policies live and simulate leave it open
        return await _send(request, exchange.reply, exchange.paced)

    def _models(self) -> web.Response:
        names = sorted(
            {one.components.get("model", "") for each in self.cassettes for one in each.http} - {""}
        )
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "recorded"} for name in names]
        return web.json_response({"object": "list", "data": data})

    def _session(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Session:
        canonical = keys.canonical(method, url, headers, body, self.rules)
        form = (
            form_of_request(canonical.endpoint, canonical.body, self.rules)
            if is_chat(canonical.endpoint)
            else None
        )
        history: list[Atom] | None = form["history"] if form else None
        named = headers.get("x-simulate-session") or _trace_id(headers)
        session = self._named.get(named) if named else None
        if session is None and "x-simulate-session" not in headers:
            session = self._continued(history, known=named is not None)
        if session is None:
            player = self._new_player(method, url, headers, body)
            session = Session(player, named or f"session {len(self.sessions) + 1}")
            self.sessions.append(session)
        if named:
            self._named[named] = session
        if history is not None:
            session.history = history
        return session

    def _continued(self, history: list[Atom] | None, *, known: bool) -> Session | None:
        """The session whose messages this request continues; the longest such history wins."""
        if history is None:
            # nothing to tell them apart by: the only conversation there is, or none
            return self.sessions[-1] if self.sessions and not known else None
        best: Session | None = None
        for session in self.sessions:
            length = len(session.history)
            longer = best is None or length > len(best.history)
            if length and longer and len(history) > length and history[:length] == session.history:
                best = session
        return best

    def _new_player(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Player:
        players = [
            Player(cassette, self.rules, policy=self.policy, pace=self.pace) for cassette in self.cassettes
        ]
        return next((one for one in players if one.knows(method, url, headers, body)), players[0])


def _trace_id(headers: Mapping[str, str]) -> str | None:
    parts = headers.get("traceparent", "").split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None


async def _send(request: web.Request, reply: Reply, paced: bool) -> web.StreamResponse:
    if reply.ended.startswith("failed"):
        _abort(request)
        return web.Response(status=502)
    headers = [(name, value) for name, value in reply.headers if name.lower() not in _DROPPED]
    response = web.StreamResponse(status=reply.status, reason=reply.reason or None)
    for name, value in headers:
        response.headers.add(name, value)
    if len(reply.chunks) <= 1 and reply.ended == "complete":
        response.content_length = len(reply.content)
    before = 0.0
    await response.prepare(request)
    for offset, piece in reply.chunks:
        if paced and offset > before:
            await asyncio.sleep((offset - before) / 1000)
            before = offset
        await response.write(piece)
    if reply.ended.startswith("died"):
        await asyncio.sleep(0.01)  # let the last piece leave before the connection breaks
        _abort(request)
        return response
    await response.write_eof()
    return response


def _abort(request: web.Request) -> None:
    transport: Any = request.transport
    if transport is not None:
        transport.abort()
