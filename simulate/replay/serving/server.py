"""Recordings as a local OpenAI-compatible server: an agent in any language replays by one changed line.

Sessions of agents that run at the same time are told apart by the ``x-simulate-session`` header, by the trace
id of ``traceparent``, or else by their history: a request belongs to the conversation whose messages it
continues, and one that continues none begins a new one.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from aiohttp import web

from simulate.errors import InputError
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.loaders import load_source
from simulate.replay.matching.chat import Atom
from simulate.replay.matching.divergence import Pace, Policy
from simulate.replay.matching.request import HttpRequest
from simulate.replay.matching.rules import Rules, default_rules
from simulate.replay.replay_session import ReplaySession
from simulate.replay.report import ReplayReport
from simulate.replay.serving.sockets import asks_for_models, listening, models_of, send


@dataclass(slots=True)
class PlaybackSession:
    """One agent's conversation with the server."""

    replay: ReplaySession
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
        pace: Pace = "ordered",
    ) -> None:
        if policy not in {"fail", "stop", "nearest"}:
            raise InputError(f"a playback server cannot go {policy}", hint="choose fail, stop or nearest")
        self.cassettes = list(cassettes)
        self.rules = rules or default_rules()
        self.policy: Policy = policy
        self.pace: Pace = pace
        self.sessions: list[PlaybackSession] = []
        self.port = 0
        self._named: dict[str, PlaybackSession] = {}

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
        async with listening(self._answer, port, report=self._report) as self.port:
            yield self

    def reports(self) -> list[ReplayReport]:
        """One report a session, in the order in which they began."""
        for session in self.sessions:
            session.replay.finish()
        return [session.replay.report() for session in self.sessions]

    async def _report(self, _: web.BaseRequest, body: bytes) -> web.Response:
        sessions = [{"session": s.name, **s.replay.report().as_dict()} for s in self.sessions]
        return web.json_response({"sessions": sessions}, dumps=lambda value: orjson.dumps(value).decode())

    async def _answer(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        asked = HttpRequest(request.method, str(request.url), request.headers, body)
        session = self._session(asked)
        known = [recording for each in self.cassettes for recording in each.http]
        if asks_for_models(request) and not any(one.endpoint.endswith("/models") for one in known):
            return await send(request, HttpExchange(models_of(known)))
        exchange = session.replay.begin(asked)
        assert exchange is not None  # fail, stop and nearest let nothing out
        return await send(request, exchange)

    def _session(self, request: HttpRequest) -> PlaybackSession:
        chat = request.as_chat(self.rules)
        history: list[Atom] | None = chat.body["history"] if chat else None
        named = request.headers.get("x-simulate-session") or _trace_id(request)
        session = self._named.get(named) if named else None
        if session is None and "x-simulate-session" not in request.headers:
            session = self._continued(history, known=named is not None)
        if session is None:
            session = PlaybackSession(self._new_replay(request), named or f"session {len(self.sessions) + 1}")
            self.sessions.append(session)
        if named:
            self._named[named] = session
        if history is not None:
            session.history = history
        return session

    def _continued(self, history: list[Atom] | None, *, known: bool) -> PlaybackSession | None:
        """The session whose messages this request continues; the longest such history wins."""
        if history is None:
            # nothing to tell them apart by: the only conversation there is, or none
            return self.sessions[-1] if self.sessions and not known else None
        best: PlaybackSession | None = None
        for session in self.sessions:
            length = len(session.history)
            longer = best is None or length > len(best.history)
            if length and longer and len(history) > length and history[:length] == session.history:
                best = session
        return best

    def _new_replay(self, request: HttpRequest) -> ReplaySession:
        replays = [
            ReplaySession(cassette, self.rules, policy=self.policy, pace=self.pace)
            for cassette in self.cassettes
        ]
        return next((replay for replay in replays if replay.knows(request)), replays[0])


def _trace_id(request: HttpRequest) -> str | None:
    parts = request.headers.get("traceparent", "").split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None


@contextlib.asynccontextmanager
async def playback(
    source: str | Path,
    *,
    port: int = 0,
    policy: Policy = "fail",
    pace: Pace = "ordered",
    partial: bool = False,
) -> AsyncGenerator[PlaybackServer]:
    """`simulate playback` for Python: serve a cassette, a folder of them or a file of production traces on
    127.0.0.1 while inside; ``base_url`` of what it gives is what the agent's client is to ask, ``reports()``
    what was asked. Raises InputError for a source that cannot be played."""
    rules = default_rules()
    server = PlaybackServer(
        load_source(source, partial=partial, rules=rules), rules=rules, policy=policy, pace=pace
    )
    async with server.serve(port):
        yield server
