"""A text agent over a WebSocket, one connection a conversation: ``ws://`` with a `request` in pyproject.toml.

Each line of the caller is one text frame. Without ``done``, one frame is the whole answer; with it, frames
are pieces until the one that sets it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp

from simulate.conversation.agents.adapter import AgentEvent, AgentMessage, Call, EndpointOptions, within
from simulate.conversation.agents.connection_faults import connection_fault
from simulate.conversation.agents.http_client import HttpClient, uninstrumented
from simulate.conversation.agents.status_faults import handshake_fault
from simulate.conversation.agents.template_state import StreamedAnswer, TemplateState, filled_headers
from simulate.errors import AgentFault, EnvironmentFault
from simulate.model.outage import outage
from simulate.model.request_template import RequestTemplate, filled, filled_text

_NOT_ITS_OWN = {1012, 1013, 1014, 1015, 3000, 3003, 3008, 4401, 4403, 4429}
"""Close codes of restarts, overload, gateways, TLS, keys and quotas."""
_LONGEST_FRAME = 16 * 2**20


class WebSocketAdapter:
    """Connects to a server that speaks text frames."""

    speaks_first = True

    def __init__(self, address: str, options: EndpointOptions) -> None:
        self.address, self.options = address, options
        self.template = options.request or RequestTemplate()
        self.client = HttpClient(address)

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[WebSocketSession, None]:
        """One connection, open as long as the conversation."""
        state = TemplateState(self.template, call)
        values = state.values()
        url = self.address + filled_text(self.template.path, {k: v or "" for k, v in values.items()})
        headers = filled_headers({**self.options.headers, **call.headers}, values)
        try:
            with uninstrumented():
                socket = await self.client.session().ws_connect(
                    url, headers=headers, max_msg_size=_LONGEST_FRAME
                )
        except aiohttp.WSServerHandshakeError as error:
            raise handshake_fault(self.address, error) from error
        except (aiohttp.ClientError, OSError) as error:
            fault = connection_fault(error, self.address)
            raise fault or AgentFault(f"{self.address} refused the connection: {error}") from error
        async with socket:
            yield WebSocketSession(self, call, socket, state)

    async def aclose(self) -> None:
        await self.client.aclose()


class WebSocketSession:
    """One conversation."""

    def __init__(
        self,
        adapter: WebSocketAdapter,
        call: Call,
        socket: aiohttp.ClientWebSocketResponse,
        state: TemplateState,
    ) -> None:
        self.adapter, self.call, self.state = adapter, call, state
        self._socket = socket

    async def send(self, message: str | None) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer; ``None`` waits for what the agent says by itself."""
        if message is None and self.state.messages:
            return
        async for event in within(self._events(message), self.call.reply_timeout, self.adapter.address):
            if isinstance(event, AgentMessage):
                self.state.messages.append({"role": "assistant", "content": event.text})
            yield event

    async def _events(self, message: str | None) -> AsyncIterator[AgentEvent]:
        if message is not None:
            self.state.messages.append({"role": "user", "content": message})
            body = self.adapter.template.body
            frame: Any = message if body is None else filled(body, self.state.values())
            await self._socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))
        answer = StreamedAnswer(self.state, self.adapter.address)
        while not answer.ended:
            for event in answer.take(await self._frame()):
                yield event
        for event in answer.end():
            yield event

    async def _frame(self) -> str:
        frame = await self._socket.receive()
        if frame.type is aiohttp.WSMsgType.TEXT:
            return frame.data
        if frame.type is aiohttp.WSMsgType.BINARY:
            return bytes(frame.data).decode(errors="replace")
        code = self._socket.close_code
        message = f"{self.adapter.address} closed the connection before its answer was whole ({code})"
        told = frame.extra if isinstance(frame.extra, str) and frame.extra else None
        if code in _NOT_ITS_OWN or (told is not None and outage(told) is not None):
            raise EnvironmentFault(message, proof=told)
        raise AgentFault(message, proof=told)
