"""The server for coding agents: the Model Context Protocol, each request answered by one JSON object
(https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#streamable-http)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from simulate.errors import InputError
from simulate.interfaces.render.trace_tree import TreeOptions, lines
from simulate.local_server import Refused
from simulate.model.json_values import to_json
from simulate.model.shapes import object_of
from simulate.server.answers import answer_json, read_trace, row_json
from simulate.server.make_test import archive_of
from simulate.server.routes import PageRequest, Route
from simulate.server.store.find import TraceRow, find, one
from simulate.trace.diff import compare
from simulate.trace.reading import TraceReading
from simulate.trace.tree import build

if TYPE_CHECKING:
    from aiohttp import web

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
"""Of the protocol, the newest first."""
LONGEST = 60_000
"""Characters of one answer: whoever asks has a context to fill."""
_NOT_A_METHOD, _NOT_A_PARAMETER = -32601, -32602


@dataclass(frozen=True, slots=True)
class _Tool:
    """Something to ask for: what it does, and its arguments, the needed ones first."""

    about: str
    arguments: dict[str, str]
    needed: int
    answer: Callable[[PageRequest, dict[str, str]], Awaitable[str]]

    def described(self, name: str) -> dict[str, Any]:
        fields = {word: {"type": "string", "description": told} for word, told in self.arguments.items()}
        schema = {"type": "object", "properties": fields, "required": list(fields)[: self.needed]}
        return {"name": name, "description": self.about, "inputSchema": schema}


async def _find(request: PageRequest, given: dict[str, str]) -> str:
    asked = PageRequest(
        request.context, request.raw, request.key, {}, {"since": "7d", "limit": "20", **given}
    )
    found = await asyncio.to_thread(find, request.context.store, asked.wanted())
    told = {"traces": [row_json(row) for row in found.rows], "more": found.next is not None or found.unseen}
    return to_json(told).decode()


async def _row(request: PageRequest, trace_id: str) -> TraceRow:
    row = await asyncio.to_thread(one, request.context.store, request.project, trace_id)
    if row is None:
        raise InputError(f"there is no trace {trace_id}", hint="find_traces gives their ids")
    return row


async def _show(request: PageRequest, given: dict[str, str]) -> str:
    trace = await read_trace(request, await _row(request, given["trace_id"]))
    options = TreeOptions(TraceReading(trace), width=160, content=True)
    return "\n".join(lines(build(trace), options))


async def _diff(request: PageRequest, given: dict[str, str]) -> str:
    expected = await read_trace(request, await _row(request, given["expected"]))
    actual = await read_trace(request, await _row(request, given["actual"]))
    return (await asyncio.to_thread(compare, expected, actual)).summary(100)


async def _make_test(request: PageRequest, given: dict[str, str]) -> str:
    row = await _row(request, given["trace_id"])
    trace = await read_trace(request, row)
    data = await asyncio.to_thread(archive_of, trace, given.get("name") or row.name)
    told = {
        "how": "unpack it in the project's folder: scenarios/NAME.yaml and scenarios/cassettes/NAME/",
        "command": f"simulate traces test {row.trace_id} --server {request.context.address}",
        "zip_base64": base64.b64encode(data).decode(),
    }
    return to_json(told).decode()


TOOLS = {
    "find_traces": _Tool(
        "Find traces of the agent in production, newest first.",
        {
            "filter": "such as: user=u-7 prompt=v3 kind=TOOL error score.Groundedness<0.7 feedback=down",
            "text": "words that are in the trace", "since": "an age such as 2h or 7d, or a time (default 7d)",
            "until": "a time", "limit": "at most so many (default 20)",
        },
        0, _find,
    ),
    "show_trace": _Tool(
        "Show a trace as a tree, with what was asked, answered, passed to tools and given back.",
        {"trace_id": "from find_traces"}, 1, _show,
    ),
    "diff_traces": _Tool(
        "Say what changed between two traces: behaviour, content, cost, latency.",
        {"expected": "the trace id of the one as it should be", "actual": "the other one's"}, 2, _diff,
    ),
    "make_test": _Tool(
        "Make a regression test of a trace: a scenario and a cassette that answers its model calls.",
        {"trace_id": "from find_traces", "name": "what the scenario is called"}, 1, _make_test,
    ),
}  # fmt: skip


async def _answer(request: PageRequest) -> web.Response:
    from aiohttp import web  # start-up time

    asked = request.form
    if "id" not in asked:  # a notification, which takes no answer
        return web.Response(status=202)
    result = await _result(request, str(asked.get("method")), object_of(asked.get("params")))
    return answer_json({"jsonrpc": "2.0", "id": asked["id"], **result})


async def _result(request: PageRequest, method: str, given: dict[str, Any]) -> dict[str, Any]:
    match method:
        case "initialize":
            wanted = given.get("protocolVersion")
            return {
                "result": {
                    "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "simulate", "version": version("simulate-agents")},
                }
            }
        case "ping":
            return {"result": {}}
        case "tools/list":
            return {"result": {"tools": [tool.described(name) for name, tool in TOOLS.items()]}}
        case "tools/call":
            return await _call(request, str(given.get("name")), object_of(given.get("arguments")))
        case _:
            return {"error": {"code": _NOT_A_METHOD, "message": f"there is no method {method[:60]}"}}


async def _call(request: PageRequest, name: str, given: dict[str, Any]) -> dict[str, Any]:
    tool = TOOLS.get(name)
    if tool is None:
        return {"error": {"code": _NOT_A_PARAMETER, "message": f"there is no tool {name[:60]}"}}
    words = {
        word: str(value) for word, value in given.items() if value is not None and word in tool.arguments
    }
    missing = [word for word in list(tool.arguments)[: tool.needed] if not words.get(word)]
    failed = False
    if missing:
        text, failed = f"{name} needs {', '.join(missing)}", True
    else:
        try:
            text = await tool.answer(request, words)
        except InputError as error:  # the agent is to read it, and to try again
            text, failed = str(error), True
    if len(text) > LONGEST and not failed and name != "make_test":
        text = f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} more characters are left out"
    return {"result": {"content": [{"type": "text", "text": text}], "isError": failed}}


async def _no_stream(request: PageRequest) -> web.Response:
    raise Refused(405, "nothing is sent without being asked for: POST a request")


ROUTES = [
    Route("POST", "/mcp", "read", _answer, "the Model Context Protocol"),
    Route("GET", "/mcp", "read", _no_stream, "there is no stream of events"),
]
