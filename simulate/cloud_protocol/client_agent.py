"""An agent that a client of ours calls: its answers come in requests of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulate import determinism
from simulate.conversation.agents.adapter import AgentEvent, AgentMessage, Call, within
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.errors import AgentFault, Fault
from simulate.model.shapes import is_object, list_of, object_of
from simulate.model.transcript import ToolUse


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """What a client's agent answered in one turn, with the calls of its tools."""

    text: str
    calls: list[ToolUse] = field(default_factory=list[ToolUse])

    @classmethod
    def of(cls, messages: list[Any]) -> ClientAnswer:
        """From the messages of one request, in OpenAI's shape; the agent's own role is ``user`` here."""
        texts: list[str] = []
        calls: list[ToolUse] = []
        results: dict[str, Any] = {}
        for message in map(object_of, messages):
            if message.get("role") == "tool":
                results[str(message.get("tool_call_id"))] = message.get("content")
                continue
            if content := message.get("content"):
                texts.append(str(content))
            calls += [_call(object_of(each)) for each in list_of(message.get("tool_calls"))]
        for call in calls:
            if call.call_id in results:
                call.result, call.result_known, call.ran = results[call.call_id], True, True
        return cls("\n".join(texts), calls)


def _call(told: Mapping[str, Any]) -> ToolUse:
    """A call that was asked for; whether it ran is unknown until its result is told."""
    function = object_of(told.get("function")) or told
    given = function.get("arguments")
    if isinstance(given, str):
        with contextlib.suppress(ValueError, RecursionError):
            given = json.loads(given)
    known = is_object(given)
    return ToolUse(
        str(function.get("name") or ""),
        object_of(given) if known else {},
        call_id=None if told.get("id") is None else str(told["id"]),
        arguments_known=known,
        result_known=False,
        ran=None,
    )


class ClientAgent:
    """The agent of one call, as an adapter: what the caller says waits here until the client asks for it."""

    speaks_first = False

    def __init__(self, address: str = "cloud:client") -> None:
        self.address = address
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        """What the caller said and the client has not been given yet."""
        self._answers: asyncio.Queue[ClientAnswer | Fault] = asyncio.Queue()

    def answer(self, answer: ClientAnswer | Fault) -> None:
        """What the client sends: the agent's answer, or why there will be none."""
        self._answers.put_nowait(answer)

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[_Session]:
        """The one conversation."""
        yield _Session(self, call)

    async def next(self) -> ClientAnswer:
        """The agent's next answer. Raises the fault that the client tells of."""
        answer = await self._answers.get()
        if isinstance(answer, Fault):
            raise answer
        return answer


class _Session:
    def __init__(self, agent: ClientAgent, call: Call) -> None:
        self._agent, self._call = agent, call

    async def send(self, message: str | None) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer, cut off after the call's ``reply_timeout``."""
        if message is None:
            return  # a client's agent only answers
        self._agent.lines.put_nowait(message)
        async for event in within(self._events(), self._call.reply_timeout, "the client's agent"):
            yield event

    async def _events(self) -> AsyncIterator[AgentEvent]:
        answer = await self._agent.next()
        tools = self._call.toolbox
        if isinstance(tools, PinnedTools):
            now = None if tools.began is None else determinism.current().clock.monotonic() - tools.began
            for call in answer.calls:
                call.turn, call.start, call.end = tools.turn, now, now
            tools.told += answer.calls
        if not answer.text.strip():
            raise AgentFault("the client's agent answered without text")
        yield AgentMessage(answer.text)
