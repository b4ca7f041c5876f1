"""The vendors' own SDKs, unmodified, in processes of their own, led to us by environment variables alone."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Callable

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.trace.capture import Capture
from simulate.trace.span import Trace

NewId = Callable[[], str]


def needs(module: str) -> pytest.MarkDecorator:
    try:
        missing = importlib.util.find_spec(module) is None
    except ModuleNotFoundError:  # of the package above it
        missing = True
    return pytest.mark.skipif(missing, reason=f"pip install 'simulate-agents[sdks]' brings {module}")


@pytest.fixture
async def model() -> AsyncIterator[str]:
    async with ModelServer().running() as server:
        yield server.url


async def run_agent(
    script: str, environment: dict[str, str], *, expect: str = "done\n", timeout: float = 60
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(script),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout)
    assert process.returncode == 0, err.decode()
    assert out.decode().endswith(expect), (out, err)


CALL = """
def call(context):
    import openai
    from opentelemetry import context as otel_context
    token = otel_context.attach(context)
    client = openai.OpenAI(base_url=os.environ["MODEL_URL"], api_key="local", max_retries=0)
    client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "Hello there"}])
    otel_context.detach(token)
"""
CONTEXT = """
import os
from opentelemetry import propagate
context = propagate.extract({"traceparent": os.environ["TRACEPARENT"], "baggage": os.environ["BAGGAGE"]})
"""


def attribute_values(trace: Trace) -> str:
    return str([span.attributes for span in trace])


@needs("traceai_openai")
async def test_traceai(receiving: Capture, new_id: NewId, model: str) -> None:
    with receiving.open(new_id()) as captured:
        script = f"""
{CONTEXT}{CALL}
from fi_instrumentation import register
from fi_instrumentation.fi_types import ProjectType
from traceai_openai import OpenAIInstrumentor
provider = register(project_name="support", project_type=ProjectType.OBSERVE, verbose=False)
OpenAIInstrumentor().instrument(tracer_provider=provider)
call(context)
provider.shutdown()
print("done")
"""
        keys = {"FI_API_KEY": "any", "FI_SECRET_KEY": "any", "MODEL_URL": model}
        await run_agent(script, {**captured.environment, **keys})
        trace = await captured.flush(outside=True, expected=True)
    [span] = trace.spans
    assert span.parent_id == captured.root_span_id
    assert span.scope.startswith("traceai") and "Hello there" in attribute_values(trace)


@needs("traceai_openai")
async def test_traceai_in_this_process_with_its_provider_that_is_not_global(model: str) -> None:
    script = f"""
import asyncio, os
{CALL}
from opentelemetry import context as otel_context, trace
from simulate.trace.capture import Capture
from fi_instrumentation import register
from fi_instrumentation.fi_types import ProjectType
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from traceai_openai import OpenAIInstrumentor

def set_up():
    provider = register(project_name="support", project_type=ProjectType.OBSERVE, verbose=False)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))  # throws the default one out

async def converse(capture, conversation_id):
    with capture.open(conversation_id) as captured:
        await asyncio.to_thread(call, otel_context.get_current())
        return await captured.flush()

async def main():
    if os.environ["WHEN"] == "before":
        set_up()
    async with Capture() as capture:
        if os.environ["WHEN"] == "after":
            set_up()
        traces = await asyncio.gather(*(converse(capture, str(n) * 32) for n in range(1, 6)))
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    assert [[span.trace_id for span in each] for each in traces] == [[str(n) * 32] for n in range(1, 6)]

asyncio.run(main())
print("done")
"""
    keys = {
        "FI_API_KEY": "any",
        "FI_SECRET_KEY": "any",
        "MODEL_URL": model,
        "FI_BASE_URL": "http://127.0.0.1:9",
    }
    for when in ("before", "after"):
        await run_agent(script, {**keys, "WHEN": when})


@needs("langfuse")
async def test_langfuse(receiving: Capture, new_id: NewId) -> None:
    with receiving.open(new_id()) as captured:
        script = f"""
{CONTEXT}
from langfuse import get_client
from opentelemetry import context as otel_context
token = otel_context.attach(context)
client = get_client()
with client.start_as_current_observation(as_type="agent", name="support", input="Hello there"):
    with client.start_as_current_observation(as_type="generation", name="chat", model="gpt-5-mini"):
        pass
otel_context.detach(token)
client.flush()
print("done")
"""
        keys = {"LANGFUSE_PUBLIC_KEY": "pk-any", "LANGFUSE_SECRET_KEY": "sk-any"}
        await run_agent(script, {**captured.environment, **keys})
        trace = await captured.flush(outside=True, expected=True)
    assert sorted(span.name for span in trace) == ["chat", "support"]
    assert {span.trace_id for span in trace} == {captured.conversation_id}
    assert "Hello there" in attribute_values(trace)


@needs("langfuse")
async def test_langfuse_with_traces_of_its_own_is_found_by_its_session(
    receiving: Capture, new_id: NewId
) -> None:
    with receiving.open(new_id()) as captured:
        script = """
import os
from langfuse import get_client, propagate_attributes
client = get_client()
with client.start_as_current_observation(as_type="agent", name="support"):
    with propagate_attributes(session_id=os.environ["SESSION"]):
        with client.start_as_current_observation(as_type="generation", name="chat"):
            pass
client.flush()
print("done")
"""
        keys = {"LANGFUSE_PUBLIC_KEY": "pk-any", "LANGFUSE_SECRET_KEY": "sk-any"}
        await run_agent(script, {**receiving.environment, **keys, "SESSION": captured.conversation_id})
        trace = await captured.flush(outside=True, expected=True)
    assert sorted(span.name for span in trace) == ["chat", "support"]
    assert "found by a session attribute" in trace.notes[0]


@needs("phoenix.otel")
@pytest.mark.parametrize("batch", [False, True])
async def test_phoenix(receiving: Capture, new_id: NewId, batch: bool) -> None:
    with receiving.open(new_id()) as captured:
        script = f"""
{CONTEXT}
from phoenix.otel import register
from opentelemetry import context as otel_context
provider = register(project_name="support", batch={batch}, verbose=False)
token = otel_context.attach(context)
with provider.get_tracer("agent").start_as_current_span("support", openinference_span_kind="agent"):
    provider.get_tracer("agent").start_span("chat").end()
otel_context.detach(token)
provider.shutdown()
print("done")
"""
        await run_agent(script, captured.environment)
        trace = await captured.flush(outside=True, expected=True)
    assert [span.name for span in trace] == ["chat", "support"]
    assert trace.spans[1].attributes["openinference.span.kind"] == "AGENT"
