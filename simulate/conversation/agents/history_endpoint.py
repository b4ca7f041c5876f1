"""What agents behind a model's own protocol share: the whole history is sent each time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from simulate.conversation.agents.adapter import AgentEvent, Call, EndpointOptions
from simulate.conversation.agents.handed_tools import HandedCall, ModelReply, answered_by_model
from simulate.conversation.agents.http_client import HttpClient, HttpTurns
from simulate.model.agent_address import target_of
from simulate.model.attachment import Attachment
from simulate.model.identity import filled, filled_texts


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
        self.history: list[dict[str, Any]] = self.earlier(call.history)
        self.turns = HttpTurns(adapter.client, call)

    async def send(
        self, message: str | None, attachments: Sequence[Attachment] = ()
    ) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer; tools that the endpoint hands to us answer as pinned."""
        if message is None:
            return
        self.history.append({"role": "user", "content": self.content(message, attachments)})
        async for event in self.turns.limited(answered_by_model(self, self.adapter.address)):
            yield event

    def earlier(self, history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What was said and done before, in the protocol's shape."""
        made: list[dict[str, Any]] = []
        for message in history:
            if message["role"] == "tool":
                call = HandedCall(message["tool_call_id"], "", None)
                made.append(self.result(call, message["content"], failed=False))
            elif (calls := message.get("tool_calls")) is not None:
                made += [
                    self.asked(HandedCall(one["id"], one["function"]["name"], one["function"]["arguments"]))
                    for one in calls
                ]
            else:
                made.append(dict(message))
        return made

    def content(self, text: str, attachments: Sequence[Attachment]) -> Any:
        """A line with its files, in the protocol's shape."""
        raise NotImplementedError

    def asked(self, call: HandedCall) -> dict[str, Any]:
        """A model's call of a tool, as an entry of the history."""
        raise NotImplementedError

    def ask(self, reply: ModelReply) -> AsyncIterator[str]:
        """Send the history; give the pieces as they come, and fill ``reply``."""
        raise NotImplementedError

    def result(self, call: HandedCall, content: str, *, failed: bool) -> dict[str, Any]:
        """What a tool gave, as an entry of the history."""
        raise NotImplementedError

    def carried(self, body: dict[str, Any]) -> dict[str, Any]:
        """A request's body with the fields that the project sets, ``{user}`` and the like filled in."""
        further: dict[str, Any] = filled(dict(self.adapter.options.body), self.call.placeholders)
        body = body | further
        return body if self.adapter.options.stream is False else body | {"stream": True}

    def headers(self) -> dict[str, str]:
        """Those that the project sets, and what tells the agent whose conversation it is."""
        return {**filled_texts(self.adapter.options.headers, self.call.placeholders), **self.call.headers}
