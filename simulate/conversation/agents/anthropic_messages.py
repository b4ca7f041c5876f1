"""An agent behind Anthropic's Messages API: ``anthropic:http://host/v1``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import aiohttp

from simulate.conversation.agents.adapter import Call
from simulate.conversation.agents.handed_tools import HandedCall, ModelReply, seen_of
from simulate.conversation.agents.history_endpoint import HistoryAdapter, HistorySession
from simulate.conversation.agents.http_client import (
    broken_off,
    model_fault,
    parsed,
    read_json,
    server_sent_events,
)
from simulate.conversation.agents.user_content import anthropic_content
from simulate.errors import AgentFault
from simulate.model.attachment import Attachment
from simulate.model.shapes import object_of
from simulate.trace.reading.finish import cut_off

VERSION = "2023-06-01"
MAX_TOKENS = 4096
"""The protocol demands a limit; ``options`` sets another."""


class AnthropicAdapter(HistoryAdapter):
    """Connects to an endpoint; one pool of connections for all conversations."""

    path = "/messages"

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[AnthropicSession, None]:
        yield AnthropicSession(self, call)


class AnthropicSession(HistorySession):
    """One conversation with such an endpoint."""

    async def ask(self, reply: ModelReply) -> AsyncIterator[str]:
        """Send the history; give the pieces as they come."""
        options = self.adapter.options
        body = {"model": options.model, "max_tokens": MAX_TOKENS, "messages": self._messages()}
        headers = {"anthropic-version": VERSION, **self.headers()}
        if options.api_key:
            headers["x-api-key"] = options.api_key
        async with self.turns.response(
            "POST", self.adapter.url, headers, json=self.carried(body)
        ) as response:
            if response.content_type == "text/event-stream":
                streamed = _Streamed(self.adapter.address)
                async for piece in streamed.pieces(response):
                    yield piece
                message = streamed.message
            else:
                message = await read_json(response, self.adapter.address)
        self._take(message, reply)

    def content(self, text: str, attachments: Sequence[Attachment]) -> Any:
        return anthropic_content(text, attachments)

    def asked(self, call: HandedCall) -> dict[str, Any]:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}
        return {"role": "assistant", "content": [block]}

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
        found = object_of(message)
        if not isinstance(found.get("content"), list):
            if (fault := model_fault(found, self.adapter.address)) is not None:
                raise fault
            raise AgentFault(f"{self.adapter.address}: the answer is not a message: it has no `content` list")
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
