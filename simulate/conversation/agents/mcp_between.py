"""Between an agent and its MCP servers, so that pins and worlds answer their tools: ``mcp_servers``.

The agent is told our address instead of the server's, in an environment variable. What the simulation answers
never reaches the server; everything else passes.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from simulate.conversation.agents.tool_channel import ToolChannel
from simulate.local_server import Refused, check_sender
from simulate.mcp_stdio import plain_result, tool_result, traceparent_of
from simulate.model.agent_address import is_url
from simulate.model.shapes import is_object, object_of
from simulate.tools import ToolFailed

_OURS = {"host", "content-length", "transfer-encoding", "connection", "content-encoding", "accept-encoding"}
"""Headers of one connection, which are not passed on."""


class McpBetween:
    """``servers`` are the real ones by the environment variable that names each to the agent: a URL, or a
    command that speaks MCP on stdin and stdout."""

    def __init__(self, servers: Mapping[str, str], channel: ToolChannel) -> None:
        self._servers, self._channel = servers, channel

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[dict[str, str]]:
        """Answer while inside; gives the variables that the agent is started with."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{name}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=True) as self._client:
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                ours = f"http://127.0.0.1:{runner.addresses[0][1]}"
                yield {
                    name: f"{ours}/{name}" if is_url(server) else self._command(server)
                    for name, server in self._servers.items()
                }
            finally:
                await runner.cleanup()

    def _command(self, server: str) -> str:
        words = shlex.split(server)
        if words[0] in ("python", "python3"):
            words[0] = sys.executable
        return shlex.join([sys.executable, "-m", "simulate.mcp_stdio", self._channel.address or "-", *words])

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            check_sender(request)
            return await self._pass(request)
        except Refused as refused:
            return web.Response(status=refused.status, text=refused.message)
        except aiohttp.ClientConnectorError as error:
            return web.Response(status=502, text=f"the MCP server is out of reach: {error}")

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        message = _parsed(body)
        if message.get("method") != "tools/call":
            return await self._forward(request, body)
        params = object_of(message.get("params"))
        passed: list[web.Response] = []

        async def live() -> Any:
            response = await self._forward(request, body, whole=True)
            assert isinstance(response, web.Response)
            passed.append(response)
            return plain_result(_result_in(response))

        headers = traceparent_of(params) | {
            name.lower(): value for name, value in request.headers.items() if name.lower() == "traceparent"
        }
        conversation = headers["traceparent"].split("-")
        asked = {
            "name": str(params.get("name")),
            "arguments": object_of(params.get("arguments")),
            "conversations": conversation[1:2],
        }
        try:
            result = await self._channel.answer(asked, live)
        except ToolFailed as error:
            return _answer(message, tool_result(str(error), failed=True))
        return passed[0] if passed else _answer(message, tool_result(result))

    async def _forward(self, request: web.Request, body: bytes, *, whole: bool = False) -> web.StreamResponse:
        server = self._servers[request.match_info["name"]]
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OURS}
        async with self._client.request(
            request.method, server, params=request.query, data=body or None, headers=headers
        ) as got:
            kept = {name: value for name, value in got.headers.items() if name.lower() not in _OURS}
            if whole:
                return web.Response(status=got.status, headers=kept, body=await got.read())
            response = web.StreamResponse(status=got.status, headers=kept)
            await response.prepare(request)
            async for piece in got.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response


def _answer(message: Mapping[str, Any], result: dict[str, Any]) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": message.get("id"), "result": result})


def _result_in(response: web.Response) -> Any:
    """The result in a server's answer, whether it came as JSON or as an event."""
    text = response.body.decode("utf-8", "replace") if isinstance(response.body, bytes) else ""
    lines = [line.removeprefix("data:") for line in text.splitlines() if line.startswith("data:")]
    for each in (*reversed(lines), text):
        message = _parsed(each.encode())
        if "result" in message or "error" in message:
            return message.get("result", message.get("error"))
    return None


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(body)
    except ValueError:
        return {}
    return found if is_object(found) else {}
