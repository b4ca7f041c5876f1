"""What can be between us and an agent's endpoint, over real sockets: nothing of it is the agent's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulate import determinism
from simulate.child_process import free_port
from simulate.conversation.agents.adapter import Call
from simulate.conversation.agents.http import HttpAdapter
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.errors import Fault


def answer(status: int, body: str, kind: str = "application/json", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "connection: close", "", body]).encode()


def error(message: str, kind: str = "error", code: Any = None) -> str:
    return json.dumps({"error": {"message": message, "type": kind, "code": code}})


def streamed(*events: str) -> bytes:
    return answer(200, "".join(f"data: {event}\n\n" for event in events), "text/event-stream")


def chunk(text: str = "", finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return json.dumps({"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


PAGE = "<!doctype html><html><head><title>{}</title></head><body>Please go on.</body></html>"
REFUSING = (401, 402, 403, 404, 405, 407, 408, 409, 421, 423, 425, 429, 451)
DOWN = (501, 502, 503, 504, 505, 507, 508, 511, 520, 521, 522, 523, 524, 525, 526, 527, 529, 530)
BODIES = {
    "rate limit": (429, error("Rate limit reached for gpt-4o", "rate_limit_error", "rate_limit_exceeded")),
    "quota": (429, error("You exceeded your current quota", "insufficient_quota", "insufficient_quota")),
    "credits": (402, error("Insufficient credits", code=402)),
    "overloaded": (529, error("Overloaded", "overloaded_error")),
    "500 of a provider": (500, error("The server had an error processing your request", "server_error")),
    "500 that quotes 429": (500, error("openai.RateLimitError: Error code: 429 - slow down")),
    "500 that quotes a refusal": (500, error("litellm.ServiceUnavailableError: upstream connect error")),
    "500 without a key": (500, error("The api_key client option must be set, by OPENAI_API_KEY")),
    "500 of FastAPI that quotes 429": (500, json.dumps({"detail": "RateLimitError: Error code: 429"})),
    "500 with the error as text": (500, json.dumps({"error": "Incorrect API key provided: sk-***"})),
    "200 without words and an error": (
        200,
        json.dumps(
            {
                "choices": [{"index": 0, "finish_reason": "error", "message": {"content": ""}}],
                "error": {"message": "Provider returned error", "code": 502},
            }
        ),
    ),
    "400 with a wrong key": (
        400,
        error("API key not valid. Please pass a valid API key.", "invalid api key"),
    ),
    "400 to a TLS port": (400, PAGE.format("400 The plain HTTP request was sent to HTTPS port")),
    "200 with a 429 inside": (200, error("Provider returned error", code=429)),
    "200 with a 502 inside": (200, error("Provider disconnected", code=502)),
    "200 overloaded": (200, error("Overloaded", "overloaded_error")),
    "login page": (200, PAGE.format("Sign in")),
    "proxy's page": (503, PAGE.format("Zscaler")),
    "hotel's page": (200, PAGE.format("Welcome to the guest network")),
}
EVENTS = {
    "overloaded": error("Overloaded", "overloaded_error"),
    "server error": error("The server had an error", "server_error"),
    "rate limit": error("Rate limit reached", "rate_limit_error"),
    "502": error("Provider disconnected", code=502),
    "upstream": error("upstream connection reset"),
    "timeout": error("Request timed out: 504 gateway timeout", code=504),
}
OTHER = {
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "smtp": b"220 mail.example.com ESMTP\r\n",
    "redis": b"-ERR unknown command 'POST'\r\n",
    "tls alert": b"\x15\x03\x01\x00\x02\x02\x16",
    "mysql": b"J\x00\x00\x00\n8.0.36\x00",
}
"""Servers of other protocols: what they say to a request of HTTP."""

ENVIRONMENT: dict[str, bytes] = {
    **{f"{status}": answer(status, error("no"), retry_after="0") for status in (*REFUSING, *DOWN)},
    **{
        name: answer(status, body, "text/html" if body[0] == "<" else "application/json", retry_after="0")
        for name, (status, body) in BODIES.items()
    },
    **{f"event: {name}": streamed(chunk("Your refund"), body) for name, body in EVENTS.items()},
    **{f"speaks {name}": said for name, said in OTHER.items()},
    **{
        f"{status} in a loop": answer(status, "", location="/v1/chat/completions")
        for status in (301, 302, 303, 307, 308)
    },
    "302 without a place": answer(302, ""),
}
"""Held against nobody's agent."""

FRAMEWORKS = {
    "aiohttp": ("text/plain", "500 Internal Server Error\n\nServer got itself in trouble"),
    "express": ("text/html", "<!DOCTYPE html><html><body><pre>Internal Server Error</pre></body></html>"),
    "fastapi": ("text/plain", "Internal Server Error"),
    "flask": (
        "text/html",
        "<!doctype html><title>500 Internal Server Error</title><h1>Internal Server Error</h1><p>Either the "
        "server is overloaded or there is an error in the application.</p>",
    ),
    "nest": ("application/json", json.dumps({"statusCode": 500, "message": "Internal server error"})),
    "spring": (
        "application/json",
        json.dumps({"status": 500, "error": "Internal Server Error", "path": "/"}),
    ),
}
"""What web frameworks answer where a program behind them raised."""

AGENTS: dict[str, bytes] = {
    **{f"500 of {name}": answer(500, body, kind) for name, (kind, body) in FRAMEWORKS.items()},
    "500": answer(500, "Internal Server Error", "text/plain"),
    "500 of its own": answer(500, error("KeyError: 'order_id'", "KeyError")),
    "400": answer(400, error("messages[3] is wrong", "invalid_request_error")),
    "422": answer(422, error("field required")),
    "no choices": answer(200, "{}"),
    "a list": answer(200, "[1]"),
    "not JSON": answer(200, "{broken"),
    "empty": answer(200, json.dumps({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]})),
    "cut off": streamed(chunk("Your refund")),
    "an event that is not JSON": streamed(chunk("Your"), "{broken"),
    "an error of its own": streamed(chunk("Your"), error("KeyError: 'order_id'", "KeyError")),
}
"""What an agent answers itself."""


@contextlib.asynccontextmanager
async def serving(said: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
            writer.write(said)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Waits(determinism.SystemClock):
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def fault(address: str, *, stream: bool) -> Fault:
    adapter = HttpAdapter(address, stream=stream)
    call = Call("ab" * 16, PinnedTools({}), {}, 10.0)
    try:
        with determinism.pinned(determinism.RunContext(clock=Waits())):
            async with adapter.connect(call) as session:
                said = [event async for event in session.send("Where is my refund?")]
    except Fault as found:
        return found
    finally:
        await adapter.aclose()
    raise AssertionError(f"no fault: {said}")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ENVIRONMENT)
async def test_what_is_in_between_is_not_the_agents(name: str, stream: bool) -> None:
    if name.startswith("event") and not stream:
        return  # one that was not asked to stream sends no events
    async with serving(ENVIRONMENT[name]) as port:
        found = await fault(f"http://127.0.0.1:{port}/v1", stream=stream)
    assert found.side == "environment", found


@pytest.mark.parametrize("name", AGENTS)
async def test_what_the_agent_answers_itself_is(name: str) -> None:
    async with serving(AGENTS[name]) as port:
        found = await fault(f"http://127.0.0.1:{port}/v1", stream=True)
    assert found.side == "agent", found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder: Path = tmp_path_factory.mktemp("tls")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=elsewhere"]
    made += ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    try:
        subprocess.run(made, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("apt-get install openssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


@pytest.mark.parametrize("stream", [True, False])
async def test_tls_and_certificates(certificate: ssl.SSLContext, stream: bool) -> None:
    async with serving(b"", certificate) as port:
        untrusted = await fault(f"https://127.0.0.1:{port}/v1", stream=stream)
        plain = await fault(f"http://127.0.0.1:{port}/v1", stream=stream)
    assert (untrusted.side, "certificate" in untrusted.message) == ("environment", True), untrusted
    assert (plain.side, "https" in (plain.hint or "")) == ("environment", True), plain
    async with serving(answer(200, "{}")) as port:
        secret = await fault(f"https://127.0.0.1:{port}/v1", stream=stream)
    assert (secret.side, "http://" in (secret.hint or "")) == ("environment", True), secret


async def test_nobody_is_there() -> None:
    closed = await fault(f"http://127.0.0.1:{free_port()}/v1", stream=True)
    unknown = await fault("http://no-such-host.invalid/v1", stream=True)
    assert (closed.side, unknown.side) == ("environment", "environment")
    assert "no-such-host" in unknown.message


async def test_the_pages_title_is_told() -> None:
    async with serving(ENVIRONMENT["login page"]) as port:
        found = await fault(f"http://127.0.0.1:{port}/v1", stream=True)
    assert "Sign in" in found.message
