"""Agents offered as a tool by the official MCP SDK's server, over stdio and streamable HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from simulate import Scenario
from simulate.child_process import free_port
from simulate.conversation.agents.adapter import EndpointOptions
from simulate.conversation.agents.mcp_tool import McpAdapter
from simulate.errors import AgentFault, EnvironmentFault, NotReached
from simulate.model.request_template import RequestTemplate
from simulate.run import run
from tests.agents.served import TRACEPARENT, said, serving_asgi

STDIO = """
import os
from mcp.server import MCPServer
server = MCPServer("support")

@server.tool()
def ask(question: str) -> str:
    if question == "break":
        raise ValueError("no database")
    return f"{question}? {os.environ['TRACEPARENT'][:5]}"

server.run()
"""


def adapter(address: str, **request: Any) -> McpAdapter:
    template = RequestTemplate.model_validate(request) if request else None
    return McpAdapter(address, EndpointOptions(request=template))


def stdio(folder: Path) -> str:
    (folder / "server.py").write_text(STDIO)
    return f"mcp:{sys.executable} {folder / 'server.py'}"


async def test_over_stdio(tmp_path: Path) -> None:
    assert await said(adapter(stdio(tmp_path)), "one", "two") == ["one? 00-ab", "two? 00-ab"]


async def test_a_tool_that_fails_is_the_agents(tmp_path: Path) -> None:
    with pytest.raises(AgentFault, match="its tool ask failed"):
        await said(adapter(stdio(tmp_path)), "break")
    with pytest.raises(EnvironmentFault, match=r"no such program|cannot"):
        await said(adapter("mcp:no-such-program-anywhere"), "hello")


def server() -> tuple[MCPServer, list[dict[str, Any]]]:
    made, got = MCPServer("support"), list[dict[str, Any]]()

    @made.tool()
    async def chat(text: str, thread: str = "", *, ctx: Context) -> dict[str, str]:
        meta = ctx.request_context.meta or {}
        got.append({"text": text, "thread": thread, "traceparent": meta.get("traceparent")})
        return {"answer": f"You said {text}", "thread": "t-1"}

    @made.tool()
    async def other() -> str:
        return ""

    return made, got


TEMPLATE = {
    "tool": "chat",
    "body": {"text": "{{message}}", "thread": "{{session}}"},
    "answer": "$.answer",
    "session": "$.thread",
}


async def test_over_http_with_a_session_of_its_own() -> None:
    made, got = server()
    async with serving_asgi(made.streamable_http_app(), free_port()) as url:
        found = await said(adapter(f"mcp:{url}/mcp", **TEMPLATE), "one", "two")
    assert found == ["You said one", "You said two"]
    assert [each["thread"] for each in got] == ["", "t-1"]
    assert {each["traceparent"] for each in got} == {TRACEPARENT}, "not that of our client's own span"


async def test_which_tool_is_the_agent_has_to_be_said() -> None:
    made, _ = server()
    async with serving_asgi(made.streamable_http_app(), free_port()) as url:
        with pytest.raises(EnvironmentFault, match="offers 2 tools: chat, other"):
            await said(adapter(f"mcp:{url}/mcp"), "hello")
        with pytest.raises(EnvironmentFault, match=r'no tool .*did you mean "chat"'):
            await said(adapter(f"mcp:{url}/mcp", tool="chta"), "hello")
    with pytest.raises(NotReached, match="nothing listens"):
        await said(adapter(f"mcp:http://127.0.0.1:{free_port()}/mcp"), "hello")


async def test_what_the_client_records_of_itself_is_no_trace_of_the_agent(tmp_path: Path) -> None:
    given: Any = {"name": "x", "opens_with": "hello", "expect": [{"not_called": "refund"}]}
    outcome = await run(Scenario.model_validate(given), stdio(tmp_path))
    assert outcome.status == "not_run", outcome.explain()
