"""CloudEngine: text, between a caller and an agent's adapter, in this process."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from simulate import determinism
from simulate.conversation.agents.adapter import (
    AgentAdapter,
    AgentMessage,
    AgentSession,
    Call,
    Connected,
    Delta,
    EndpointOptions,
    HungUp,
    TakesAttachments,
    is_adapter,
)
from simulate.conversation.agents.python import PythonAdapter
from simulate.conversation.blocking import Blocked, blocks_since, interrupted_after
from simulate.conversation.callers.caller import ActionRecord, HangUp, Listen, Say
from simulate.conversation.cloud_service import ServiceCall, carry_all, service_of
from simulate.conversation.delays import Delays, LoopLag
from simulate.conversation.engine import TrialSession
from simulate.determinism.clock import current_loop, real_time
from simulate.errors import AgentFault, InputError
from simulate.load_object import load_object
from simulate.model.agent_address import kind_of, target_of
from simulate.model.attachment import Attachment
from simulate.model.history import as_messages
from simulate.model.request_template import RequestTemplate
from simulate.model.scenario import Limits, Scenario
from simulate.model.transcript import Conversation, EndedBy, Utterance
from simulate.model.what_agents_take import not_taken

LISTENS = 10
"""How often in a row the caller may say nothing; by then it has given up."""


class CloudEngine:
    """Carries text conversations; one engine serves any number of them at once.

    ``agent`` is a callable, ``python:module:callable``, the address of an agent outside the process, or an
    adapter; ``options`` are the fields of `EndpointOptions`. ``service`` is the address of one that plays the
    caller instead of us (`simulate serve`, or Future AGI's), and ``keys`` its API key and secret key, which
    are FI_API_KEY and FI_SECRET_KEY of the environment unless given. Raises AddressError for an address that
    leads to no such agent."""

    name = "cloud"

    def __init__(
        self,
        agent: str | Callable[..., Any] | AgentAdapter,
        *,
        root: Path | None = None,
        service: str | None = None,
        keys: tuple[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.adapter: AgentAdapter
        self.outside = False
        api_key, secret_key = keys or (os.environ.get("FI_API_KEY"), os.environ.get("FI_SECRET_KEY"))
        self.service = None if service is None else service_of(service, api_key, secret_key)
        if is_adapter(agent):
            self.adapter, self.outside = agent, True
        elif not isinstance(agent, str):
            self.adapter = PythonAdapter(agent)
        elif agent.startswith("python:"):
            self.adapter = PythonAdapter(load_object(agent.partition(":")[2], agent, root), agent)
        else:
            kind = kind_of(agent, "text", templated=options.get("request") is not None)
            # SDKs take a second to import, and some are extras
            module, _, name = kind.adapter.partition(":")
            adapter = getattr(importlib.import_module(module), name)
            if name == "HttpAdapter":
                self.adapter = adapter(agent, **{key: options[key] for key in options if key != "request"})
            else:
                self.adapter = adapter(agent, EndpointOptions(root=root, **options))
            self.outside = True
        self.address = self.adapter.address
        self._template: RequestTemplate | None = getattr(self.adapter, "template", None)

    def prepare(self, scenario: Scenario) -> None:
        """Refuse what this agent can't do: one that answers requests cannot speak first."""
        if scenario.speaks_first == "agent" and not getattr(self.adapter, "speaks_first", True):
            raise InputError(
                f"{scenario.name!r} lets the agent speak first, and {self.address} only answers",
                hint="take `speaks_first: agent` out of it",
            )
        messages = isinstance(self.adapter, PythonAdapter) and self.adapter.shape == "messages"
        refused = not_taken(scenario, self.address, template=self._template, messages=messages)
        if refused is not None:
            raise InputError(refused[0], hint=refused[1])

    async def converse(self, session: TrialSession) -> None:
        """Let caller and agent talk until one ends it or a limit is reached."""
        await _Talk(session).carry(self.adapter)

    async def run(
        self,
        run_test_name: str | None = None,
        *,
        run_id: str | None = None,
        jobs: int = 5,
        reply: float = 60.0,
    ) -> list[ServiceCall]:
        """Let the service lead its run test with the agent.

        Args:
            run_test_name: What the service calls the run test.
            run_id: Its id, instead of the name.
            jobs: Calls at once.
            reply: Seconds that one reply of the agent may take.

        Returns:
            Each call with what was said, the agent's tool calls, what broke it, and the service's measures.

        Raises:
            InputError: No service, or neither a name nor an id was given.
            EnvironmentFault: The service does not answer, or refuses, with its reason.
        """
        if self.service is None or not (run_test_name or run_id):
            raise InputError(
                "a service leads a run test that has a name or an id",
                hint="CloudEngine(agent, service=URL).run('Refunds')",
            )
        name, by_id = (run_id, True) if run_id else (run_test_name or "", False)
        return await carry_all(self.adapter, self.service, name, by_id=by_id, jobs=jobs, reply=reply)

    async def aclose(self) -> None:
        """Close the adapter's connections."""
        close = getattr(self.adapter, "aclose", None)
        if close is not None:
            await close()


def _is_near(adapter: AgentAdapter) -> bool:
    """Whether an agent runs in another process of this machine."""
    if adapter.address.startswith("cloud:"):
        return False  # it comes to us, from wherever it is
    return urlsplit(target_of(adapter.address)).hostname in ("127.0.0.1", "localhost", "::1")


class _Talk:
    """One conversation while it goes on."""

    def __init__(self, session: TrialSession) -> None:
        self.session = session
        self.conversation: Conversation = session.conversation
        self.limits: Limits = session.scenario.limits
        self.limit = asyncio.timeout(self.limits.time)
        self.clock = determinism.current().clock
        self.began = self.clock.monotonic()
        # the same moment on both clocks: spans carry the time of day
        self.conversation.started_ns = self.clock.time_ns()
        self.turn = 0
        session.tools.began = self.began
        self.headers = dict(session.headers) if session.engine.outside else {}
        self.delays = session.delays = Delays(LoopLag(), nearby=False)

    async def carry(self, adapter: AgentAdapter) -> None:
        session = self.session
        call = Call(
            session.start,
            session.tools,
            self.headers,
            self.limits.reply,
            session.environment,
            history=as_messages(session.scenario.history),
            taped=session.taped,
        )
        began = real_time()
        try:
            async with self.limit:
                with interrupted_after(self.limits.time):
                    async with adapter.connect(call) as agent:
                        with LoopLag.here() as lag:
                            self.delays = self.session.delays = Delays(lag, nearby=_is_near(adapter))
                            await self._talk(agent)
        except TimeoutError:
            if not self.limit.expired():
                raise
            self._over_time()
        except Blocked as error:
            self._over_time(f": the agent blocks the event loop at {error.where}")
        except BaseException:
            self._end("fault", None)
            raise
        finally:
            if current_loop() is None:
                self.session.notes += blocks_since(began)

    def _over_time(self, why: str = "") -> None:
        said = self.conversation.utterances
        waited = " before the agent had answered" if said and said[-1].speaker == "caller" else ""
        self._end("limit", f"the limit of {self.limits.time:g} s was reached{waited}{why}")

    async def _talk(self, agent: AgentSession) -> None:
        if self.session.scenario.speaks_first == "agent":
            spoke = await self._hear(agent, None)
            if not spoke and self.conversation.ended_by is None:
                raise AgentFault("the agent should speak first and said nothing", where="turn 0")
        listens = 0
        while self.conversation.ended_by is None:
            match await self._next():
                case HangUp(reason):
                    self._end("caller", reason)
                case Listen():
                    await self._hear(agent, None)
                    listens += 1
                    if listens >= LISTENS:
                        self._end("caller", f"the caller said nothing {listens} times in a row")
                case Say() as line:
                    listens = 0
                    await self._say(agent, line)
            # instant agents and scripted callers never wait; let the other conversations go on
            await asyncio.sleep(0)

    async def _next(self) -> ActionRecord:
        """What the caller does. A model that plays the caller thinks on its own time, which is bounded by
        itself: the limit is the agent's."""
        caller, limit = self.session.caller, self.limit
        until = limit.when()
        if self.session.scenario.goal is None or until is None or limit.expired():
            return await caller.act(self.conversation)
        loop = asyncio.get_running_loop()
        left = until - loop.time()
        limit.reschedule(None)
        try:
            return await caller.act(self.conversation)
        finally:
            limit.reschedule(loop.time() + left)

    async def _say(self, agent: AgentSession, line: Say) -> None:
        turns = self.limits.turns
        if self.turn >= turns:
            self._end("limit", f"the limit of {turns} turn{'s' * (turns != 1)} was reached")
            return
        self.turn += 1
        self.session.tools.turn = self.turn
        if self.session.engine.outside:
            self.headers |= self.session.headers_of(self.turn)
        now = self._now()
        files = [file.name for file in line.attachments]
        self.conversation.add(
            Utterance("caller", line.text, self.turn, now, now, first=now, kind=line.kind, attachments=files)
        )
        heard = await self._hear(agent, line.text, line.attachments)
        if not heard and self.conversation.ended_by is None:
            raise AgentFault("the agent answered nothing", where=f"turn {self.turn}")
        over = self.session.over_limit()
        if over is not None:
            self._end("limit", over)

    async def _hear(
        self, agent: AgentSession, message: str | None, attachments: Sequence[Attachment] = ()
    ) -> bool:
        """Send, and take in all that the agent says to it; whether it said anything."""
        first, spoke = None, False
        loop = asyncio.get_running_loop()
        self.delays.begin()
        if attachments:
            events = cast("TakesAttachments", agent).send(message, attachments)
        else:
            events = agent.send(message)
        async for event in events:
            until = self.limit.when()
            if until is not None and loop.time() > until:
                # it blocked the loop, so that the time-out had no chance: it fires now
                await asyncio.sleep(self.limits.time)
            match event:
                case Connected(at):
                    self._line_is_up(at)
                case Delta():
                    if first is None:
                        self.delays.answered(self.turn)
                    first = self._now() if first is None else first
                case AgentMessage(text, attributes, cut_off):
                    text = self._legible(text)
                    if not text.strip():
                        raise AgentFault("the agent answered an empty text", where=f"turn {self.turn}")
                    if attributes:
                        self.session.seen.setdefault(self.turn, {}).update(attributes)
                    end = self._now()
                    start = end if first is None else first
                    self.conversation.add(
                        Utterance("agent", text, self.turn, start, end, first=start, cut_off=cut_off)
                    )
                    self.delays.answered(self.turn)
                    first, spoke = None, True
                case HungUp(reason):
                    self._end("agent", reason)
                    break
        return spoke

    def _line_is_up(self, at: float) -> None:
        """The caller is heard once there is a connection: what it took is not the agent's time to answer."""
        said = self.conversation.utterances[-1:]
        if said and said[0].speaker == "caller":
            said[0].start = said[0].end = said[0].first = max(said[0].start, at - self.began)

    def _legible(self, text: str) -> str:
        """Text as plain Unicode: halves of characters that came apart in a stream are joined."""
        text = str(text)
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            raise AgentFault(
                f"the agent's answer holds half a character, which no encoding can carry: {text[:200]!a}",
                where=f"turn {self.turn}",
            ) from error

    def _end(self, by: EndedBy, reason: str | None) -> None:
        if self.conversation.ended_by is None:
            self.conversation.ended_by, self.conversation.end_reason = by, reason
        self.conversation.duration = self._now()

    def _now(self) -> float:
        return self.clock.monotonic() - self.began
