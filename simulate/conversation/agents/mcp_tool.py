"""An agent that an MCP server offers as a tool: ``mcp:http://host/mcp``, or ``mcp:command`` over stdio.

Each turn is one call of that tool. ``request`` in pyproject.toml says which tool and which arguments; without
it the server must offer one tool that takes one text.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, cast

from simulate.conversation.agents.adapter import (
    AgentEvent,
    AgentMessage,
    Call,
    Connected,
    EndpointOptions,
    HungUp,
    within,
)
from simulate.conversation.agents.connection_faults import never_connected
from simulate.conversation.agents.last_response import LastResponse
from simulate.conversation.agents.process import command_line
from simulate.conversation.agents.template_state import TemplateState, shown
from simulate.errors import AgentFault, EnvironmentFault, Fault, MissingExtra
from simulate.model.agent_address import is_url, target_of
from simulate.model.identity import filled_texts
from simulate.model.nearest import did_you_mean
from simulate.model.outage import outage
from simulate.model.request_template import RequestTemplate, filled
from simulate.trace.capture.simulator_tracing import aside

try:
    import httpx2
    from mcp import Client, MCPError, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client
    from mcp_types import CONNECTION_CLOSED
    from pydantic import ValidationError
except ImportError as error:
    raise MissingExtra("mcp", "mcp") from error

_NOT_FOUND = "correct the address: that of an MCP server often ends in /mcp"
_OF_THE_SERVER = (MCPError, httpx2.HTTPError, ValidationError, RuntimeError, OSError)
"""What the client raises because of a server or of what it answered; anything else is a fault of ours."""


class McpAdapter:
    """Connects to a server; each conversation has a session of its own."""

    speaks_first = False

    def __init__(self, address: str, options: EndpointOptions) -> None:
        self.address, self.options = address, options
        self.template = options.request or RequestTemplate()
        self.target = target_of(address)

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[McpSession, None]:
        """Open the session and find the tool."""
        last = LastResponse(
            self.address, not_found=_NOT_FOUND, counts=lambda request: request.method == "POST"
        )
        ours: Exception | None = None
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(call.reply_timeout):
                    opened: list[float] = []
                    server = _Stamping(await self._server(call, stack, opened, last), call.headers)
                    with aside():
                        client = await stack.enter_async_context(Client(server))
                        tool = self._tool((await client.list_tools()).tools)
                opened.clear()
                try:
                    yield McpSession(self, call, client, tool, opened, last)
                except Exception as error:
                    ours = error
                    raise
        # the client's task groups wrap whatever is raised while they are open
        except Exception as error:
            if ours is not None:
                raise ours from ours.__cause__
            raised = _unwrapped(error)
            if isinstance(raised, TimeoutError):
                raise last.fault or AgentFault(
                    f"{self.address} opened no session within {call.reply_timeout:g} s"
                ) from None
            if isinstance(raised, _OF_THE_SERVER):
                raise await _fault(raised, last) from error
            raise raised from raised.__cause__

    async def _server(
        self, call: Call, stack: contextlib.AsyncExitStack, opened: list[float], last: LastResponse
    ) -> Any:
        if not is_url(self.target):
            command, *arguments = command_line(self.target, self.address)
            environment = {**os.environ, **call.environment}
            return stdio_client(
                StdioServerParameters(
                    command=command,
                    args=arguments,
                    env=environment,
                    cwd=None if self.options.root is None else str(self.options.root),
                )
            )
        headers = filled_texts(self.options.headers, call.placeholders)
        if self.options.api_key:
            headers["Authorization"] = f"Bearer {self.options.api_key}"

        async def stamp(request: httpx2.Request) -> None:
            request.headers.update(call.headers)

        hooks = {"request": [stamp], "response": [last.hook]}
        http = await stack.enter_async_context(
            httpx2.AsyncClient(headers=headers, timeout=call.reply_timeout, event_hooks=hooks)
        )
        return streamable_http_client(self.target, http_client=http)

    def _tool(self, offered: list[Any]) -> Any:
        """The tool that is the agent, with the arguments of a turn as its template says."""
        names = [tool.name for tool in offered]
        if self.template.tool is not None:
            found = next((tool for tool in offered if tool.name == self.template.tool), None)
            if found is None:
                near = did_you_mean(self.template.tool, names)
                raise EnvironmentFault(
                    f"{self.address} offers no tool {self.template.tool!r}{near}",
                    hint="correct `request.tool` in [tool.simulate.agents]",
                )
            return found
        if len(offered) != 1:
            listed = ", ".join(names) or "none"
            raise EnvironmentFault(
                f"{self.address} offers {len(offered)} tools: {listed}",
                hint="say which one is the agent: `request = { tool = … }` in [tool.simulate.agents]",
            )
        return offered[0]


class McpSession:
    """One conversation."""

    def __init__(
        self,
        adapter: McpAdapter,
        call: Call,
        client: Any,
        tool: Any,
        opened: list[float],
        last: LastResponse,
    ) -> None:
        self.adapter, self.call = adapter, call
        self._last = last
        self._opened = opened
        """When connections came about that were not told yet."""
        self.state = TemplateState(adapter.template, call)
        self._client, self._tool = client, tool
        body = adapter.template.body
        self._arguments: Any = _only_text(tool, adapter.address) if body is None else body

    async def send(self, message: str | None) -> AsyncIterator[AgentEvent]:
        """Call the tool with what the caller says; its text is the answer."""
        if message is None:
            return
        self.state.messages.append({"role": "user", "content": message})
        async for event in within(self._events(), self.call.reply_timeout, self.adapter.address):
            if isinstance(event, AgentMessage):
                self.state.messages.append({"role": "assistant", "content": event.text})
            yield event

    async def _events(self) -> AsyncIterator[AgentEvent]:
        address = self.adapter.address
        try:
            with aside():
                result = await self._client.call_tool(
                    self._tool.name, filled(self._arguments, self.state.values())
                )
        except _OF_THE_SERVER as error:
            raise await _fault(error, self._last) from error
        if self._opened:
            yield Connected(self._opened[-1])
            self._opened.clear()
        text = "\n".join(part.text for part in result.content if part.type == "text")
        if result.is_error:
            message = f"{address}: its tool {self._tool.name} failed: {text or 'no reason given'}"
            raise AgentFault(message) if outage(text) is None else EnvironmentFault(message)
        template, structured = self.adapter.template, result.structured_content
        self.state.take_session(structured)
        if template.answer is not None:
            texts = self.state.texts(structured)
            if not texts:
                raise AgentFault(f"{address}: nothing at `answer: {template.answer}` of {shown(structured)}")
        else:
            texts = [text] if text.strip() else []
        if not texts:
            raise AgentFault(f"{address}: its tool {self._tool.name} answered no text")
        for each in texts:
            yield AgentMessage(each)
        if self.state.sets(template.hang_up, structured):
            yield HungUp()


class _Stamping:
    """A transport whose requests carry the conversation's trace context (SEP-414).

    The client puts in that of its own span instead, which is in no trace of ours."""

    def __init__(self, transport: Any, headers: Mapping[str, str]) -> None:
        self._transport, self._headers = transport, headers

    async def __aenter__(self) -> tuple[Any, Any]:
        read, write = await self._transport.__aenter__()
        return read, _StampingStream(write, self._headers)

    async def __aexit__(self, *details: Any) -> Any:
        return await self._transport.__aexit__(*details)


class _StampingStream:
    """Puts the trace context into each request that is written."""

    def __init__(self, stream: Any, headers: Mapping[str, str]) -> None:
        self._stream, self._headers = stream, headers

    async def send(self, item: Any) -> None:
        params = getattr(item.message, "params", None)
        if isinstance(params, dict) and "_meta" in params:
            named = cast("dict[str, Any]", params["_meta"])
            named.pop("tracestate", None)
            named.update(self._headers)
        await self._stream.send(item)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> _StampingStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _only_text(tool: Any, address: str) -> dict[str, Any]:
    """The arguments of a tool that takes one text."""
    schema = cast("dict[str, Any]", tool.input_schema or {})
    properties: dict[str, Any] = schema.get("properties", {})
    wanted = schema.get("required") or list(properties)
    if len(wanted) != 1 or properties.get(wanted[0], {}).get("type", "string") != "string":
        raise EnvironmentFault(
            f"{address}: its tool {tool.name} takes {', '.join(properties) or 'nothing'}",
            hint="say what each call passes: `request = { body = { … = '{{message}}' } }`",
        )
    return {wanted[0]: "{{message}}"}


def _unwrapped(error: Exception) -> Exception:
    """What was raised inside the task groups of the client's transports."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error


async def _fault(error: Exception, last: LastResponse) -> Fault:
    """Whose fault it is that the client raised this."""
    address = last.address
    if isinstance(error, OSError) and not is_url(target_of(address)):
        return EnvironmentFault(f"{address}: its program cannot be started: {error}")
    if isinstance(error, httpx2.TimeoutException) and not never_connected(error):
        return AgentFault(f"{address} did not answer in time")
    # said by the client, not by the server
    if isinstance(error, MCPError) and error.code == CONNECTION_CLOSED and last.fault is None:
        return AgentFault(f"{address} closed the connection without an answer: {error}")
    return await last.fault_of(error)
