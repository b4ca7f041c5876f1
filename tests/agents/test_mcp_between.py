"""Pins reach the tools of an agent's MCP servers, over stdio and HTTP; what is not pinned is live."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from mcp.server import MCPServer

from simulate.child_process import free_port
from simulate.errors import FileProblems
from simulate.interfaces.cli.main import main
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.run_folder import RunFolder
from tests.agents.served import serving_asgi

PAGE = (Path(__file__).resolve().parents[2] / "docs/agents.md").read_text("utf-8")
OVER_HTTP = """
import os
from mcp import Client

async def agent(message: str) -> str:
    async with Client(os.environ["PARCELS_MCP"]) as server:
        tools = await server.list_tools()
        found = await server.call_tool(message, {"parcel": "P-7"})
    return f"{len(tools.tools)} tools: {'failed ' * bool(found.is_error)}{found.content[0].text}"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "parcels.py").write_text(OVER_HTTP)
    return tmp_path


def outcomes(project: Path) -> list[Outcome]:
    return list(RunFolder(project / "run").outcomes())


def write(project: Path, table: str, scenario: str) -> None:
    (project / "pyproject.toml").write_text(table)
    (project / "scenarios/a.yaml").write_text(textwrap.dedent(scenario))


def test_the_example_of_the_page_over_stdio(project: Path) -> None:
    for name in ("parcels_server.py", "parcels.py", "scenarios/parcels.yaml"):
        (text,) = re.findall(rf"```\w+\n# {re.escape(name)}\n(.*?)```", PAGE, re.S)
        (project / name).write_text(text)
    (table,) = re.findall(r"```toml\n(\[tool\.simulate\.agents\.parcels\]\n.*?)```", PAGE, re.S)
    (project / "pyproject.toml").write_text(table)
    assert main(["run", "--out", "run"]) == 0, outcomes(project)[0].explain()
    scenario = (project / "scenarios/parcels.yaml").read_text()
    live = scenario.replace("  track: { status: at the customs }", "  weigh: 3").replace(
        "at the customs }", "unknown }"
    )
    (project / "scenarios/parcels.yaml").write_text(live)
    assert main(["run", "--out", "live"]) == 0, "what is not pinned is asked of the server"


async def in_front_of(made: MCPServer, project: Path, scenario: str) -> list[Outcome]:
    import asyncio

    async with serving_asgi(made.streamable_http_app(), free_port()) as url:
        servers = f'mcp_servers = {{ PARCELS_MCP = "{url}/mcp" }}\n'
        write(
            project,
            f'[tool.simulate.agents.parcels]\naddress = "python:parcels.py:agent"\n{servers}',
            scenario,
        )
        await asyncio.to_thread(main, ["run", "--out", "run"])
    return outcomes(project)


async def test_over_http(project: Path) -> None:
    made, ran = MCPServer("parcels"), list[str]()

    @made.tool()
    def track(parcel: str) -> dict[str, str]:
        ran.append("track")
        return {"status": "unknown"}

    @made.tool()
    def weigh(parcel: str) -> str:
        ran.append("weigh")
        return "3 kg"

    scenario = """
        name: Parcels
        agent: parcels
        script: [{says: track}, {says: weigh}, {says: track}]
        tools:
          track: {sequence: [{status: at the customs}, {error: customs are closed}]}
        expect:
          - {called: track, with: {parcel: P-7}, returned: {status: at the customs}}
          - {called: weigh, returned: 3 kg}
          - {said: {contains: at the customs}, in_turn: 1}
          - {said: {contains: "2 tools: 3 kg"}, in_turn: 2}
          - {said: {contains: failed customs are closed}, in_turn: 3}
    """
    (found,) = await in_front_of(made, project, scenario)
    assert found.passed, found.explain()
    assert ran == ["weigh"], "what is pinned never reaches the server"


async def test_conversations_at_once_have_their_own_world(project: Path) -> None:
    made = MCPServer("parcels")

    @made.tool()
    def track(parcel: str) -> str:
        raise AssertionError("it is pinned")

    scenario = """
        name: Parcels
        agent: parcels
        cases: [{status: lost}, {status: found}, {status: late}, {status: here}]
        script: [{says: track}, {says: track}]
        tools: {track: "{{status}}"}
        expect: [{said: {contains: "{{status}}"}, in_turn: 2}, {called: track, times: 2}]
    """
    found = await in_front_of(made, project, scenario)
    assert [each.status for each in found] == ["passed"] * 4, found[0].explain()


@pytest.mark.parametrize(
    "address",
    [
        "python:parcels.py:agent",
        "pipecat:parcels.py:bot",
        "livekit:parcels.py",
        "exec:parcels",
        "mcp:parcels",
        'http://127.0.0.1:{port}"\ncommand = "parcels',
        'livekit:parcels"\ncommand = "parcels',
    ],
)
def test_every_agent_that_we_start_can_be_told(project: Path, address: str) -> None:
    (project / "pyproject.toml").write_text(
        f'[tool.simulate.agents.a]\naddress = "{address}"\nmcp_servers = {{ A = "http://127.0.0.1:8/mcp" }}\n'
    )
    assert Project.find(project).agent("a").mcp_servers == {"A": "http://127.0.0.1:8/mcp"}


def test_an_agent_that_runs_already_cannot_be_told(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.simulate.agents.a]\naddress = "http://127.0.0.1:9"\n'
        'mcp_servers = { A = "http://127.0.0.1:8/mcp" }\n'
    )
    with pytest.raises(FileProblems, match="command"):
        Project.find(project)


SERVER = """
import os, sys
from aiohttp import web
from mcp import Client

async def chat(request):
    async with Client(os.environ["PARCELS_MCP"]) as server:
        found = await server.call_tool("track", {"parcel": "P-7"})
    return web.json_response({"answer": found.content[0].text})

app = web.Application()
app.router.add_post("/chat", chat)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


async def test_an_agent_in_a_process_of_its_own_also_recorded_and_replayed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    (project / "server.py").write_text(SERVER)
    scenario = """
        name: Parcels
        agent: parcels
        script: [{says: hello}]
        tools: {track: at the customs}
        expect: [{said: {contains: at the customs}}, {called: track}]
    """
    table: Any = (
        '[tool.simulate.agents.parcels]\naddress = "http://127.0.0.1:{port}"\n'
        f'command = "{sys.executable} server.py {{port}}"\n'
        'mcp_servers = { PARCELS_MCP = "http://127.0.0.1:URL/mcp" }\n'
        'request = { path = "/chat", body = { text = "{{message}}" }, answer = "$.answer" }\n'
    )
    made = MCPServer("parcels")

    @made.tool()
    def track(parcel: str) -> str:
        raise AssertionError("it is pinned")

    port = free_port()
    async with serving_asgi(made.streamable_http_app(), port):
        write(project, table.replace('"http://127.0.0.1:URL/mcp"', '"env:REAL_MCP"'), scenario)
        monkeypatch.setenv("REAL_MCP", f"http://127.0.0.1:{port}/mcp")
        for words in (["--record", "cassettes"], ["--replay", "cassettes"]):
            await asyncio.to_thread(main, ["run", "--out", "run", *words])
            (found,) = outcomes(project)
            assert found.passed, f"{words}: {found.explain()}"
            shutil.rmtree(project / "run")
