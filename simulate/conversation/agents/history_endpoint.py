"""What agents behind a model's own protocol share: the whole history is sent each time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from simulate.conversation.agents.adapter import AgentEvent, Call, EndpointOptions
from simulate.conversation.agents.handed_tools import HandedCall, ModelReply, answered_by_model
from simulate.conversation.agents.http_client import HttpClient, HttpTurns
from simulate.model.agent_address import target_of
from simulate.model.identity import filled


class HistoryAdapter:
    """Connects to an endpoint; one pool of connections for all conversations."""

    speaks_first = False
    path = ""
    """Of the request, below the address."""

    def __init__(self, address: str, options: EndpointOptions) -> None:
        self.address, self.options = address, options
        self.url = target_of(address).rstrip("/") + self.path
        hint = f"the address should end before {self.path}, often in /v1"
        self.client = HttpClient(address, not_found=hint)

    async def aclose(self) -> None:
        await self.client.aclose()


class HistorySession:
    """One conversation with an endpoint that keeps no state."""

    def __init__(self, adapter: HistoryAdapter, call: Call) -> None:
        self.adapter, self.call = adapter, call
        self.history: list[dict[str, Any]] = []
        self.turns = HttpTurns(adapter.client, call)

    async def send(self, message: str | None) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer; tools that the endpoint hands to us answer as pinned."""
        if message is None:
            return
        self.history.append({"role": "user", "content": message})
        async for event in self.turns.limited(answered_by_model(self, self.adapter.address)):
            yield event

    def ask(self, reply: ModelReply) -> AsyncIterator[str]:
        """Send the history; give the pieces as they come, and fill ``reply``."""
        raise NotImplementedError

    def result(self, call: HandedCall, content: str, *, failed: bool) -> dict[str, Any]:
        """What a tool gave, as an entry of the history."""
        raise NotImplementedError

    def carried(self, body: dict[str, Any]) -> dict[str, Any]:
        """A request's body with the fields that the project sets, ``{user}`` and the like filled in."""
        body = body | self._filled(self.adapter.options.body)
        return body if self.adapter.options.stream is False else body | {"stream": True}

    def headers(self) -> dict[str, Any]:
        """Those that the project sets, and what tells the agent whose conversation it is."""
        return {**self._filled(self.adapter.options.headers), **self.call.headers}

    def _filled(self, configured: Any) -> dict[str, Any]:
        made: dict[str, Any] = filled(dict(configured), self.call.attributes, self.call.conversation_id)
        return made
