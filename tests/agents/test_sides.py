"""Whose fault it is, over real sockets, for agents reached in other ways than OpenAI's."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fixtures.broken_endpoints import (
    AGENTS,
    ENVIRONMENT,
    FRAMEWORKS,
    answer,
    error,
)
from fixtures.broken_endpoints import serving as serving_bytes
from simulate import determinism
from simulate.conversation.agents.adapter import AgentMessage, EndpointOptions
from simulate.conversation.agents.anthropic_messages import AnthropicAdapter
from simulate.conversation.agents.program import ProgramAdapter
from simulate.conversation.agents.responses import ResponsesAdapter
from simulate.conversation.agents.web import WebAdapter
from simulate.conversation.agents.web_socket import WebSocketAdapter
from simulate.errors import Fault
from simulate.model.request_template import RequestTemplate
from tests.agents.served import events, serving
from tests.agents.test_endpoint_matrix import Waits


def _web(address: str) -> WebAdapter:
    request = RequestTemplate(body={"text": "{{message}}"}, answer="$.text")
    return WebAdapter(address, EndpointOptions(request=request))


ADAPTERS: dict[str, Any] = {
    "request": _web,
    "responses": lambda address: ResponsesAdapter(f"responses:{address}/v1", EndpointOptions()),
    "anthropic": lambda address: AnthropicAdapter(f"anthropic:{address}/v1", EndpointOptions()),
    "ws": lambda address: WebSocketAdapter(
        address.replace("http", "ws"), EndpointOptions(request=RequestTemplate())
    ),
}


async def fault_of(adapter: Any) -> Fault:
    """The fault that its first turn ends with."""
    try:
        with determinism.pinned(determinism.RunContext(clock=Waits())):
            found = await events(adapter, "Where is my refund?")
    except Fault as fault:
        return fault
    raise AssertionError(f"no fault: {found}")


SHARED = [name for name in ENVIRONMENT if not name.startswith("event")]


# a refused handshake of a WebSocket says nothing but its status
SILENT = tuple(f"HTTP/1.1 {status}".encode() for status in (301, 302, 303, 307, 308, 400, 500))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in ADAPTERS
        for name in SHARED
        if kind != "ws" or not (ENVIRONMENT[name].startswith(SILENT) or name == "200 overloaded")
    ],
)
async def test_what_is_in_between_is_not_the_agents(kind: str, name: str) -> None:
    async with serving_bytes(ENVIRONMENT[name]) as port:
        found = await fault_of(ADAPTERS[kind](f"http://127.0.0.1:{port}"))
    assert found.side == "environment", found


def streamed(*documents: dict[str, Any]) -> bytes:
    body = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in documents)
    return answer(200, body, "text/event-stream")


def failed(code: str, message: str) -> bytes:
    told = {"status": "failed", "output": [], "error": {"code": code, "message": message}}
    return answer(200, json.dumps(told))


START = {"type": "message_start", "message": {"role": "assistant", "content": []}}
OWN: dict[tuple[str, str], tuple[bytes, str]] = {
    ("anthropic", "overloaded"): (
        streamed(START, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        "environment",
    ),
    ("anthropic", "an error of its own"): (
        streamed(START, {"type": "error", "error": {"type": "KeyError", "message": "'order_id'"}}),
        "agent",
    ),
    ("anthropic", "no end"): (streamed(START), "agent"),
    ("responses", "rate limit"): (
        streamed({"type": "error", "code": "rate_limit_exceeded", "message": "Rate limit reached"}),
        "environment",
    ),
    ("responses", "failed at its model"): (failed("server_error", "The server had an error"), "environment"),
    ("responses", "failed itself"): (failed("x", "KeyError"), "agent"),
    ("responses", "cancelled"): (answer(200, json.dumps({"status": "cancelled", "output": []})), "agent"),
    ("responses", "no end"): (streamed({"type": "response.created"}), "agent"),
    ("request", "500"): (answer(500, error("KeyError: 'order_id'", "KeyError")), "agent"),
    ("request", "no text"): (answer(200, "{}"), "agent"),
    ("request", "not JSON"): (answer(200, "{broken"), "agent"),
    ("request", "422"): (answer(422, error("field required")), "agent"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "what"), OWN)
async def test_a_protocols_own_errors(kind: str, what: str) -> None:
    said, side = OWN[kind, what]
    async with serving_bytes(said) as port:
        assert (await fault_of(ADAPTERS[kind](f"http://127.0.0.1:{port}"))).side == side


@pytest.mark.parametrize("kind", [kind for kind in ADAPTERS if kind != "ws"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_program_that_raised_is_the_agents(kind: str, framework: str) -> None:
    async with serving_bytes(AGENTS[f"500 of {framework}"]) as port:
        assert (await fault_of(ADAPTERS[kind](f"http://127.0.0.1:{port}"))).side == "agent"


@pytest.mark.parametrize(
    ("kind", "document", "why"),
    [
        ("anthropic", {"stop_reason": "max_tokens"}, "max_tokens"),
        ("anthropic", {"stop_reason": "refusal"}, "refusal"),
        ("anthropic", {"stop_reason": "end_turn"}, None),
        ("anthropic", {"stop_reason": "model_context_window_exceeded"}, "model_context_window_exceeded"),
        ("responses", {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
         "max_output_tokens"),
        ("responses", {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
         "content_filter"),
        ("responses", {"status": "incomplete"}, "incomplete"),
        ("responses", {"status": "completed"}, None),
    ],
)  # fmt: skip
async def test_an_answer_that_is_not_whole_says_so(
    kind: str, document: dict[str, Any], why: str | None
) -> None:
    document |= {"content": [{"type": "text", "text": "I have"}]}
    if kind == "responses":
        said = [{"type": "output_text", "text": "I have"}]
        document |= {"output": [{"type": "message", "role": "assistant", "content": said}]}
    async with serving_bytes(answer(200, json.dumps(document))) as port:
        found = await events(ADAPTERS[kind](f"http://127.0.0.1:{port}"), "Where is my refund?")
    assert [event.cut_off for event in found if isinstance(event, AgentMessage)] == [why]


@pytest.mark.parametrize(
    ("code", "side"),
    [(1001, "agent"), (1008, "agent"), (1011, "agent"), (4000, "agent"), (1012, "environment"),
     (1013, "environment"), (1014, "environment"), (3000, "environment"), (4401, "environment"),
     (4429, "environment")],
)  # fmt: skip
async def test_how_a_web_socket_closes(code: int, side: str) -> None:
    async def socket(request: web.Request) -> web.WebSocketResponse:
        opened = web.WebSocketResponse()
        await opened.prepare(request)
        await opened.receive()
        await opened.close(code=code)
        return opened

    async with serving(web.get("/", socket)) as url:
        found = await fault_of(ADAPTERS["ws"](url))
    assert (found.side, str(code) in found.message) == (side, True), found


@pytest.mark.parametrize(
    ("program", "side", "told"),
    [
        ("import sys; sys.exit(3)", "agent", "code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "agent", "SIGKILL"),
        ("raise KeyError('order_id')", "agent", "KeyError"),
        ("raise RuntimeError('openai.RateLimitError: Error code: 429 - slow down')", "environment", "429"),
        ('import sys; sys.exit(\'API Error: 529 {"type": "overloaded_error"}\')', "environment", "its model"),
        (
            "import sys; sys.exit('anthropic.AuthenticationError: invalid x-api-key')",
            "environment",
            "its model",
        ),
        ("import sys; sys.exit('the billing address is missing')", "agent", "code 1"),
        ("pass", "agent", "no answer"),
    ],
)
@pytest.mark.parametrize("process", ["turn", "conversation"])
async def test_how_a_program_ends(tmp_path: Path, process: str, program: str, side: str, told: str) -> None:
    if (program, process) == ("pass", "conversation"):
        return  # it hangs up
    (tmp_path / "agent.py").write_text(f"input()\n{program}\n")
    request = RequestTemplate.model_validate({"process": process})
    adapter = ProgramAdapter(
        f"exec:{sys.executable} {tmp_path / 'agent.py'}", EndpointOptions(request=request)
    )
    found = await fault_of(adapter)
    assert found.side == side and told in f"{found.message} {found.proof}", found


async def test_no_such_program_under_a_shell() -> None:
    request = RequestTemplate.model_validate({"process": "turn"})
    adapter = ProgramAdapter("exec:sh -c no-such-program-anywhere", EndpointOptions(request=request))
    assert (await fault_of(adapter)).side == "environment"


def test_the_matrix_is_as_large_as_it_claims() -> None:
    assert len(ENVIRONMENT) + len(AGENTS) >= 80
    assert len(SHARED) >= 70
