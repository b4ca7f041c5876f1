"""A web agent of any shape: one request a turn, made from the template in pyproject.toml."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from simulate.conversation.agents.adapter import AgentEvent, AgentMessage, Call, EndpointOptions
from simulate.conversation.agents.http_client import (
    HttpClient,
    HttpTurns,
    broken_off,
    lines_of,
    server_sent_events,
)
from simulate.conversation.agents.template_state import (
    StreamedAnswer,
    TemplateState,
    filled_headers,
    whole_answer,
)
from simulate.model.request_template import RequestTemplate, filled, filled_text
from simulate.model.shapes import is_object

_FORM = "application/x-www-form-urlencoded"
_BY_TYPE = {
    "text/event-stream": "sse",
    "application/x-ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/json-lines": "ndjson",
}


class WebAdapter:
    """Connects to a web agent; one pool of connections for all conversations."""

    speaks_first = False

    def __init__(self, address: str, options: EndpointOptions) -> None:
        self.address, self.options = address, options
        self.template = options.request or RequestTemplate()
        self.client = HttpClient(
            address, not_found="correct the agent's address, or the path of its `request`"
        )

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[WebSession, None]:
        """One conversation. Nothing is sent until the first message is."""
        yield WebSession(self, call)

    async def aclose(self) -> None:
        await self.client.aclose()


class WebSession:
    """One conversation: its cookies come back as in a browser."""

    def __init__(self, adapter: WebAdapter, call: Call) -> None:
        self.adapter, self.call = adapter, call
        self.template = adapter.template
        self.state = TemplateState(self.template, call)
        self.cookies: dict[str, str] = {}
        self._turns = HttpTurns(adapter.client, call)

    async def send(self, message: str | None) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer."""
        if message is None:
            return  # it answers requests
        self.state.messages.append({"role": "user", "content": message})
        async for event in self._turns.limited(self._events()):
            if isinstance(event, AgentMessage):
                self.state.messages.append({"role": "assistant", "content": event.text})
            yield event

    async def _events(self) -> AsyncIterator[AgentEvent]:
        values = self.state.values()
        url = self.adapter.address + filled_text(
            self.template.path, _known(values), lambda text: quote(text, safe="")
        )
        headers = filled_headers({**self.adapter.options.headers, **self.call.headers}, values)
        if self.cookies:
            headers.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        body = _body(filled(self.template.body, values), headers)
        async with self._turns.response(self.template.method, url, headers, **body) as response:
            self._take_cookies(response)
            kind = self.template.stream or _BY_TYPE.get(response.content_type)
            address = self.adapter.address
            if kind is None:
                text = await response.text(errors="replace")
                as_json = response.content_type == "application/json"
                for event in whole_answer(text, self.state, address, as_json=as_json):
                    yield event
                return
            answer = StreamedAnswer(self.state, address, to_the_end=True)
            async for data in _data_of(response, kind, address):
                for event in answer.take(data):
                    yield event
                if answer.ended:
                    break
            for event in answer.end():
                yield event

    def _take_cookies(self, response: aiohttp.ClientResponse) -> None:
        for name, morsel in response.cookies.items():
            if morsel["max-age"] == "0" or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        kind, _, name = (self.template.session or "").partition(":")
        if kind == "cookie":
            self.state.session = self.cookies.get(name, self.state.session)
        elif kind == "header":
            self.state.session = response.headers.get(name, self.state.session)


async def _data_of(response: aiohttp.ClientResponse, kind: str, address: str) -> AsyncIterator[str]:
    if kind == "ndjson":
        async for line in lines_of(response.content):
            if line.strip():
                yield line
        return
    async for name, data in server_sent_events(response.content):
        if name == "error":
            raise broken_off(address, data)
        yield data


def _known(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """An unknown value is an empty text: a URL has no place to leave one out."""
    return {name: "" if value is None else value for name, value in values.items()}


def _body(body: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    if body is None:
        return {}
    if isinstance(body, str):
        return {"data": body.encode()}
    content_type = next((text for name, text in headers.items() if name.lower() == "content-type"), "")
    if content_type.startswith(_FORM) and is_object(body):
        fields = body
        return {"data": {name: _form_text(value) for name, value in fields.items()}}
    return {"json": body}


def _form_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
