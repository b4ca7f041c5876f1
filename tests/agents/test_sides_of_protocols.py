"""Whose fault it is, over real sockets, for agents that an official SDK reaches: A2A and MCP.

The SDKs tell little of what a server answered: of each status, MCP's says "returned an error response"."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

pytest.importorskip("a2a")
pytest.importorskip("mcp")

from fixtures.broken_endpoints import BODIES, OTHER, answer
from simulate.conversation.agents.a2a_agent import A2AAdapter
from simulate.conversation.agents.adapter import Call, EndpointOptions
from simulate.conversation.agents.mcp_tool import McpAdapter
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.errors import Fault
from tests.agents.served import CONVERSATION, said
from tests.agents.test_sides import ENVIRONMENT, SHARED, fault_of

First = Callable[[bytes, Any, str], bytes | None]
"""What a server answers before it breaks: by the request's head, its document, and the server's URL."""


def result(document: Any, value: dict[str, Any]) -> bytes:
    return answer(200, json.dumps({"jsonrpc": "2.0", "id": document["id"], "result": value}))


def card(head: bytes, document: Any, url: str) -> bytes | None:
    if not head.startswith(b"GET"):
        return None
    interface = {"url": f"{url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    told: dict[str, Any] = {
        "name": "orders", "description": "Knows orders.", "version": "1", "supportedInterfaces": [interface],
        "capabilities": {"streaming": True}, "defaultInputModes": ["text"], "defaultOutputModes": ["text"],
        "skills": [],
    }  # fmt: skip
    return answer(200, json.dumps(told))


def session(head: bytes, document: Any, url: str) -> bytes | None:
    """An MCP server that works until its tool is called."""
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    match (document or {}).get("method", ""):
        case "initialize":
            about = {"name": "orders", "version": "1"}
            able = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": about}
            return result(document, able)
        case "tools/list":
            return result(document, {"tools": [{"name": "ask", "inputSchema": schema}]})
        case "tools/call":
            return None
        case method if method.startswith("notifications/"):
            return answer(202, "")
        case _:
            return answer(405, "")


def nothing(head: bytes, document: Any, url: str) -> bytes | None:
    return None


@contextlib.asynccontextmanager
async def serving(last: bytes | Callable[[Any], bytes], first: First) -> AsyncGenerator[str]:
    """The URL of a server that answers ``first``, and then the ``last`` word of a broken one."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
            document = json.loads(body) if body.startswith(b"{") else None
            told = first(head, document, url)
            writer.write(told or (last if isinstance(last, bytes) else last(document)))
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield url


PLACES: dict[str, tuple[Callable[[str], Any], First]] = {
    "a2a: the card": (lambda url: A2AAdapter(f"a2a:{url}", EndpointOptions()), nothing),
    "a2a: a message": (lambda url: A2AAdapter(f"a2a:{url}", EndpointOptions()), card),
    "mcp: the session": (lambda url: McpAdapter(f"mcp:{url}/mcp", EndpointOptions()), nothing),
    "mcp: the tool": (lambda url: McpAdapter(f"mcp:{url}/mcp", EndpointOptions()), session),
}
# in the other two places, each kind once
WHOLE = {"a2a: a message", "mcp: the session"}
SOME = {*BODIES, "401", "429", "502", "307 in a loop"}
# each is asked for 2 s what it speaks, which one is enough to show
SLOW = {f"speaks {name}" for name in OTHER if name not in ("ssh", "tls alert")}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (place, name)
        for place in PLACES
        for name in SHARED
        if name in SOME or (place in WHOLE and name not in SLOW)
    ],
)
async def test_what_is_in_between_is_not_the_agents(place: str, name: str) -> None:
    adapter, first = PLACES[place]
    async with serving(ENVIRONMENT[name], first) as url:
        found = await fault_of(adapter(url))
    assert found.side == "environment", found
    if name.isdigit():
        assert name in found.message


def rpc_error(message: str, code: int = -32603) -> Callable[[Any], bytes]:
    def told(document: Any) -> bytes:
        error = {"code": code, "message": message}
        return answer(200, json.dumps({"jsonrpc": "2.0", "id": document["id"], "error": error}))

    return told


def task(state: str, text: str = "") -> Callable[[Any], bytes]:
    """A task that ended its one event of a stream in this state."""

    def told(document: Any) -> bytes:
        status: dict[str, Any] = {"state": state}
        if text:
            status["message"] = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": text}]}
        value = {"task": {"id": "t", "contextId": "c", "status": status}}
        event = {"jsonrpc": "2.0", "id": document["id"], "result": value}
        return answer(200, f"data: {json.dumps(event)}\n\n", "text/event-stream")

    return told


def tool_error(text: str) -> Callable[[Any], bytes]:
    return lambda document: result(
        document, {"isError": True, "content": [{"type": "text", "text": text}] if text else []}
    )


QUOTES_429 = "openai.RateLimitError: Error code: 429 - slow down"
CUT = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"
OWN: dict[tuple[str, str], tuple[bytes | Callable[[Any], bytes], str]] = {
    ("a2a: a message", "failed"): (task("TASK_STATE_FAILED", "KeyError: 'order_id'"), "agent"),
    ("a2a: a message", "failed, no reason"): (task("TASK_STATE_FAILED"), "agent"),
    ("a2a: a message", "failed at its model"): (task("TASK_STATE_FAILED", QUOTES_429), "environment"),
    ("a2a: a message", "canceled"): (task("TASK_STATE_CANCELED", "I stopped."), "agent"),
    ("a2a: a message", "canceled for its model"): (
        task("TASK_STATE_CANCELED", "upstream connect error"), "environment"
    ),
    ("a2a: a message", "rejected"): (task("TASK_STATE_REJECTED", "Not my subject."), "agent"),
    ("a2a: a message", "rejected for its quota"): (
        task("TASK_STATE_REJECTED", "quota exceeded"), "environment"
    ),
    ("a2a: a message", "input required, and not which"): (task("TASK_STATE_INPUT_REQUIRED"), "agent"),
    ("a2a: a message", "auth required"): (task("TASK_STATE_AUTH_REQUIRED", "Sign in."), "environment"),
    ("a2a: a message", "submitted, and no more"): (task("TASK_STATE_SUBMITTED"), "agent"),
    ("a2a: a message", "working, and no more"): (task("TASK_STATE_WORKING", "a moment"), "agent"),
    ("a2a: a message", "an error"): (rpc_error("KeyError: 'order_id'"), "agent"),
    ("a2a: a message", "an error of its model"): (rpc_error(QUOTES_429), "environment"),
    ("a2a: a message", "an error of its own code"): (rpc_error("boom", 7), "agent"),
    ("a2a: a message", "a result of another shape"): (
        lambda document: result(document, {"message": {"parts": "x"}}), "agent"
    ),
    ("a2a: a message", "not JSON"): (answer(200, "{broken"), "agent"),
    ("a2a: a message", "cut off"): (CUT, "agent"),
    ("a2a: a message", "an empty stream"): (answer(200, "", "text/event-stream"), "agent"),
    ("mcp: the tool", "failed"): (tool_error("KeyError: 'order_id'"), "agent"),
    ("mcp: the tool", "failed, no reason"): (tool_error(""), "agent"),
    ("mcp: the tool", "failed at its model"): (tool_error(QUOTES_429), "environment"),
    ("mcp: the tool", "lacks its key"): (tool_error("OPENAI_API_KEY is not set"), "environment"),
    ("mcp: the tool", "an error"): (rpc_error("KeyError: 'order_id'"), "agent"),
    ("mcp: the tool", "an error of its model"): (rpc_error(QUOTES_429), "environment"),
    ("mcp: the tool", "a result of another shape"): (
        lambda document: result(document, {"content": "x"}), "agent"
    ),
    ("mcp: the tool", "no text"): (lambda document: result(document, {"content": []}), "agent"),
    ("mcp: the tool", "not JSON"): (answer(200, "{broken"), "agent"),
    ("mcp: the tool", "cut off"): (CUT, "agent"),
    ("mcp: the tool", "closed"): (b"", "agent"),
    ("mcp: the tool", "an empty stream"): (answer(200, "", "text/event-stream"), "agent"),
}  # fmt: skip


@pytest.mark.parametrize(("place", "what"), OWN)
async def test_a_protocols_own_errors(place: str, what: str) -> None:
    last, side = OWN[place, what]
    adapter, first = PLACES[place]
    async with serving(last, first) as url:
        found = await fault_of(adapter(url))
    assert found.side == side, found


async def test_a_task_that_asks_is_an_answer() -> None:
    adapter, first = PLACES["a2a: a message"]
    async with serving(task("TASK_STATE_INPUT_REQUIRED", "Which order?"), first) as url:
        assert await said(adapter(url), "Where is it?") == ["Which order?"]


class Ours(RuntimeError):
    """A mistake in whoever uses a session."""


@pytest.mark.parametrize("place", ["a2a: a message", "mcp: the tool"])
async def test_a_mistake_of_ours_is_not_held_against_the_agent(place: str) -> None:
    adapter, first = PLACES[place]
    call = Call(CONVERSATION, PinnedTools({}), {}, 10.0)
    async with serving(b"", first) as url:
        with pytest.raises(Ours):
            async with adapter(url).connect(call):
                raise Ours


@pytest.mark.parametrize("place", ["a2a: a message", "mcp: the tool"])
async def test_a_fault_raised_meanwhile_stays_what_it_is(place: str) -> None:
    adapter, first = PLACES[place]
    call = Call(CONVERSATION, PinnedTools({}), {}, 10.0)
    raised = Fault("the caller broke")
    async with serving(b"", first) as url:
        with pytest.raises(Fault) as caught:
            async with adapter(url).connect(call):
                raise raised
    assert caught.value is raised
