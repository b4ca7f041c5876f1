"""Marked tools of agents in their own processes answer as pinned, in the right conversation, or say so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from simulate.interfaces.cli.main import main
from simulate.model.outcome import Outcome
from simulate.run_folder import RunFolder

PYTHON = """
import asyncio, sys
from aiohttp import web
import simulate
from simulate import serving

@simulate.tool
async def lookup_order(order_id: str) -> dict:
    return {"status": "real"}

@simulate.tool(write=True)
def refund(order_id: str, amount: float) -> str:
    open("really", "a").write("x")
    return "really refunded"

@simulate.tool
def audit(note: str) -> str:
    if note == "bad":
        raise ValueError("no audit")
    return "audited " + note

async def answer(text):
    order = await lookup_order("4417")
    try:
        done = refund("4417", amount=42.5)
    except simulate.ToolFailed as error:
        done = f"failed: {error}"
    try:
        return f"{order['status']} {done} {audit(text)}"
    except ValueError as error:
        return str(error)

async def chat(request):
    text = (await request.json())["text"]
    if "WRAPPED":
        with serving(request.headers):
            return web.json_response({"text": await answer(text)})
    return web.json_response({"text": await answer(text)})

app = web.Application()
app.router.add_post("/chat", chat)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
NODE = """
const fs = require("node:fs");
const http = require("node:http");
const tool = globalThis.simulate?.tool ?? ((name, run) => run);
const lookup = tool("lookup_order", async ({ order_id }) => ({ status: "real" }));
const refund = tool("refund", async () => { fs.appendFileSync("really", "x"); return "really refunded"; });
const audit = tool("audit", ({ note }) => {
  if (note === "bad") throw new Error("no audit");
  return `audited ${note}`;
});
http.createServer((request, response) => {
  let body = "";
  request.on("data", (piece) => { body += piece; });
  request.on("end", async () => {
    const { text } = JSON.parse(body);
    const order = await lookup({ order_id: "4417" });
    const paid = refund({ order_id: "4417", amount: 42.5 });
    const done = await paid.catch((error) => `failed: ${error.message}`);
    const audited = audit({ note: text }).then((it) => `${order.status} ${done} ${it}`);
    const told = await audited.catch((error) => error.message);
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ text: told }));
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
"""
PROJECT = """
[tool.simulate.agents.web]
address = "http://127.0.0.1:{port}"
command = "COMMAND {port}"
[tool.simulate.agents.web.request]
path = "/chat"
body = { text = "{{message}}" }
answer = "$.text"
"""
SCENARIO = """
name: Pinned
agent: web
script: [{says: hi}, {says: bad}]
trials: 4
tools:
  lookup_order: {sequence: [{status: lost}, {status: found}]}
  refund: {cases: [{when: {amount: 42.5}, error: no money}]}
expect:
  - {called: lookup_order, with: {order_id: "4417"}, times: 2}
  - {called: audit, with: {note: hi}, returned: audited hi}
  - said: {contains: "lost failed: no money audited hi"}
  - said: {contains: no audit}
"""


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, *options: str
) -> tuple[int, list[Outcome]]:
    monkeypatch.chdir(folder)
    (folder / "pyproject.toml").write_text(PROJECT.replace("COMMAND", command))
    if not (folder / "s.yaml").exists():
        (folder / "s.yaml").write_text(SCENARIO)
    code = main(["run", "s.yaml", "--out", "run", *options])
    return code, list(RunFolder(folder / "run").outcomes())


def explained(outcomes: list[Outcome]) -> str:
    return "\n".join(outcome.explain() for outcome in outcomes)


def test_a_python_process_asks_for_its_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent.py").write_text(PYTHON)
    code, outcomes = run(tmp_path, monkeypatch, "python agent.py")
    assert code == 0, explained(outcomes)
    assert not (tmp_path / "really").exists(), "a pinned tool never runs"
    errors = {use.error for use in outcomes[0].tool_uses if use.name == "audit"}
    assert any("no audit" in str(error) for error in errors), "what ran for real tells how it ended"


def test_calls_that_name_no_conversation_are_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent.py").write_text(PYTHON.replace('"WRAPPED"', "False"))
    code, outcomes = run(tmp_path, monkeypatch, "python agent.py", "--jobs", "1")
    assert code == 0, "one at a time, there is only one that it can be: " + explained(outcomes)
    shutil.rmtree(tmp_path / "run")
    slow = SCENARIO.replace("trials: 4", "trials: 8").replace(
        "  refund:", "  audit: {delay: 300ms}\n  refund:"
    )
    (tmp_path / "s.yaml").write_text(slow)
    code, outcomes = run(tmp_path, monkeypatch, "python agent.py")
    assert code == 3 and not (tmp_path / "really").exists()
    told = [outcome for outcome in outcomes if outcome.side == "harness"]
    assert told and all("serving(request.headers)" in outcome.explain() for outcome in told)


def test_a_world_answers_a_process_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent.py").write_text(PYTHON)
    (tmp_path / "world.py").write_text(
        "class Shop:\n    paid = 0\n    def state(self): return {'paid': self.paid}\n"
        "    def refund(self, order_id, amount):\n        self.paid += amount\n        return 'paid'\n"
    )
    (tmp_path / "s.yaml").write_text(
        "name: World\nagent: web\nworld: python:world.py:Shop\nscript: [{says: hi}]\n"
        "expect: [{state: {paid: 42.5}}, {said: {contains: real paid}}]\n"
    )
    code, outcomes = run(tmp_path, monkeypatch, "python agent.py")
    assert code == 0, explained(outcomes)


def test_a_program_of_its_own_for_each_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent.py").write_text(
        "import simulate\n@simulate.tool\ndef lookup(x: int):\n    return 'real'\n"
        "while True:\n    try:\n        input()\n    except EOFError:\n        break\n"
        "    print(lookup(1), flush=True)\n"
    )
    (tmp_path / "s.yaml").write_text(
        "name: Program\nagent: 'exec:python agent.py'\nscript: [{says: hi}]\ntrials: 3\n"
        "tools: {lookup: pinned}\nexpect: [{said: {contains: pinned}}]\n"
    )
    code, outcomes = run(tmp_path, monkeypatch, "unused")
    assert code == 0, explained(outcomes)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node: apt-get install nodejs")
def test_a_node_process_asks_for_its_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent.cjs").write_text(NODE)
    code, outcomes = run(tmp_path, monkeypatch, "node agent.cjs")
    assert code == 0, explained(outcomes)
    assert not (tmp_path / "really").exists()


def test_a_fastapi_app_says_it_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.py").write_text(
        "import sys\nimport uvicorn\nfrom fastapi import FastAPI, Request\nimport simulate\n"
        "app = FastAPI()\napp.add_middleware(simulate.Serving)\n"
        "@simulate.tool\ndef lookup(order: str) -> str:\n    return 'real'\n"
        "@app.post('/chat')\ndef chat(body: dict) -> dict:\n    return {'text': lookup(body['text'])}\n"
        "uvicorn.run(app, port=int(sys.argv[1]), log_level='warning')\n"
    )
    (tmp_path / "s.yaml").write_text(
        "name: App\nagent: web\nscript: [{says: '{{x}}'}]\ncases: [{x: a}, {x: b}, {x: c}]\ntrials: 2\n"
        "tools: {lookup: {delay: 200ms, returns: 'pinned {{x}}'}}\n"
        "expect: [{said: {contains: 'pinned {{x}}'}}, {called: lookup, with: {order: '{{x}}'}, times: 1}]\n"
    )
    code, outcomes = run(tmp_path, monkeypatch, "python app.py")
    assert code == 0, explained(outcomes)
