"""An agent that speaks A2A: ``a2a:http://host:port``, found by its agent card.

The official client speaks each version of the protocol and each transport that the card offers. A turn is a
message in one context; a task that asks for input goes on with the next one.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

from simulate.conversation.agents.adapter import (
    AgentEvent,
    AgentMessage,
    Call,
    Connected,
    Delta,
    EndpointOptions,
    within,
)
from simulate.conversation.agents.connection_faults import connection_fault, watching
from simulate.conversation.agents.last_response import LastResponse
from simulate.errors import AgentFault, EnvironmentFault, Fault, MissingExtra, NotReached
from simulate.model.agent_address import target_of
from simulate.model.attachment import Attachment
from simulate.model.identity import filled_texts
from simulate.model.outage import outage
from simulate.trace.capture.simulator_tracing import aside

try:
    import httpx
    from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
    from a2a.client.client import ClientCallContext
    from a2a.client.errors import A2AClientTimeoutError, AgentCardResolutionError
    from a2a.types.a2a_pb2 import Message, Part, Role, SendMessageRequest, TaskState
    from a2a.utils.errors import A2AError
    from google.protobuf.json_format import ParseError
    from pydantic import ValidationError
except ImportError as error:
    raise MissingExtra("a2a-sdk", "a2a") from error

_BROKEN = {
    TaskState.TASK_STATE_FAILED: "failed",
    TaskState.TASK_STATE_REJECTED: "was rejected",
    TaskState.TASK_STATE_CANCELED: "was canceled",
    TaskState.TASK_STATE_AUTH_REQUIRED: "asks for authentication",
}
_WAITS = {TaskState.TASK_STATE_INPUT_REQUIRED}
_OPEN = {TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING}
_NO_CARD = "an A2A agent shows its card at /.well-known/agent-card.json below the address"


class A2AAdapter:
    """Connects to an agent by its card."""

    speaks_first = False

    def __init__(self, address: str, options: EndpointOptions) -> None:
        self.address, self.options = address, options
        self.url = target_of(address)

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[A2ASession, None]:
        """Read the card and open a client for what it offers."""
        headers = filled_texts(self.options.headers, call.placeholders)
        if self.options.api_key:
            headers["Authorization"] = f"Bearer {self.options.api_key}"

        async def stamp(request: httpx.Request) -> None:
            request.headers.update(call.headers)

        opened: list[float] = []
        last = LastResponse(self.address, not_found=_NO_CARD)
        hooks = {"request": [stamp, watching(opened)], "response": [last.hook]}
        async with httpx.AsyncClient(headers=headers, timeout=call.reply_timeout, event_hooks=hooks) as http:
            with aside():
                card = await self._card(http, last)
            last.not_found = "the agent's card names another address"
            streams = self.options.stream is not False
            config = ClientConfig(httpx_client=http, streaming=streams)
            config.supported_protocol_bindings = ["JSONRPC", "HTTP+JSON"]
            try:
                client = ClientFactory(config).create(card)
            except ValueError as error:
                raise last.fault or AgentFault(
                    f"{self.address}: its card offers no transport we speak: {error}"
                ) from error
            opened.clear()
            yield A2ASession(self, call, client, opened, last)

    async def _card(self, http: httpx.AsyncClient, last: LastResponse) -> Any:
        try:
            return await A2ACardResolver(http, self.url).get_agent_card()
        except AgentCardResolutionError as error:
            raise (
                last.fault
                or connection_fault(error, self.address)
                or EnvironmentFault(
                    f"{self.address}: its agent card cannot be read: {error}",
                    hint="is the address that of an A2A agent?",
                )
            ) from error


class A2ASession:
    """One conversation, which is one context."""

    def __init__(
        self, adapter: A2AAdapter, call: Call, client: Any, opened: list[float], last: LastResponse
    ) -> None:
        self.adapter, self.call = adapter, call
        self._client, self._last = client, last
        self._opened = opened
        """When connections came about that were not told yet."""
        self._context = call.conversation_id
        self._earlier = [Part(text=text) for text in _told(call.history)]
        """What was said and done before, until the agent has it."""
        self._task = ""
        """A task that waits for the caller's next line."""

    async def send(
        self, message: str | None, attachments: Sequence[Attachment] = ()
    ) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer."""
        if message is None:
            return
        address = self.adapter.address
        files = [Part(raw=file.data, filename=file.name, media_type=file.media_type) for file in attachments]
        parts = [*self._earlier, Part(text=message), *files]
        self._earlier = []
        async for event in within(self._events(parts), self.call.reply_timeout, address):
            yield event

    async def _events(self, parts: Sequence[Any]) -> AsyncIterator[AgentEvent]:
        request = SendMessageRequest(
            message=Message(
                message_id=uuid.uuid4().hex,
                context_id=self._context,
                task_id=self._task,
                role=Role.ROLE_USER,
                parts=parts,
            )
        )
        turn = _TaskTurn()
        context = ClientCallContext(timeout=self.call.reply_timeout)
        try:
            answers = self._client.send_message(request, context=context)
            while True:
                # not around the loop: who consumes our events must not run in this context
                with aside():
                    answer = await anext(answers, None)
                if answer is None:
                    break
                if self._opened:
                    yield Connected(self._opened[-1])
                    self._opened.clear()
                for piece in turn.take(answer):
                    yield Delta(piece)
        except (A2AError, ParseError, ValidationError) as error:
            raise await self._fault(error) from error
        self._context = turn.context or self._context
        if (broken := _BROKEN.get(turn.state)) is not None:
            message = f"{self.adapter.address}: its task {broken}: {turn.told or 'no reason given'}"
            if turn.state == TaskState.TASK_STATE_AUTH_REQUIRED or outage(turn.told) is not None:
                raise EnvironmentFault(message)
            raise AgentFault(message)
        if turn.state in _OPEN:
            raise AgentFault(f"{self.adapter.address}: its answer ended while its task was still running")
        self._task = turn.task if turn.state in _WAITS else ""
        texts = turn.texts()
        if not texts:
            raise AgentFault(f"{self.adapter.address}: its answer holds no text")
        for text in texts:
            yield AgentMessage(text)

    async def _fault(self, error: A2AError | ParseError | ValidationError) -> Fault:
        address = self.adapter.address
        if not isinstance(error, A2AError):
            return self._last.fault or AgentFault(
                f"{address}: the answer is not what the A2A protocol says: {error}"
            )
        fault = await self._last.fault_of(error)
        if isinstance(fault, NotReached):
            fault.hint = "the agent's card names another address"
        elif isinstance(fault, AgentFault) and isinstance(error, A2AClientTimeoutError):
            return AgentFault(f"{address} did not answer in time")
        return fault


class _TaskTurn:
    """What one request was answered: a message, or a task with its artifacts and status."""

    def __init__(self) -> None:
        self.context, self.task, self.told = "", "", ""
        self.state: Any = None
        self._messages: list[str] = []
        self._artifacts: dict[str, str] = {}

    def take(self, answer: Any) -> list[str]:
        """The text that is new in one event."""
        match answer.WhichOneof("payload"):
            case "message":
                self.context = answer.message.context_id
                self._messages.append(_text(answer.message.parts))
                return [self._messages[-1]]
            case "task":
                self.context, self.task = answer.task.context_id, answer.task.id
                for artifact in answer.task.artifacts:
                    self._artifacts[artifact.artifact_id] = _text(artifact.parts)
                self._take_status(answer.task.status)
            case "status_update":
                self.context, self.task = answer.status_update.context_id, answer.status_update.task_id
                self._take_status(answer.status_update.status)
            case "artifact_update":
                update = answer.artifact_update
                before = self._artifacts.get(update.artifact.artifact_id, "") if update.append else ""
                piece = _text(update.artifact.parts)
                self._artifacts[update.artifact.artifact_id] = before + piece
                return [piece]
            case _:
                pass
        return []

    def texts(self) -> list[str]:
        """The answer: messages, artifacts, and what the task says at its end."""
        found = [*self._messages, *self._artifacts.values()]
        return [text for text in (*found, self.told if self.told not in found else "") if text.strip()]

    def _take_status(self, status: Any) -> None:
        self.state = status.state
        # what it tells while it works is progress, not an answer
        self.told = _text(status.message.parts) if status.state not in _OPEN else ""


def _told(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """An earlier conversation in words, as ADK's agents pass one on: the protocol has no form for it."""
    told = ["For context:"] if history else []
    names: dict[str, str] = {}
    for message in history:
        for call in message.get("tool_calls") or ():
            function = call["function"]
            names[call["id"]] = function["name"]
            told.append(f"[agent] called tool `{function['name']}` with parameters: {function['arguments']}")
        if message["role"] == "tool":
            name = names.get(message["tool_call_id"])
            told.append(f"[agent] `{name}` tool returned result: {message['content']}")
        elif message.get("content"):
            told.append(f"[{'caller' if message['role'] == 'user' else 'agent'}] said: {message['content']}")
    return told


def _text(parts: Any) -> str:
    return "".join(part.text for part in parts)
