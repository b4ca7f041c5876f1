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
    EndpointOptions,
    HungUp,
    within,
)
from simulate.conversation.agents.process import command_line
from simulate.conversation.agents.status_faults import status_fault
from simulate.conversation.agents.template_state import TemplateState, shown
from simulate.errors import AgentFault, EnvironmentFault, MissingExtra, NotReached, SimulateError
from simulate.model.agent_address import is_url, target_of
from simulate.model.nearest import did_you_mean
from simulate.model.request_template import RequestTemplate, filled
from simulate.trace.capture.simulator_tracing import aside

try:
    import httpx2
    from mcp import Client, MCPError, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client
except ImportError as error:
    raise MissingExtra("mcp", "mcp") from error


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
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(call.reply_timeout):
                    server = _Stamping(await self._server(call, stack), call.headers)
                    with aside():
                        client = await stack.enter_async_context(Client(server))
                        tool = self._tool((await client.list_tools()).tools)
                yield McpSession(self, call, client, tool)
        except TimeoutError:
            raise AgentFault(f"{self.address} opened no session within {call.reply_timeout:g} s") from None
        except Exception as error:
            # the client's task groups wrap whatever is raised while they are open
            raise _fault(error, self.address) from error

    async def _server(self, call: Call, stack: contextlib.AsyncExitStack) -> Any:
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
        headers = {**self.options.headers, **call.headers}
        if self.options.api_key:
            headers["Authorization"] = f"Bearer {self.options.api_key}"
        http = await stack.enter_async_context(
            httpx2.AsyncClient(headers=headers, timeout=call.reply_timeout)
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

    def __init__(self, adapter: McpAdapter, call: Call, client: Any, tool: Any) -> None:
        self.adapter, self.call = adapter, call
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
        except Exception as error:
            raise _fault(error, address) from error
        text = "\n".join(part.text for part in result.content if part.type == "text")
        if result.is_error:
            raise AgentFault(f"{address}: its tool {self._tool.name} failed: {text or 'no reason given'}")
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
        self._transport, self._headers = transport, dict(headers)

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


def _fault(error: Any, address: str) -> SimulateError:
    """Whose fault it is; the client's transports raise groups."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    if isinstance(error, SimulateError):
        return error
    if isinstance(error, httpx2.HTTPStatusError):
        return status_fault(address, error.response.status_code)
    if isinstance(error, httpx2.ConnectError):
        return NotReached(f"nothing listens at {address}", hint="start the agent, or correct its address")
    if isinstance(error, FileNotFoundError):
        return EnvironmentFault(f"{address}: no such program: {error.filename or error}")
    if isinstance(error, MCPError):
        return AgentFault(f"{address}: {error}")
    return AgentFault(f"{address}: {type(error).__name__}: {error}")
