"""An agent behind OpenAI's Responses API: ``responses:http://host/v1``.

The whole conversation is sent each time, with every item that the endpoint gave, so that it need keep none.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

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
from simulate.conversation.agents.user_content import responses_content
from simulate.errors import AgentFault
from simulate.model.attachment import Attachment
from simulate.model.shapes import object_of
from simulate.trace.reading.finish import cut_off


class ResponsesAdapter(HistoryAdapter):
    """Connects to an endpoint; one pool of connections for all conversations."""

    path = "/responses"

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[ResponsesSession, None]:
        yield ResponsesSession(self, call)


class ResponsesSession(HistorySession):
    """One conversation with such an endpoint."""

    async def ask(self, reply: ModelReply) -> AsyncIterator[str]:
        """Send the history; give the pieces as they come."""
        options = self.adapter.options
        body = {"model": options.model, "input": self.history}
        headers = self.headers()
        if options.api_key:
            headers["Authorization"] = f"Bearer {options.api_key}"
        async with self.turns.response(
            "POST", self.adapter.url, headers, json=self.carried(body)
        ) as response:
            if response.content_type == "text/event-stream":
                items = list[dict[str, Any]]()
                whole: dict[str, Any] | None = None
                async for _, data in server_sent_events(response.content):
                    if data == "[DONE]":
                        break
                    event = parsed(data, self.adapter.address)
                    kind = event.get("type")
                    if kind == "response.output_text.delta":
                        yield event["delta"]
                    elif kind == "response.output_item.done":
                        items.append(event["item"])
                    elif kind in ("response.completed", "response.incomplete", "response.failed"):
                        whole = event["response"]
                        break
                    elif kind == "error":
                        raise broken_off(self.adapter.address, data)
                if whole is None:
                    raise AgentFault(f"{self.adapter.address}: the stream ended without response.completed")
                whole["output"] = whole.get("output") or items
            else:
                whole = await read_json(response, self.adapter.address)
        self._take(whole, reply)

    def content(self, text: str, attachments: Sequence[Attachment]) -> Any:
        return responses_content(text, attachments)

    def asked(self, call: HandedCall) -> dict[str, Any]:
        return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}

    def result(self, call: HandedCall, content: str, *, failed: bool) -> dict[str, Any]:
        return {"type": "function_call_output", "call_id": call.id, "output": content}

    def _take(self, response: Any, reply: ModelReply) -> None:
        address = self.adapter.address
        found = object_of(response)
        if not isinstance(found.get("output"), list):
            if (fault := model_fault(found, address)) is not None:
                raise fault
            raise AgentFault(f"{address}: the answer is not a response: it has no `output` list")
        if found.get("status") == "failed":
            told: dict[str, Any] = found.get("error") or {}
            raise model_fault(found, address) or AgentFault(f"{address}: {told.get('message', 'it failed')}")
        if found.get("status") == "cancelled":
            raise AgentFault(f"{address}: its response was cancelled")
        output: list[dict[str, Any]] = found["output"]
        self.history += output
        for item in output:
            if item.get("type") == "function_call":
                reply.calls.append(HandedCall(item["call_id"], item["name"], item["arguments"]))
            elif item.get("type") == "message":
                parts: list[dict[str, Any]] = item.get("content", [])
                text = "".join(part.get("text") or part.get("refusal") or "" for part in parts)
                reply.texts += [text] if text else []
        reply.ended = f"status {found.get('status')}"
        incomplete: dict[str, Any] = found.get("incomplete_details") or {}
        reply.cut_off = cut_off((incomplete.get("reason"), found.get("status")))
        reply.attributes = seen_of(found)
