"""Asking a model: retries, budget, errors in our words, and spans that never reach the agent's trace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry import trace as otel
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fixtures.agents.model_server import ModelServer
from simulate import determinism
from simulate.errors import EnvironmentFault, Fault, InputError, SimulatorFault
from simulate.llm import Budget, Model, ModelConfig, Unsupported, from_environment
from simulate.llm.wire import client, close_clients
from simulate.trace.capture import simulator_tracing
from simulate.trace.span import Link

KEY = "sk-verysecret-0123456789"
HELLO: Any = [{"role": "user", "content": "hello there"}]


class Waits:
    """A clock that does not wait, and remembers for how long it was asked to."""

    def __init__(self) -> None:
        self.real = determinism.SystemClock()
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.real.monotonic()

    def time_ns(self) -> int:
        return self.real.time_ns()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer().running() as running:
        yield running


def model(server: ModelServer, name: str = "echo", **more: Any) -> Model:
    budget = more.pop("budget", None)
    return Model(ModelConfig(name, base_url=server.url, api_key=KEY, timeout=5, **more), budget=budget)


async def test_an_answer_with_its_usage(server: ModelServer):
    reply = await model(server).complete(HELLO)
    assert reply.text == "You said: hello there"
    assert reply.finish_reason == "stop"
    assert reply.input_tokens and reply.output_tokens == 6
    assert reply.cost is None, "nobody knows what this endpoint takes"
    assert reply.first_token_seconds is not None


async def test_headers_and_options_of_ones_own(server: ModelServer):
    asked = model(server, headers={"x-tenant": "t1"}, options={"top_k": 3})
    await asked.complete(HELLO)
    assert server.headers[0]["x-tenant"] == "t1" and server.requests[0]["top_k"] == 3
    assert "t1" not in repr(asked.config)


async def test_tool_calls_are_put_together_from_their_pieces(server: ModelServer):
    tools: Any = [{"type": "function", "function": {"name": "lookup_order", "parameters": {}}}]
    messages: Any = [{"role": "user", "content": "where is order 4417?"}]
    reply = await model(server, "order_support").complete(messages, tools=tools)
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [
        ("lookup_order", '{"order_id": "4417"}')
    ]


async def test_retry_after_is_honoured(server: ModelServer):
    server.retry_after = "7"
    with determinism.pinned(determinism.RunContext(clock=Waits())) as pinned:
        reply = await model(server, "echo+429:2").complete(HELLO)
    assert reply.text
    assert isinstance(pinned.clock, Waits)
    assert pinned.clock.slept == [7.0, 7.0]
    assert len(server.requests) == 3


async def test_a_server_that_wants_us_to_wait_for_an_hour_is_out_of_order(server: ModelServer):
    server.retry_after = "3600"
    with pytest.raises(EnvironmentFault, match="429"):
        await model(server, "echo+429").complete(HELLO)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "side", "tries", "says"),
    [
        ("401", "environment", 1, "refused our key"),
        ("quota", "environment", 1, "quota"),
        ("429", "environment", 3, "429"),
        ("500", "environment", 3, "answered 500"),
        ("html", "environment", 3, "answered 502"),
        ("dies", "environment", 3, "broke off"),
        ("malformed", "environment", 3, "cannot be read"),
        ("error_event", "environment", 3, "had an error"),
        ("context", "simulator", 1, "too long"),
    ],
)
async def test_errors_have_a_side_a_place_and_no_secret(
    server: ModelServer, fault: str, side: str, tries: int, says: str
):
    with determinism.pinned(determinism.RunContext(clock=Waits())), pytest.raises(Fault) as raised:
        await model(server, f"echo+{fault}", retries=2).complete(HELLO)
    assert raised.value.side == side
    assert len(server.requests) == tries
    text = str(raised.value)
    assert says in text
    assert "127.0.0.1" in text and f"echo+{fault}" in text
    assert KEY not in text and "sk-" not in text
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


async def test_nobody_there_and_nobody_answering(server: ModelServer):
    with determinism.pinned(determinism.RunContext(clock=Waits())):
        gone = ModelConfig("m", base_url="http://user:pass@127.0.0.1:9/v1", retries=1)
        with pytest.raises(EnvironmentFault, match="cannot be reached") as raised:
            await Model(gone).complete(HELLO)
        assert "pass" not in str(raised.value)
        slow = ModelConfig("echo+hang", base_url=server.url, timeout=0.2, retries=0)
        with pytest.raises(EnvironmentFault, match=r"no answer within 0\.2 s"):
            await Model(slow).complete(HELLO)


async def test_what_an_endpoint_does_not_know_is_left_out_or_told(server: ModelServer):
    server.logprobs = server.tools = False
    asked = model(server)
    reply = await asked.complete(HELLO, top_logprobs=5)
    assert reply.text and reply.tokens is None and asked.lacks("logprobs")
    await asked.complete(HELLO, top_logprobs=5)
    assert len(server.requests) == 3, "the second time it knows"
    with pytest.raises(Unsupported) as raised:
        await asked.complete(HELLO, tools=[{"type": "function", "function": {"name": "a"}}])
    assert raised.value.parameter == "tools"
    assert raised.value.side == "simulator"


async def test_max_tokens_under_its_newer_name(server: ModelServer):
    def strict(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        if "max_tokens" not in server.requests[-1]:
            return {"content": "fine"}
        text = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'."
        error = {
            "message": text,
            "type": "invalid_request_error",
            "param": "max_tokens",
            "code": "unsupported",
        }
        return {"status": 400, "error": {"error": error}}

    server.brains = {"strict": strict}
    assert (await model(server, "strict", max_tokens=9).complete(HELLO)).text == "fine"
    assert server.requests[-1]["max_completion_tokens"] == 9


async def test_the_budget_ends_it(server: ModelServer):
    budget = Budget(calls=2)
    asked = model(server, budget=budget)
    await asked.complete(HELLO)
    await asked.complete(HELLO)
    with pytest.raises(SimulatorFault, match="2 of 2 calls"):
        await asked.complete(HELLO)
    assert budget.spent_tokens > 0 and budget.unpriced == 2
    with pytest.raises(SimulatorFault, match="tokens"):
        await model(server, budget=Budget(tokens=10, spent_tokens=11)).complete(HELLO)


async def test_one_client_for_a_thousand_conversations(server: ModelServer):
    config = ModelConfig("echo", base_url=server.url, api_key=KEY)
    clients = {id(await client(config)) for _ in range(1000)}
    assert len(clients) == 1
    assert await client(ModelConfig("echo", base_url=server.url, api_key="other")) is not await client(config)


async def test_clients_can_be_closed_before_the_loop_ends(server: ModelServer):
    first = await client(model(server).config)
    await close_clients()
    assert first.is_closed()
    assert (await model(server).complete(HELLO)).text, "the next call opens a new one"


def test_every_loop_has_its_own_client_and_closes_it():
    async def one() -> Any:
        async with ModelServer().running() as server:
            await model(server).complete(HELLO)
            return await client(model(server).config)

    first, second = asyncio.run(one()), asyncio.run(one())
    assert first is not second
    assert first.is_closed() and second.is_closed()


@pytest.fixture
def agent_spans() -> AsyncIterator[tuple[TracerProvider, InMemorySpanExporter]]:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    yield provider, exporter
    OpenAIInstrumentor().uninstrument()


async def test_our_calls_never_reach_the_agents_trace(server: ModelServer, agent_spans: Any):
    provider, exporter = agent_spans
    collected = simulator_tracing.OwnTrace("ab" * 16, Link("cd" * 16, "ef" * 8), {"simulate.run.id": "r1"})
    with (
        simulator_tracing.collecting(collected),
        provider.get_tracer("agent").start_as_current_span("turn") as turn,
    ):
        await model(server).complete(HELLO)
        assert otel.get_current_span() is turn
        theirs = await (await client(model(server).config)).chat.completions.create(
            model="echo", messages=HELLO
        )
    assert theirs.choices
    # the agent's own call by the same SDK is seen, ours is not
    assert sorted(span.name for span in exporter.get_finished_spans()) == ["chat echo", "turn"]
    assert server.headers[0].get("traceparent") is None
    (span,) = collected.spans
    assert span.trace_id == "ab" * 16
    assert span.links[0].trace_id == "cd" * 16
    assert span.attributes["simulate.run.id"] == "r1"
    assert span.attributes["simulate.role"] == "caller"
    assert span.attributes["gen_ai.usage.output_tokens"] == 6
    assert "hello there" in span.attributes["gen_ai.input.messages"]
    assert span.status == "ok" and span.end_ns and span.end_ns >= span.start_ns


async def test_a_call_that_fails_leaves_its_span_too(server: ModelServer):
    collected = simulator_tracing.OwnTrace("ab" * 16)
    with simulator_tracing.collecting(collected), pytest.raises(EnvironmentFault):
        await model(server, "echo+401").complete(HELLO)
    (span,) = collected.spans
    assert span.status == "error" and span.status_message == "EnvironmentFault"


def test_the_environment_names_a_model():
    assert from_environment({}) is None
    config = from_environment({"OPENAI_API_KEY": KEY, "OPENAI_MODEL": "m"})
    assert config is not None and config.model == "m" and config.base_url is None
    assert KEY not in repr(config)


@pytest.mark.parametrize("url", ["http://[::1", "htp:/x", "http:///v1", "http://h:99999/v1"])
def test_a_malformed_base_url_is_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(InputError, match="base URL"):
        from_environment({"OPENAI_BASE_URL": url})
