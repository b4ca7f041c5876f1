"""OpenAI-compatible endpoints over real sockets, with the errors that real ones give."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web

from fixtures.agents.model_server import ModelServer
from simulate.child_process import free_port
from simulate.conversation.agents.adapter import AgentMessage, Call, Connected, Delta
from simulate.conversation.agents.http import HttpAdapter
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.errors import AgentFault, EnvironmentFault, Fault, HarnessFault
from simulate.model.scenario import Scenario
from simulate.run import run

TRACEPARENT = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


def agent_brain(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """An agent endpoint that hands its tool calls to its caller."""
    last = messages[-1]
    if last["role"] == "tool":
        return {"content": f"The answer is {last['content']}"}
    if "order" in last["content"]:
        call = {"name": "lookup_order", "arguments": '{"order_id": "4417"}'}
        return {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
    return {"content": f"You said {last['content']}"}


@contextlib.asynccontextmanager
async def endpoint() -> AsyncIterator[ModelServer]:
    async with ModelServer({"agent": agent_brain}).running() as server:
        yield server


async def talk(
    adapter: HttpAdapter, *messages: str, tools: Mapping[str, Any] | None = None, reply: float = 10.0
) -> list[Any]:
    scenario = Scenario(name="x", opens_with="x", tools=dict(tools or {}))
    headers = {"traceparent": TRACEPARENT, "baggage": "a=b"}
    call = Call("ab" * 16, PinnedTools(scenario.tools), headers, reply)
    events: list[Any] = []
    try:
        async with adapter.connect(call) as session:
            for message in messages:
                heard = [event async for event in session.send(message)]
                events += [event for event in heard if not isinstance(event, Connected)]
    finally:
        await adapter.aclose()
    return events


@pytest.mark.parametrize("stream", [True, False])
async def test_a_conversation(stream: bool) -> None:
    async with endpoint() as server:
        events = await talk(HttpAdapter(server.url, stream=stream), "hello there", "again")
        said = [event for event in events if isinstance(event, AgentMessage)]
        assert [each.text for each in said] == ["You said hello there", "You said again"]
        assert said[0].attributes["gen_ai.usage.output_tokens"] > 0
        assert any(isinstance(event, Delta) for event in events) is stream
        assert [message["role"] for message in server.requests[1]["messages"]] == [
            "user",
            "assistant",
            "user",
        ]
        sent = {name.lower(): value for name, value in server.headers[0].items()}
        assert (sent["traceparent"], sent["baggage"]) == (TRACEPARENT, "a=b")


@pytest.mark.parametrize("stream", [True, False])
async def test_tool_calls_are_answered_as_pinned(stream: bool) -> None:
    async with endpoint() as server:
        events = await talk(
            HttpAdapter(server.url, stream=stream), "my order", tools={"lookup_order": {"status": "lost"}}
        )
    assert [event.text for event in events if isinstance(event, AgentMessage)] == [
        'The answer is {"status": "lost"}'
    ]


async def test_a_tool_that_is_not_pinned_is_the_scenarios_gap() -> None:
    async with endpoint() as server:
        with pytest.raises(HarnessFault, match=r"lookup_order.*does not pin"):
            await talk(HttpAdapter(server.url), "my order")


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        ("401", EnvironmentFault, "401"),
        ("500", EnvironmentFault, "500"),  # in the words of a model's provider
        ("503", EnvironmentFault, "503"),
        ("context", AgentFault, "maximum context length"),
        ("dies", AgentFault, "broke off"),
        ("malformed", AgentFault, "broke off|not what the OpenAI protocol"),
        ("error_event", EnvironmentFault, "broke off"),
        ("empty", AgentFault, "empty"),
        ("html", EnvironmentFault, "502"),
    ],
)
async def test_each_failure_has_its_side(fault: str, kind: type[Fault], told: str) -> None:
    async with endpoint() as server:
        with pytest.raises(kind, match=told):
            await talk(HttpAdapter(server.url, model=f"agent+{fault}"), "hello")
        assert len(server.requests) == 1, "a request that may have reached the agent is not made twice"


async def test_429_is_tried_again_after_the_time_it_names() -> None:
    async with endpoint() as server:
        server.fail("429", times=2)
        events = await talk(HttpAdapter(server.url), "hello")
        assert isinstance(events[-1], AgentMessage)
        assert len(server.requests) == 3


async def test_429_without_end_is_the_environments() -> None:
    async with endpoint() as server:
        with pytest.raises(EnvironmentFault, match="429"):
            await talk(HttpAdapter(server.url, model="agent+429"), "hello")


async def test_time_that_went_by_while_being_turned_away_is_not_the_agents() -> None:
    """The reply limit is over before the time that a 429 names: nobody knows how fast the agent is."""
    async with endpoint() as server:
        server.retry_after = "20"
        with pytest.raises(EnvironmentFault, match="429"):
            await talk(HttpAdapter(server.url, model="agent+429"), "hello", reply=0.4)
        server.retry_after = "0"
        server.fail("429")
        server.fail("context")
        with pytest.raises(AgentFault, match="400"):
            await talk(HttpAdapter(server.url), "hello")
        server.fail("429")
        server.fail("hang")
        with pytest.raises(EnvironmentFault, match="429"):
            await talk(HttpAdapter(server.url), "hello", reply=0.4)
        server.fail("hang")
        with pytest.raises(AgentFault):
            await talk(HttpAdapter(server.url), "hello", reply=0.4)


async def test_a_request_that_cannot_be_made_is_not_the_agents_fault() -> None:
    # a set has no JSON: nothing was sent
    async with endpoint() as server:
        with pytest.raises(HarnessFault, match="was not asked"):
            await talk(HttpAdapter(server.url, body={"wanted": {1}}), "hello")
        assert not server.requests


async def test_nobody_listens() -> None:
    with pytest.raises(EnvironmentFault, match="nothing listens"):
        await talk(HttpAdapter(f"http://127.0.0.1:{free_port()}/v1"), "hello")


async def test_an_endpoint_that_hangs_is_cut_off() -> None:
    async with endpoint() as server:
        adapter = HttpAdapter(server.url, model="agent+hang")
        call = Call("ab" * 16, None, {}, 0.2)
        async with adapter.connect(call) as session:
            with pytest.raises(AgentFault, match=r"no whole answer|in time"):
                _ = [event async for event in session.send("hello")]
        await adapter.aclose()


async def test_a_connection_closed_without_an_answer_is_the_agents() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    server = await asyncio.start_server(slam, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(AgentFault, match="closed the connection"):
            await talk(HttpAdapter(f"http://127.0.0.1:{port}/v1"), "hello")
    finally:
        server.close()
        await server.wait_closed()


async def test_the_key_never_shows_in_an_error() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no"}}, status=401)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        with pytest.raises(EnvironmentFault) as caught:
            await talk(HttpAdapter(f"http://127.0.0.1:{port}/v1", api_key="sk-verysecret123"), "hello")
        assert "verysecret" not in str(caught.value)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("refuses", [True, False])
async def test_an_endpoint_that_cannot_stream_is_asked_for_whole_answers(refuses: bool) -> None:
    asked: list[bool] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append(bool(body.get("stream")))
        if refuses and asked[-1]:
            return web.json_response({"error": {"message": "stream is not supported"}}, status=400)
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}
        return web.json_response({"id": "1", "model": "m", "choices": [choice]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        adapter = HttpAdapter(f"http://127.0.0.1:{port}/v1", stream=None)
        assert [event.text for event in await talk(adapter, "one", "two")] == ["Hello.", "Hello."]
    finally:
        await runner.cleanup()
    assert asked == ([True, False, False] if refuses else [True, True])


async def test_nobody_waits_for_the_spans_of_an_agent_that_was_not_there() -> None:
    talk = Scenario.model_validate(
        {"name": "hello", "agent": f"http://127.0.0.1:{free_port()}/v1", "script": [{"says": "Hello?"}]}
    )
    outcome = await run(talk)
    assert (outcome.status, outcome.side) == ("error", "environment")
    assert "nothing listens" in str(outcome.reason)
    assert not [note for note in outcome.notes if "reached us" in note], "it had no chance to send any"
