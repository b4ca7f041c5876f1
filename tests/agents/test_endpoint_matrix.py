"""What can be between us and an agent's endpoint, over real sockets: nothing of it is the agent's."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from fixtures.broken_endpoints import AGENTS, ENVIRONMENT, answer, serving
from simulate import determinism
from simulate.child_process import free_port
from simulate.conversation.agents.adapter import Call
from simulate.conversation.agents.http import HttpAdapter
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.errors import Fault


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
