"""Latency is the agent's alone."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiohttp import web

from simulate import Scenario, run
from simulate.conversation.delays import thread_ends, waits_for_a_processor
from simulate.model.outcome import Outcome
from simulate.scoring.checks.amounts import RepliedWithinCheck, reply_latencies
from simulate.scoring.checks.check import Evidence
from simulate.trace.reading import TraceReading
from simulate.trace.span import Trace


def asked(limit: str, *lines: str) -> Scenario:
    return Scenario.model_validate(
        {"name": "x", "script": [{"says": line} for line in lines], "expect": [{"replied_within": limit}]}
    )


def latencies(outcome: Outcome) -> list[float]:
    return [seconds for _, seconds in reply_latencies(outcome.conversation)]


ENDPOINT = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "ok"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
FIRST = """
import asyncio, json, sys
from simulate import Scenario, run
script = [{"says": line} for line in "abcd"]
outcome = asyncio.run(run(Scenario.model_validate({"name": "x", "script": script}), sys.argv[1]))
said = outcome.conversation.utterances
print(json.dumps([after.start - before.end for before, after in zip(said[::2], said[1::2])]))
"""


def test_the_first_reply_holds_no_import_and_no_connection(tmp_path: Path) -> None:
    """In a process of its own, where nothing is imported yet; against its own later replies, so that a slow
    machine slows both."""
    with subprocess.Popen([sys.executable, "-c", ENDPOINT], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        try:
            done = subprocess.run(
                [sys.executable, "-c", FIRST, address],
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            )
        finally:
            server.kill()
    first, *others = json.loads(done.stdout.splitlines()[-1])
    assert len(others) == 3
    assert first < 20 * max(*others, 0.01), (first, others)


async def test_another_conversation_that_blocks_the_loop_is_not_this_agents() -> None:
    async def blocks(message: str) -> str:
        for _ in range(20):
            time.sleep(0.1)
            await asyncio.sleep(0)
        return "done"

    async def waits(message: str) -> str:
        await asyncio.sleep(0.15)
        return "ok"

    async def waits_long(message: str) -> str:
        await asyncio.sleep(3)
        return "ok"

    blocking, waiting = await asyncio.gather(run(asked("10s", "a"), blocks), run(asked("200ms", "a"), waits))
    assert blocking.passed
    assert latencies(waiting)[0] <= 0.2 or (waiting.status, waiting.side) == ("error", "environment")
    slow = await run(asked("200ms", "a"), waits_long)
    assert (slow.status, slow.side) == ("failed", "agent"), slow.reason


async def test_an_agent_that_blocks_its_own_loop_is_slow() -> None:
    async def blocks(message: str) -> str:
        time.sleep(2)
        return "done"

    outcome = await run(asked("100ms", "a"), blocks)
    assert (outcome.status, outcome.side) == ("failed", "agent"), outcome.reason


@pytest.mark.parametrize(
    ("delay", "status"), [(0.0, "failed"), (0.5, "failed"), (2.5, "error")], ids=["none", "some", "enough"]
)
async def test_a_delay_excuses_what_it_could_explain(delay: float, status: str) -> None:
    async def slow(message: str) -> str:
        await asyncio.sleep(3)
        return "ok"

    scenario = asked("1s", "a")
    conversation = (await run(scenario, slow)).conversation
    evidence = Evidence(scenario, conversation, TraceReading(Trace("a" * 32)), delays={1: delay})
    verdict = await RepliedWithinCheck(scenario.expect[0]).judge(evidence)  # pyright: ignore
    assert verdict.status == status
    assert ("may be the machine" in verdict.fact) == (delay > 0)
    evidence.replayed = True
    assert (await RepliedWithinCheck(scenario.expect[0]).judge(evidence)).status == "not_run"  # pyright: ignore


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="needs CONFIG_SCHED_INFO")
def test_waiting_for_a_processor_never_falls_when_a_thread_ends() -> None:
    before = waits_for_a_processor()["ended"]
    thread_ends()
    assert waits_for_a_processor()["ended"] >= before


async def test_the_caller_is_heard_once_the_connection_is_up() -> None:
    async def answer(request: web.Request) -> web.Response:
        message = {"role": "assistant", "content": "ok"}
        return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        outcome = await run(asked("5s", "a", "b"), f"http://127.0.0.1:{port}/v1")
    finally:
        await runner.cleanup()
    first, second = outcome.conversation.by("caller")
    assert first.start == first.end == first.first
    assert 0 < first.start < second.start
    assert outcome.passed
