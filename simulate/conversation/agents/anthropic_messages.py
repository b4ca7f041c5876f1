"""An agent behind Anthropic's Messages API: ``anthropic:http://host/v1``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

import aiohttp

from simulate.conversation.agents.adapter import AgentEvent, Call, EndpointOptions
from simulate.conversation.agents.handed_tools import HandedCall, ModelReply, answered_by_model, seen_of
from simulate.conversation.agents.http_client import (
    HttpClient,
    HttpTurns,
    broken_off,
    model_fault,
    parsed,
    read_json,
    server_sent_events,
)
from simulate.errors import AgentFault
from simulate.model import identity
from simulate.model.agent_address import target_of
from simulate.trace.reading.finish import cut_off

VERSION = "2023-06-01"
MAX_TOKENS = 4096
"""The protocol demands a limit; ``options`` sets another."""


class AnthropicAdapter:
    """Connects to an endpoint; one pool of connections for all conversations."""

    speaks_first = False

    def __init__(self, address: str, options: EndpointOptions) -> None:
        self.address, self.options = address, options
        self.url = target_of(address).rstrip("/") + "/messages"
        self.client = HttpClient(address, not_found="the address should end before /messages, often in /v1")

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[AnthropicSession, None]:
        yield AnthropicSession(self, call)

    async def aclose(self) -> None:
        await self.client.aclose()


class AnthropicSession:
    """One conversation with an endpoint that keeps no state: the whole history is sent each time."""

    def __init__(self, adapter: AnthropicAdapter, call: Call) -> None:
        self.adapter, self.call = adapter, call
        self.history: list[dict[str, Any]] = []
        self._turns = HttpTurns(adapter.client, call)

    async def send(self, message: str | None) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer; tools that the endpoint hands to us answer as pinned."""
        if message is None:
            return
        self.history.append({"role": "user", "content": message})
        async for event in self._turns.limited(answered_by_model(self, self.adapter.address)):
            yield event

    async def ask(self, reply: ModelReply) -> AsyncIterator[str]:
        """Send the history; give the pieces as they come."""
        options, call = self.adapter.options, self.call
        fields = identity.filled(dict(options.body), call.attributes, call.conversation_id)
        named = identity.filled(dict(options.headers), call.attributes, call.conversation_id)
        body = {"model": options.model, "max_tokens": MAX_TOKENS, "messages": self._messages()}
        body |= fields | ({} if options.stream is False else {"stream": True})
        headers = {"anthropic-version": VERSION, **named, **call.headers}
        if options.api_key:
            headers["x-api-key"] = options.api_key
        async with self._turns.response("POST", self.adapter.url, headers, json=body) as response:
            if response.content_type == "text/event-stream":
                streamed = _Streamed(self.adapter.address)
                async for piece in streamed.pieces(response):
                    yield piece
                message = streamed.message
            else:
                message = await read_json(response, self.adapter.address)
        self._take(message, reply)

    def result(self, call: HandedCall, content: str, *, failed: bool) -> dict[str, Any]:
        block = {"type": "tool_result", "tool_use_id": call.id, "content": content}
        return {"role": "user", "content": [block | ({"is_error": True} if failed else {})]}

    def _messages(self) -> list[dict[str, Any]]:
        """The history, with the results of one round in one message: the protocol wants them together."""
        messages: list[dict[str, Any]] = []
        for entry in self.history:
            last = messages[-1] if messages else {}
            both = isinstance(entry["content"], list) and isinstance(last.get("content"), list)
            if both and last["role"] == entry["role"] == "user":
                messages[-1] = {**last, "content": [*last["content"], *entry["content"]]}
            else:
                messages.append(entry)
        return messages

    def _take(self, message: Any, reply: ModelReply) -> None:
        found = cast("dict[str, Any]", message if isinstance(message, dict) else {})
        if not isinstance(found.get("content"), list):
            if (fault := model_fault(found, self.adapter.address)) is not None:
                raise fault
            raise AgentFault(f"{self.adapter.address}: the answer is no message: it has no list `content`")
        blocks: list[dict[str, Any]] = found["content"]
        if blocks:
            self.history.append({"role": "assistant", "content": blocks})
        text = "".join(block["text"] for block in blocks if block.get("type") == "text")
        reply.texts += [text] if text else []
        reply.calls = [
            HandedCall(block["id"], block["name"], block["input"])
            for block in blocks
            if block.get("type") == "tool_use"
        ]
        reply.ended = f"stop_reason {found.get('stop_reason')}"
        reply.cut_off = cut_off((found.get("stop_reason"),))
        reply.attributes = seen_of(found)


class _Streamed:
    """A message assembled from its events."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._json: dict[int, str] = {}

    async def pieces(self, response: aiohttp.ClientResponse) -> AsyncIterator[str]:
        """The text as it comes; raises AgentFault where the stream has an error, or no end."""
        async for _, data in server_sent_events(response.content):
            event = parsed(data, self.address)
            piece = self._take(event)
            if piece:
                yield piece
            if event.get("type") == "message_stop":
                break
        else:
            raise AgentFault(f"{self.address}: the stream ended without message_stop")
        for index, text in self._json.items():
            self._blocks[index]["input"] = parsed(text or "{}", self.address)
        self.message["content"] = [self._blocks[index] for index in sorted(self._blocks)]

    def _take(self, event: dict[str, Any]) -> str | None:
        kind, index = event.get("type"), event.get("index", 0)
        if kind == "message_start":
            self.message = dict(event["message"])
        elif kind == "content_block_start":
            self._blocks[index] = dict(event["content_block"])
        elif kind == "content_block_delta":
            return self._take_delta(index, event["delta"])
        elif kind == "message_delta":
            self.message |= event.get("delta", {})
            self.message["usage"] = {**self.message.get("usage", {}), **event.get("usage", {})}
        elif kind == "error":
            raise broken_off(self.address, json.dumps(event))
        return None

    def _take_delta(self, index: int, delta: dict[str, Any]) -> str | None:
        block = self._blocks.setdefault(index, {"type": "text", "text": ""})
        if delta.get("type") == "text_delta":
            block["text"] = block.get("text", "") + delta["text"]
            return delta["text"]
        if delta.get("type") == "input_json_delta":
            self._json[index] = self._json.get(index, "") + delta["partial_json"]
        elif delta.get("type") == "thinking_delta":
            block["thinking"] = block.get("thinking", "") + delta["thinking"]
        elif delta.get("type") == "signature_delta":
            block["signature"] = delta["signature"]
        return None
