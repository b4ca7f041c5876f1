"""Recordings as a local OpenAI-compatible server: an agent in any language replays by one changed line.

Sessions of agents that run at the same time are told apart by the ``x-simulate-session`` header, by the trace
id of ``traceparent``, or else by their history: a request belongs to the conversation whose messages it
continues, and one that continues none begins a new one.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import orjson
from aiohttp import web

from simulate.errors import InputError
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.loaders import load_source
from simulate.replay.matching import key as keys
from simulate.replay.matching.chat import Atom, form_of_request, is_chat
from simulate.replay.matching.divergence import Policy
from simulate.replay.matching.key import Rules
from simulate.replay.player import Player
from simulate.replay.report import ReplayReport
from simulate.replay.serving.sockets import asks_for_models, listening, models_of, send
from simulate.replay.session import default_rules


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
        async with listening(self._answer, port, report=self._report) as self.port:
            yield self

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
        known = [recording for each in self.cassettes for recording in each.http]
        if asks_for_models(request) and not any(one.endpoint.endswith("/models") for one in known):
            return await send(request, models_of(known))
        exchange = session.player.begin(request.method, str(request.url), request.headers, body)
        assert exchange.reply is not None  # only the policies live and simulate leave it open
        return await send(request, exchange.reply, exchange.paced)

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


@contextlib.asynccontextmanager
async def playback(
    source: str | Path,
    *,
    port: int = 0,
    policy: Policy = "fail",
    pace: Literal["instant", "recorded"] = "instant",
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
