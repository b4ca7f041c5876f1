"""An agent that speaks A2A: ``a2a:http://host:port``, found by its agent card.

The official client speaks each version of the protocol and each transport that the card offers. A turn is a
message in one context; a task that asks for input goes on with the next one.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from simulate.conversation.agents.adapter import (
    AgentEvent,
    AgentMessage,
    Call,
    Delta,
    EndpointOptions,
    within,
)
from simulate.conversation.agents.status_faults import status_fault
from simulate.errors import AgentFault, Fault, MissingExtra, NotReached
from simulate.model.agent_address import target_of
from simulate.trace.capture.simulator_tracing import aside

try:
    import httpx
    from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
    from a2a.client.client import ClientCallContext
    from a2a.client.errors import A2AClientError, A2AClientTimeoutError, AgentCardResolutionError
    from a2a.types.a2a_pb2 import Message, Part, Role, SendMessageRequest, TaskState
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


class A2AAdapter:
    """Connects to an agent by its card."""

    speaks_first = False

    def __init__(self, address: str, options: EndpointOptions) -> None:
        self.address, self.options = address, options
        self.url = target_of(address)

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[A2ASession, None]:
        """Read the card and open a client for what it offers."""
        headers = {**self.options.headers, **call.headers}
        if self.options.api_key:
            headers["Authorization"] = f"Bearer {self.options.api_key}"
        async with httpx.AsyncClient(headers=headers, timeout=call.reply_timeout) as http:
            with aside():
                card = await self._card(http)
            streams = self.options.stream is not False
            config = ClientConfig(httpx_client=http, streaming=streams)
            config.supported_protocol_bindings = ["JSONRPC", "HTTP+JSON"]
            try:
                client = ClientFactory(config).create(card)
            except ValueError as error:
                raise AgentFault(f"{self.address}: its card offers no transport we speak: {error}") from error
            yield A2ASession(self, call, client)

    async def _card(self, http: httpx.AsyncClient) -> Any:
        try:
            return await A2ACardResolver(http, self.url).get_agent_card()
        except AgentCardResolutionError as error:
            if error.status_code is not None:
                hint = "an A2A agent shows its card at /.well-known/agent-card.json below the address"
                raise status_fault(self.address, error.status_code, not_found=hint) from error
            if _caused_by(error, httpx.ConnectError):
                raise NotReached(
                    f"nothing listens at {self.address}", hint="start the agent, or correct its address"
                ) from error
            raise AgentFault(f"{self.address}: its agent card cannot be read: {error}") from error


class A2ASession:
    """One conversation, which is one context."""

    def __init__(self, adapter: A2AAdapter, call: Call, client: Any) -> None:
        self.adapter, self.call = adapter, call
        self._client = client
        self._context = call.conversation_id
        self._task = ""
        """A task that waits for the caller's next line."""

    async def send(self, message: str | None) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer."""
        if message is None:
            return
        address = self.adapter.address
        async for event in within(self._events(message), self.call.reply_timeout, address):
            yield event

    async def _events(self, message: str) -> AsyncIterator[AgentEvent]:
        request = SendMessageRequest(
            message=Message(
                message_id=uuid.uuid4().hex,
                context_id=self._context,
                task_id=self._task,
                role=Role.ROLE_USER,
                parts=[Part(text=message)],
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
                for piece in turn.take(answer):
                    yield Delta(piece)
        except A2AClientError as error:
            raise _fault(error, self.adapter.address) from error
        self._context = turn.context or self._context
        if (broken := _BROKEN.get(turn.state)) is not None:
            raise AgentFault(f"{self.adapter.address}: its task {broken}: {turn.told or 'no reason given'}")
        if turn.state in _OPEN:
            raise AgentFault(f"{self.adapter.address}: its answer ended while its task was still at work")
        self._task = turn.task if turn.state in _WAITS else ""
        texts = turn.texts()
        if not texts:
            raise AgentFault(f"{self.adapter.address}: its answer holds no text")
        for text in texts:
            yield AgentMessage(text)


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


def _text(parts: Any) -> str:
    return "".join(part.text for part in parts)


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, kind):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _fault(error: Exception, address: str) -> Fault:
    if isinstance(error, A2AClientTimeoutError):
        return AgentFault(f"{address} did not answer in time")
    cause = error.__cause__
    if isinstance(cause, httpx.HTTPStatusError):
        return status_fault(address, cause.response.status_code)
    if _caused_by(error, httpx.ConnectError):
        return NotReached(f"nothing listens at {address}", hint="the agent's card names another address")
    return AgentFault(f"{address}: {error}")
