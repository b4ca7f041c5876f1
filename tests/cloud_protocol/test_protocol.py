"""Both sides of the protocol of services that play the caller, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from simulate import CloudEngine
from simulate.cloud_protocol import service as service_module
from simulate.cloud_protocol.service import CloudService
from simulate.errors import EnvironmentFault, InputError
from simulate.local_server import listening
from simulate.model.loading.project import Project
from simulate.run_folder import RunFolder
from simulate.server.app import serving as running_server
from simulate.server.store import Store
from simulate.server.store.access_keys import make_key
from simulate.server.store.runs import runs
from tests.cloud_protocol.front import serving

SCENARIOS = """
name: Refund
tags: [shop]
script:
  - says: I want my money back for order 4417.
  - says: When are you open?
expect:
  - called: issue_refund
    with: {order: "4417"}
  - said: {contains: refunded}
---
name: Hours
tags: [shop]
script:
  - says: When are you open?
expect:
  - said: {contains: nine}
---
name: Breaks later
tags: [broken]
script:
  - says: When are you open?
  - says: boom
expect:
  - said: {contains: nine}
---
name: Agent first
tags: [first]
speaks_first: agent
script:
  - says: Hello.
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.simulate]\nscenarios = ["scenarios"]\n')
    (tmp_path / "scenarios" / "shop.yaml").write_text(SCENARIOS)
    return tmp_path


async def _published_client(url: str, *names: str) -> str:
    environment = os.environ | {"FI_BASE_URL": url, "FI_API_KEY": "k", "FI_SECRET_KEY": "s"}
    script = str(Path(__file__).with_name("client.py"))
    child = await asyncio.create_subprocess_exec(
        sys.executable, script, *names, env=environment, stdout=-1, stderr=-2
    )
    said, _ = await child.communicate()
    assert child.returncode == 0, said.decode()
    return said.decode()


async def _ask(url: str, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.request(method, url + path, json=body) as answer:
        return answer.status, json.loads(await answer.text())


async def test_the_published_client_runs_our_scenarios_and_finds_its_metrics(project: Path) -> None:
    metrics = "/sdk/api/v1/simulation/metrics/?run_test_name="
    async with serving(project) as url:
        said = await _published_client(url, "shop", "broken")
        _, shop = await _ask(url, metrics + "shop")
        _, broken = await _ask(url, metrics + "broken")
    assert said.count("Call Finished") == 2
    (execution,) = shop["result"]["results"]
    assert execution["verdicts"] == {"passed": 2}
    assert execution["ended"] and execution["latency"]["p95_ms"] >= 0
    refund = next(call for call in execution["calls"] if call["scenario"] == "Refund")
    assert refund["chat"]["turns"] == 2
    outcomes = list(RunFolder(project / ".simulate" / "runs" / execution["run"]).outcomes())
    (use,) = next(each for each in outcomes if each.scenario == "Refund").tool_uses
    assert (use.name, use.arguments, use.result) == ("issue_refund", {"order": "4417"}, '{"refunded": 42.5}')
    # that client calls an agent completed that broke after its first turn
    assert broken["result"]["results"][0]["verdicts"] == {"failed": 1}


async def test_simulate_serve_plays_scenarios_and_keeps_their_traces(project: Path) -> None:
    store = Store(f"sqlite:///{project}/traces.db")
    cloud = CloudService(Project.find(project))
    async with running_server(store, cloud=cloud, demand_keys=True, quiet=0.1) as server:
        headers = {"x-api-key": "k", "x-secret-key": "wrong"}
        async with aiohttp.ClientSession(headers=headers) as http:
            address = f"{server.address}/simulate/run-tests/get-id-by-name/Hours/"
            assert (await http.get(address)).status == 401
        key = make_key(store, "default", "send", "ci")
        engine = CloudEngine(_hours, service=server.address, keys=("k", key))
        (call,) = await engine.run("Hours")
        assert call.metrics["verdict"] == "passed"
        async with asyncio.timeout(20):
            while not (kept := runs(store, "default")):
                await asyncio.sleep(0.1)
        assert kept[0].outcomes == {"passed": 1}


async def test_our_engine_is_led_by_such_a_service(project: Path) -> None:
    def agent(message: str) -> str:
        if "boom" in message:
            raise RuntimeError("secret reason")
        return "From nine to five."

    async with serving(project) as url:
        engine = CloudEngine(agent, service=url, keys=("k", "s"))
        (hours,) = await engine.run("Hours")
        (broken,) = await engine.run("broken")
    assert hours.conversation.transcript() == "caller: When are you open?\nagent: From nine to five."
    assert (hours.fault, hours.conversation.ended_by, hours.metrics["verdict"]) == (None, "caller", "passed")
    assert broken.fault is not None and broken.fault.side == "agent"
    assert broken.metrics["verdict"] == "failed"
    assert "secret reason" not in json.dumps(broken.metrics)  # what broke it may be private


async def test_a_service_in_camel_case_is_understood() -> None:
    asked: list[tuple[str, Any]] = []

    async def answer(path: str, body: Any) -> Any:
        asked.append((path, body))
        if "get-id" in path:
            return {"runTestId": "r"}
        if "chat-execute" in path:
            return {"executionId": "e"}
        if "batch" in path:
            return {"callExecutionIds": ["c"], "hasMore": False}
        if "metrics" in path:
            return {"latency": 3}
        if body.get("initiate_chat"):
            return {
                "messageHistory": [{"role": "system", "content": "x"}, {"role": "assistant", "content": "Hi"}]
            }
        return {"outputMessage": None, "messageHistory": [], "chatEnded": True}

    async with _wire(answer) as url:
        (call,) = await CloudEngine(_louder, service=url, keys=("k", "s")).run("any name")
    assert call.conversation.transcript() == "caller: Hi\nagent: Hi!"
    sent = next(body for path, body in asked if "send-message" in path and "messages" in body)
    assert sent["messages"] == [{"role": "user", "content": "Hi!"}] and sent["metrics"]["latency"] >= 0
    assert any("any%20name" in path for path, _ in asked)


async def test_refusals_say_what_is_wrong(project: Path) -> None:
    async with serving(project) as url:
        engine = CloudEngine(_louder, service=url, keys=("k", "s"))
        with pytest.raises(EnvironmentFault, match=r"404.*no scenario, tag, file or folder.*'nothing'"):
            await engine.run("nothing")
        with pytest.raises(EnvironmentFault, match=r"400.*lets the agent speak first"):
            await engine.run("first")
        for path, method, body in (
            ("/simulate/run-tests/none/chat-execute/", "POST", {}),
            ("/simulate/test-executions/none/chat/call-executions/batch/", "POST", {}),
            ("/simulate/call-executions/none/chat/send-message/", "POST", {"initiate_chat": True}),
            ("/simulate/call-executions/none/", "PATCH", {"status": "failed"}),
            ("/simulate/../../etc/passwd", "GET", None),
            ("/simulate/run-tests/get-id-by-name/..%2F..%2Fetc/", "GET", None),
        ):
            status, told = await _ask(url, path, method, body)
            assert (status, told["status"]) == (404, False)
        assert (await _ask(url, "/sdk/api/v1/simulation/metrics/"))[0] == 400
    with pytest.raises(EnvironmentFault):
        await engine.run("Hours")  # nobody listens any more
    with pytest.raises(InputError, match="FI_API_KEY"):
        CloudEngine(_louder, service=url)
    with pytest.raises(InputError, match="a name or an id"):
        await CloudEngine(_louder).run("Hours")


async def test_runs_that_are_over_are_forgotten_in_the_end(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "KEPT", 1)
    async with serving(project) as url:
        engine = CloudEngine(_hours, service=url, keys=("k", "s"))
        ended = [(await engine.run("Hours"))[0].id for _ in range(3)]
        asked = [
            (await _ask(url, f"/sdk/api/v1/simulation/metrics/?call_execution_id={id}"))[0] for id in ended
        ]
    assert asked == [404, 200, 200]  # the last one was not over yet when the third began
    assert len(list((project / ".simulate" / "runs").iterdir())) == 3


async def test_a_client_that_does_not_come_back_is_nobodys_pass(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "FORGOTTEN", -1.0)
    async with serving(project) as url:
        _, told = await _ask(url, "/simulate/run-tests/get-id-by-name/Hours/")
        run_test = told["result"]["run_test_id"]
        _, told = await _ask(url, f"/simulate/run-tests/{run_test}/chat-execute/", "POST", {})
        execution = told["result"]["execution_id"]
        batch = f"/simulate/test-executions/{execution}/chat/call-executions/batch/"
        _, told = await _ask(url, batch, "POST", {})
        (call,) = told["result"]["call_execution_ids"]
        message = f"/simulate/call-executions/{call}/chat/send-message/"
        assert (await _ask(url, message, "POST", {"initiate_chat": True}))[0] == 200
        assert (await _ask(url, message, "POST", {"initiate_chat": True}))[0] == 400
        await _ask(url, f"/simulate/run-tests/{run_test}/chat-execute/", "POST", {})  # another one looks
        _, told = await _ask(url, f"/sdk/api/v1/simulation/metrics/?call_execution_id={call}")
    assert (told["result"]["verdict"], told["result"]["side"]) == ("error", "environment")


def _hours(message: str) -> str:
    return "From nine."


def _louder(message: str) -> str:
    return f"{message}!"


@contextlib.asynccontextmanager
async def _wire(answer: Callable[[str, Any], Awaitable[Any]]) -> AsyncGenerator[str]:
    """A service of another make."""

    async def hear(raw: web.BaseRequest) -> web.Response:
        body = json.loads(await raw.text() or "{}")
        return web.json_response({"status": True, "result": await answer(raw.path_qs, body)})

    async with listening(hear, 0) as port:
        yield f"http://127.0.0.1:{port}"
