"""The server from the command line, and by the official MCP client."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulate.interfaces.cli.main import main
from simulate.server.store import Store
from simulate.trace.files.reader import read
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.span import Span

Make = Callable[..., list[Span]]
Serve = Callable[..., Any]
Run = Callable[..., Any]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Run:
    async def run(*words: object, code: int = 0) -> str:
        done = await asyncio.to_thread(main, [str(word) for word in words])
        told = capsys.readouterr()
        assert done == code, told.out + told.err
        return told.out + told.err

    return run


async def test_traces_are_found_shown_exported_and_made_a_test(
    serve: Serve, make: Make, command: Run, tmp_path: Path
) -> None:
    server = await serve()
    files = [tmp_path / "a.otlp.jsonl", tmp_path / "b.otlp.jsonl"]
    write_otlp_jsonl(files[0], make(1))
    write_otlp_jsonl(files[1], make(2, user="u-8", error=True))
    assert "2 traces, 6 spans" in await command("serve", "import", *files, "--to", server.address)
    await server.settled()
    at = ("--server", server.address)
    found = await command("traces", "find", "--user", "u-8", "--since", "1h", "--json", *at)
    assert [int(json.loads(row)["trace_id"], 16) for row in found.splitlines()] == [2]
    assert "failed: execute_tool lookup_order" in await command("traces", "find", "--filter", "error", *at)
    assert "no trace is like that" in await command("traces", "find", "--text", "nothing", *at)
    for options, ids in (
        (("--error",), [2]), (("--tool", "lookup_order"), [2, 1]), (("--tool", "other"), []),
        (("--session", "s-1", "--cost", "<1"), [2, 1]), (("--cost", ">=$1"), []),
        (("--score", "Groundedness<0.7"), []), (("--error", "--filter", "kind=LLM"), [2]),
    ):  # fmt: skip
        found = await command("traces", "find", *options, "--json", *at)
        assert [int(json.loads(row)["trace_id"], 16) for row in found.splitlines()] == ids, options
    assert "is not a comparison" in await command("traces", "find", "--cost", "much", *at, code=2)
    assert "lookup_order" in await command("traces", "show", f"{2:032x}", *at)
    await command("traces", "export", f"{2:032x}", f"{1:032x}", "-o", tmp_path / "out.jsonl", *at)
    assert {trace.trace_id for trace in read(tmp_path / "out.jsonl")} == {f"{1:032x}", f"{2:032x}"}
    project = tmp_path / "project"
    made = await command("traces", "test", f"{1:032x}", "--name", "Late order", "--dir", project, *at)
    assert "late_order.yaml" in made
    await command("check", project / "scenarios" / "late_order.yaml")
    again = await command(
        "traces", "test", f"{1:032x}", "--name", "Late order", "--dir", project, *at, code=2
    )
    assert "already exists" in again
    assert "there is no trace" in await command("traces", "show", "none", *at, code=2)
    assert "TOOL" in await command("traces", "find", "--filter", "kind=TOO", *at, code=2)
    assert "cannot be reached" in await command("traces", "find", "--server", "http://127.0.0.1:9", code=3)


async def test_a_store_is_filled_exported_and_freed_of_a_person(
    command: Run, make: Make, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    file, at = tmp_path / "a.otlp.jsonl", ("--store", f"sqlite:///{tmp_path / 'store.db'}")
    write_otlp_jsonl(file, [*make(1, user="anna@example.com"), *make(2)])
    await command("serve", "import", file, *at)
    told = await command("serve", "export", "-o", tmp_path / "lake", *at)
    assert "spans.parquet: 6 rows" in told
    rows = pq.read_table(tmp_path / "lake" / "traces.parquet").to_pylist()
    assert [int(row["trace_id"], 16) for row in rows] == [1, 2] and rows[0]["seconds"] == 2.0
    assert "1 traces" in await command("serve", "forget", "--user", "anna@example.com", *at)
    key = (await command("serve", "keys", "add", "ci", "--role", "read", *at)).split()[0]
    assert f"{key.split('_')[1]}  read    default  ci" in await command("serve", "keys", "list", *at)
    await command("serve", "keys", "revoke", key.split("_")[1], *at)
    assert "ci" not in await command("serve", "keys", "list", *at)
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert key.encode() not in raw and b"anna" not in raw
    assert b"make a key" in raw, "what was done is written down"


async def test_a_run_is_beside_production(serve: Serve, command: Run, tmp_path: Path) -> None:
    server = await serve()
    scenario = tmp_path / "hello.yaml"
    scenario.write_text(
        "name: hello\npersona: {description: somebody}\nscript: [{says: hello}]\n"
        "expect: [{said: {contains: hi}}]\n"
    )
    (tmp_path / "echo_agent.py").write_text("def agent(message: str) -> str:\n    return 'hi'\n")
    agent = f"python:{tmp_path / 'echo_agent.py'}:agent"
    folder = tmp_path / "run"
    told = await command("run", scenario, "--agent", agent, "--out", folder, "--to", server.address)
    assert "1 traces are at" in told
    await server.settled()
    _, page = await server.get("/runs")
    assert "1 passed" in page
    # a server that is not there changes nothing of what the run says
    gone = await command(
        "run", scenario, "--agent", agent, "--out", tmp_path / "run2", "--to", "http://127.0.0.1:9"
    )
    assert "did not reach the server" in gone and "simulate serve import" in gone


async def test_a_gate_holds_a_prompt_version_of_production(
    serve: Serve, make: Make, command: Run, tmp_path: Path, small_store: Store
) -> None:
    server = await serve()
    failing = []
    for number in range(41, 81):
        spans = make(number, prompt="v4", error=number % 2 == 0)
        spans[0].status = spans[2].status
        failing.append(spans)
    await server.send(*(make(number) for number in range(1, 41)), *failing)
    await server.settled()
    gate = tmp_path / "gate.yaml"
    gate.write_text("pass_rate: 90%\n")
    at = ("--gate", gate, "--server", server.address)
    assert "pass" in await command("gate", *at, "--filter", "prompt=v3")
    await command("gate", *at, "--filter", "prompt=v4", code=1)
    gate.write_text("pass_rate: {may_drop: 10%}\n")
    assert "case by case" in await command("gate", *at, "--filter", "prompt=v4", code=2)
    gate.write_text("pass_rate: 90%\n")
    assert "no trace is like that" in await command("gate", *at, "--filter", "prompt=v9", code=2)
    from sqlalchemy import update

    from simulate.server.store.schema import traces

    with small_store.write() as connection:
        connection.execute(update(traces).values(why_kept="baseline"))
    assert "judge the sampling" in await command("gate", *at, "--filter", "prompt=v3", code=2)


async def test_the_official_mcp_client_finds_shows_compares_and_makes_a_test(
    serve: Serve, make: Make
) -> None:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    server = await serve()
    await server.send(make(1), make(2, error=True))
    await server.settled()
    async with (
        streamable_http_client(f"{server.address}/mcp") as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        tools = {tool.name for tool in (await session.list_tools()).tools}
        assert tools == {"find_traces", "show_trace", "diff_traces", "make_test"}

        async def call(tool: str, **given: str) -> tuple[bool, str]:
            done = await session.call_tool(tool, given)
            return bool(getattr(done, "is_error", getattr(done, "isError", False))), done.content[0].text

        failed, text = await call("find_traces", filter="error")
        assert not failed and [int(row["trace_id"], 16) for row in json.loads(text)["traces"]] == [2]
        assert "4417" in (await call("show_trace", trace_id=f"{2:032x}"))[1]
        assert "lookup_order" in (await call("diff_traces", expected=f"{1:032x}", actual=f"{2:032x}"))[1]
        _, text = await call("make_test", trace_id=f"{1:032x}", name="Late order")
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(json.loads(text)["zip_base64"]))) as archive:
            assert "scenarios/late_order.yaml" in archive.namelist()
        assert (await call("show_trace", trace_id="none"))[0]
        assert (await call("find_traces", filter="kind=TOO"))[0]
