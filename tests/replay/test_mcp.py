"""The MCP SDK's client over each transport: recorded against a real server, replayed without one."""

# ruff: noqa: SIM117 (programs in texts; what is awaited inside is the point)
from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace as otel_trace
from opentelemetry.trace import NonRecordingSpan, SpanContext

from simulate.replay import Cassette, record, replaying
from simulate.scoring.writes import WriteTools
from simulate.tools import annotate, annotated_writes
from simulate.trace.reading import ToolName, TraceReading, Unknown
from simulate.trace.span import Trace

pytest.importorskip("mcp")

SERVER = """
import os, sys
try:
    from mcp.server import MCPServer as FastMCP
except ImportError:
    from mcp.server.fastmcp import FastMCP
server = FastMCP("orders")

@server.tool(annotations={"readOnlyHint": True})
def lookup(order: str) -> str:
    with open(sys.argv[1], "a") as log:
        log.write(order + chr(10))
    return f"order {order} is lost"

server.run()
"""


@contextlib.asynccontextmanager
async def stdio(folder: Path) -> AsyncIterator[Any]:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    script = folder / "server.py"
    script.write_text(SERVER)
    parameters = StdioServerParameters(command=sys.executable, args=[str(script), str(folder / "log")])
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        yield session


async def work(session: Any) -> list[str]:
    await session.initialize()
    tools = await session.list_tools()
    one = await session.call_tool("lookup", {"order": "7"})
    two = await session.call_tool("lookup", {"order": "8"})
    return [tools.tools[0].name, one.content[0].text, two.content[0].text]


async def test_stdio_replays_without_starting_the_server(tmp_path: Path) -> None:
    async with record(tmp_path / "c"), stdio(tmp_path) as session:
        recorded = await work(session)
    assert recorded == ["lookup", "order 7 is lost", "order 8 is lost"]
    (tmp_path / "log").unlink()
    async with replaying(tmp_path / "c") as player, stdio(tmp_path) as session:
        assert await work(session) == recorded
    assert not (tmp_path / "log").exists()
    assert player.report().passed and player.report().verdict == "identical"
    names = [one.name for one in Cassette.load(tmp_path / "c").tools]
    assert names == ["mcp initialize", "mcp tools/list", "mcp:lookup", "mcp:lookup"]


async def test_a_client_that_asks_which_protocol_the_server_speaks(tmp_path: Path) -> None:
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    (tmp_path / "server.py").write_text(SERVER)
    line = [str(tmp_path / "server.py"), str(tmp_path / "log")]

    async def ask() -> str:
        async with Client(stdio_client(StdioServerParameters(command=sys.executable, args=line))) as client:
            return (await client.call_tool("lookup", {"order": "7"})).content[0].text

    async with record(tmp_path / "c"):
        assert await ask() == "order 7 is lost"
    (tmp_path / "log").unlink()
    async with replaying(tmp_path / "c") as player:
        assert await ask() == "order 7 is lost"
    assert player.report().verdict == "identical", player.report().explain()
    assert not (tmp_path / "log").exists()


async def test_other_arguments_are_a_divergence_and_reach_nobody(tmp_path: Path) -> None:
    async with record(tmp_path / "c"), stdio(tmp_path) as session:
        await work(session)
    (tmp_path / "log").unlink()
    async with replaying(tmp_path / "c") as player, stdio(tmp_path) as session:
        await session.initialize()
        with pytest.raises(Exception, match=r"not in the cassette|lookup"):
            await session.call_tool("lookup", {"order": "9"})
    assert not (tmp_path / "log").exists()
    first = player.report().first
    assert first is not None and first.component == "tool arguments" and "'7' → '9'" in str(first)


async def test_in_memory(tmp_path: Path) -> None:
    memory = pytest.importorskip("mcp.shared.memory")
    try:
        from mcp.server import MCPServer as Server
    except ImportError:
        from mcp.server.fastmcp import FastMCP as Server  # type: ignore[no-redef]
    from mcp import ClientSession

    ran: list[str] = []
    server: Any = Server("orders")

    @server.tool()
    def lookup(order: str) -> str:
        ran.append(order)
        return f"order {order}"

    @contextlib.asynccontextmanager
    async def connected() -> AsyncIterator[Any]:
        import anyio

        inner = getattr(server, "_lowlevel_server", None) or server._mcp_server
        async with (
            memory.create_client_server_memory_streams() as (mine, its),
            anyio.create_task_group() as group,
        ):
            group.start_soon(lambda: inner.run(its[0], its[1], inner.create_initialization_options()))
            async with ClientSession(mine[0], mine[1]) as session:
                yield session
            group.cancel_scope.cancel()

    async with record(tmp_path / "c"), connected() as session:
        recorded = await work(session)
    ran.clear()
    async with replaying(tmp_path / "c") as player, connected() as session:
        assert await work(session) == recorded
    assert ran == [] and player.report().passed


HTTP = SERVER.replace(
    "server.run()",
    'port = int(sys.argv[2])\ntry:\n    server.run("streamable-http", host="127.0.0.1", port=port)\n'
    'except TypeError:\n    server.settings.port = port\n    server.run("streamable-http")',
)


async def test_streamable_http(tmp_path: Path) -> None:
    import asyncio
    import socket
    import subprocess

    import mcp.client.streamable_http as transport
    from mcp import ClientSession

    connect = getattr(transport, "streamable_http_client", None) or transport.streamablehttp_client  # type: ignore[attr-defined]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "server.py").write_text(HTTP)
    command = [sys.executable, str(tmp_path / "server.py"), str(tmp_path / "log"), str(port)]

    @contextlib.asynccontextmanager
    async def connected() -> AsyncIterator[Any]:
        async with connect(f"http://127.0.0.1:{port}/mcp") as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                yield session

    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        try:
            async with record(tmp_path / "c"), connected() as session:
                recorded = await work(session)
        finally:
            process.terminate()
    cassette = Cassette.load(tmp_path / "c")
    assert cassette.http == [] and len(cassette.tools) == 4
    async with replaying(cassette) as player, connected() as session:
        assert await work(session) == recorded
    assert player.report().passed, player.report().explain()


async def test_a_server_tells_which_of_its_tools_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # other tests mark tools of that name
    monkeypatch.setattr("simulate.tools._marked", {})

    def tells(conversation: str) -> Any:
        return WriteTools(None, TraceReading(Trace(conversation)), ()).writes(ToolName("lookup"))

    for recording, conversation in (
        (record(tmp_path / "c"), "ac" * 16),
        (replaying(tmp_path / "c"), "ad" * 16),
    ):
        context = SpanContext(int(conversation, 16), 7, is_remote=False)
        async with recording, stdio(tmp_path) as session:
            with otel_trace.use_span(NonRecordingSpan(context)):
                await work(session)
        assert tells(conversation) is False
    assert isinstance(tells("ae" * 16), Unknown)  # another conversation's agent may have another tool


def test_of_two_servers_that_differ_the_one_that_writes_counts() -> None:
    annotate("af" * 16, "archive", write=True)
    annotate("af" * 16, "archive", write=False)
    assert annotated_writes("af" * 16) == {"archive": True}
