"""From a production trace to a regression test: an HTTP agent in a process of its own, a failure, and its fix.

The agent is unmodified but for one word in its code (the failure) and its ``OPENAI_BASE_URL`` (the one line).
"""

# ruff: noqa: E501 (programs in texts; what is awaited inside is the point)
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
AGENT = """
import argparse, json, os
from aiohttp import web
from openai import AsyncOpenAI
from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument(tracer_provider=provider)

async def complete(request):
    body = await request.json()
    token = context.attach(propagate.extract(dict(request.headers)))
    try:
        with trace.get_tracer("agent").start_as_current_span("invoke_agent"):
            async with AsyncOpenAI(api_key="k") as client:
                messages = [{"role": "system", "content": "You help with orders."}, *body["messages"]]
                answer = await client.chat.completions.create(model="m", messages=messages)
            text = answer.choices[0].message.content
            FIX
    finally:
        context.detach(token)
    message = {"role": "assistant", "content": text}
    return web.json_response({"id": "1", "object": "chat.completion", "created": 1, "model": "agent",
                              "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
app = web.Application()
app.router.add_post("/v1/chat/completions", complete)
app.router.add_get("/v1/models", lambda _: web.json_response({"object": "list", "data": []}))
web.run_app(app, host="127.0.0.1", port=parser.parse_args().port, print=None)
"""
PROJECT = f"""
[tool.simulate]
[tool.simulate.agents.shop]
address = "http://127.0.0.1:{{port}}/v1"
command = "{sys.executable} agent.py --port {{port}}"
stream = false
"""


@pytest.fixture
def project(tmp_path: Path, server: Any) -> Any:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "scenarios").mkdir()
    scenario = {
        "name": "production",
        "agent": "shop",
        "script": [{"says": "Where is order 4711?"}],
        "expect": [{"said": {"contains": "4711"}}],
    }
    (tmp_path / "scenarios" / "production.yaml").write_text(yaml.safe_dump(scenario))

    def agent(fix: str) -> None:
        (tmp_path / "agent.py").write_text(AGENT.replace("FIX", fix))

    def simulate(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
        command = [sys.executable, "-m", "simulate.cli", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
        )

    return agent, simulate, tmp_path


def test_a_failure_of_production_is_replayed_fixed_and_kept(project: Any, server: Any) -> None:
    agent, simulate, folder = project
    agent("text = text.replace('4711', '1147')")  # the failure in production
    ran = simulate("run", "scenarios", "--out", "prod", OPENAI_BASE_URL=server.base + "/v1")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    trace = next((folder / "prod").rglob("trace.otlp.jsonl"))
    heard = len(server.hits)

    made = simulate("new", "shouting", "--from-trace", str(trace))
    assert made.returncode == 0, made.stdout + made.stderr
    scenario = yaml.safe_load((folder / "scenarios" / "shouting.yaml").read_text())
    assert scenario["script"][0]["says"] == "Where is order 4711?"

    # the same agent, only its OPENAI_BASE_URL is another: the model answers as recorded, and it fails the same way
    replayed = simulate("replay", str(trace), "--agent", "shop")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert (
        "replay: identical" in replayed.stdout and "agent: answer to Where is order 1147?" in replayed.stdout
    )
    # after the fix it takes the same path and says it rightly
    agent("pass")
    fixed = simulate("replay", "cassettes/shouting", "--agent", "shop", "--save", "fixed.jsonl")
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    assert "agent: answer to Where is order 4711?" in fixed.stdout
    assert (folder / "fixed.jsonl").stat().st_size > 500
    assert len(server.hits) == heard
