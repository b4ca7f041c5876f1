"""The agent's side of a service that plays the caller (`simulate serve`, or Future AGI's).

The service says what the caller says; the agent that is tested answers, wherever it is.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from simulate.conversation.agents.adapter import AgentAdapter, AgentMessage, AgentSession, Call, HungUp
from simulate.conversation.agents.connection_faults import connection_fault
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.errors import EnvironmentFault, Fault, InputError
from simulate.model.json_values import to_json
from simulate.model.shapes import list_of, object_of
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.tools import using

if TYPE_CHECKING:
    import aiohttp

MOST_TURNS = 50
"""Turns after which a service stops a chat."""
EMPTY_PAUSE = 2.0
"""Seconds before a service is asked again that has no calls yet."""


@dataclass(slots=True)
class ServiceCall:
    """One call that a service led. ``metrics`` is what it says of it; None where it says nothing."""

    id: str
    conversation: Conversation
    tool_uses: list[ToolUse]
    fault: Fault | None = None
    """What broke it; None where the service ended it."""
    metrics: Any = None


@dataclass(frozen=True, slots=True)
class Service:
    """Where a service is, and the keys that it asks for."""

    url: str
    api_key: str
    secret_key: str

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[_Client]:
        """A connection to it."""
        import aiohttp  # it takes a fifth of the time until a run begins, and few runs are led by a service

        headers = {"x-api-key": self.api_key, "x-secret-key": self.secret_key}
        async with aiohttp.ClientSession(self.url.rstrip("/") + "/", headers=headers) as http:
            yield _Client(http, self.url)


class _Client:
    """Requests to a service; what it answers, out of its wrapping."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http, self._url = http, url

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The ``result`` of one request. Raises EnvironmentFault with what the service says is wrong."""
        from aiohttp import ClientError  # as late as in `client`

        try:
            async with self._http.request(method, path, json=body, allow_redirects=False) as response:
                status, text = response.status, await response.text()
        except (ClientError, TimeoutError, OSError) as error:
            fault = connection_fault(error, self._url)
            told = f"{self._url} does not answer: {error}" if fault is None else fault.message
            raise EnvironmentFault(told, hint="is this the address of a service that runs?") from error
        try:
            told = json.loads(text)
        except ValueError:
            told = None
        if status >= 300:
            raise EnvironmentFault(f"{self._url} answered {status}: {_problem(told, text)}", where=path)
        if not isinstance(object_of(told).get("result"), (dict, list)):
            raise EnvironmentFault(f"{self._url} answered no result: {text[:200]!r}", where=path)
        result = object_of(told)["result"]
        return object_of(result) or {"items": result}


async def carry_all(
    adapter: AgentAdapter, service: Service, run_test: str, *, by_id: bool, jobs: int, reply: float
) -> list[ServiceCall]:
    """Every call of a run test, ``jobs`` at once, in the order in which the service gave them."""
    async with service.client() as client:
        if not by_id:
            found = await client.ask("GET", f"simulate/run-tests/get-id-by-name/{quote(run_test, safe='')}/")
            run_test = str(_field(found, "run_test_id"))
        begun = await client.ask("POST", f"simulate/run-tests/{quote(run_test, safe='')}/chat-execute/", {})
        execution = str(_field(begun, "execution_id"))
        free = asyncio.Semaphore(jobs)
        calls = [_Carried(client, adapter, each, reply) async for each in _calls(client, execution)]
        return await asyncio.gather(*(call.carry(free) for call in calls))


async def _calls(client: _Client, execution: str) -> AsyncGenerator[str]:
    more = True
    while more:
        told = await client.ask(
            "POST", f"simulate/test-executions/{execution}/chat/call-executions/batch/", {}
        )
        ids = list_of(_field(told, "call_execution_ids", []))
        more = bool(_field(told, "has_more", False))
        for call_id in ids:
            yield str(call_id)
        if more and not ids:
            await asyncio.sleep(EMPTY_PAUSE)


class _Carried:
    """One call while it goes on."""

    def __init__(self, client: _Client, adapter: AgentAdapter, call_id: str, reply: float) -> None:
        self._client, self._adapter, self._id, self._reply = client, adapter, call_id, reply
        self.conversation = Conversation(call_id, started_ns=time.time_ns())
        self.tools = PinnedTools({})
        self._began = time.monotonic()
        self.tools.began = self._began
        self._heard = 0
        """How many of the service's messages the agent has been told."""

    async def carry(self, free: asyncio.Semaphore) -> ServiceCall:
        """Until the service ends it, or something breaks."""
        async with free:
            fault: Fault | None = None
            try:
                call = Call(self._id, self.tools, reply_timeout=self._reply)
                with using(self.tools):
                    async with self._adapter.connect(call) as agent:
                        await self._talk(agent)
            except Fault as broken:
                fault, self.conversation.ended_by = broken, "fault"
                self.conversation.end_reason = broken.message
                await self._tell_broken(broken)
            self.conversation.duration = self._now()
            return ServiceCall(self._id, self.conversation, self.tools.uses, fault, await self._metrics())

    async def _talk(self, agent: AgentSession) -> None:
        told = await self._send(initiate_chat=True)
        for turn in range(1, MOST_TURNS + 1):
            line = None if _field(told, "chat_ended", False) else self._next_line(told)
            if line is None:
                self.conversation.ended_by = "caller"
                return
            self.tools.turn = turn
            said, milliseconds, hung_up = await self._answer(agent, line, turn)
            told = await self._send(messages=said, metrics={"latency": milliseconds}, initiate_chat=False)
            if hung_up:
                self.conversation.ended_by = "agent"
                await self._status("completed", "the agent hung up")
                return
        self.conversation.ended_by = "limit"

    def _next_line(self, told: Mapping[str, Any]) -> str | None:
        """What the caller says: the messages of the history that are new, or the one beside it. Some services
        send the whole history each time, others what is new."""
        said = _contents(_field(told, "message_history"), "assistant")
        new = said[self._heard :] or _contents(_field(told, "output_message"), "assistant") or said[-1:]
        self._heard = max(self._heard, len(said))
        return "\n".join(new) or None

    async def _answer(
        self, agent: AgentSession, line: str, turn: int
    ) -> tuple[list[dict[str, Any]], int, bool]:
        """The agent's answer as the service's messages, its milliseconds, and whether it hung up."""
        asked = self._now()
        self.conversation.add(Utterance("caller", line, turn, asked, asked, first=asked))
        texts: list[str] = []
        before, hung_up = len(self.tools.uses), False
        async for event in agent.send(line):
            if isinstance(event, AgentMessage):
                now = self._now()
                texts.append(event.text)
                self.conversation.add(Utterance("agent", event.text, turn, now, now, first=now))
            elif isinstance(event, HungUp):
                hung_up = True
                break
        message: dict[str, Any] = {"role": "user", "content": "\n".join(texts)}
        used = enumerate(self.tools.uses[before:])
        calls = [(use.call_id or f"call_{turn}_{number}", use) for number, use in used]
        if calls:
            message["tool_calls"] = [_as_call(call_id, use) for call_id, use in calls]
        results = [
            {"role": "tool", "tool_call_id": call_id, "content": _text(use.error or use.result)}
            for call_id, use in calls
        ]
        return [message, *results], round((self._now() - asked) * 1000), hung_up

    async def _send(self, **body: Any) -> dict[str, Any]:
        return await self._client.ask("POST", f"simulate/call-executions/{self._id}/chat/send-message/", body)

    async def _status(self, status: str, reason: str) -> None:
        body = {"status": status, "ended_reason": reason}
        await self._client.ask("PATCH", f"simulate/call-executions/{self._id}/", body)

    async def _tell_broken(self, fault: Fault) -> None:
        """A call that broke is failed, after whichever turn; the reason may be private."""
        try:
            await self._status("failed", f"the call broke on the {fault.side}'s side")
        except Fault:
            return  # the first fault is the one to tell

    async def _metrics(self) -> Any:
        try:
            return await self._client.ask(
                "GET", f"sdk/api/v1/simulation/metrics/?call_execution_id={self._id}"
            )
        except Fault:
            return None

    def _now(self) -> float:
        return time.monotonic() - self._began


def service_of(url: str, api_key: str | None, secret_key: str | None) -> Service:
    """The service at an address. Raises InputError where a key is missing or the address is none."""
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url!r} is not the address of a service", hint="http://host:port")
    missing = [name for name, key in (("api_key", api_key), ("secret_key", secret_key)) if not key]
    if missing:
        raise InputError(
            f"the service needs {' and '.join(missing)}",
            hint="give them, or set FI_API_KEY and FI_SECRET_KEY",
        )
    return Service(url, str(api_key), str(secret_key))


def _field(told: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """A field in either spelling: ``chat_ended`` or ``chatEnded``."""
    first, *rest = name.split("_")
    return told.get(name, told.get(first + "".join(word.title() for word in rest), default))


def _contents(messages: Any, role: str) -> list[str]:
    told = map(object_of, list_of(messages) or [messages])
    return [str(each["content"]) for each in told if each.get("role", role) == role and each.get("content")]


def _problem(told: Any, text: str) -> str:
    known = object_of(told)
    parts = [str(known[key]) for key in ("result", "error", "message", "detail") if known.get(key)]
    return " | ".join(parts) or text[:200] or "nothing"


def _as_call(call_id: str, use: ToolUse) -> dict[str, Any]:
    function = {"name": use.name, "arguments": _text(use.arguments)}
    return {"id": call_id, "type": "function", "function": function}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value).decode()
