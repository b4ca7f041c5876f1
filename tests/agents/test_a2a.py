"""A2A agents behind the official SDK's server: messages, streamed artifacts, tasks that ask, and faults."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("a2a")

from a2a.helpers import new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types.a2a_pb2 import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, Role
from starlette.applications import Starlette

from simulate.child_process import free_port
from simulate.conversation.agents.a2a_agent import A2AAdapter
from simulate.conversation.agents.adapter import Delta, EndpointOptions
from simulate.errors import AgentFault, EnvironmentFault, NotReached
from tests.agents.served import CONVERSATION, TRACEPARENT, events, said, serving, serving_asgi


class Agent(AgentExecutor):
    """Answers by a message, a task that streams, or one that asks first; as the caller words it."""

    def __init__(self) -> None:
        self.contexts: list[str] = []
        self.tasks: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.parts: list[Any] = []

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        from a2a.helpers import new_task_from_user_message

        text = context.get_user_input()
        self.parts.append(list(context.message.parts) if context.message else [])
        self.contexts.append(context.context_id or "")
        self.headers.append(context.call_context.state["headers"] if context.call_context else {})
        if text.endswith("hello"):
            await event_queue.enqueue_event(
                new_text_message("Hi.", context_id=context.context_id, role=Role.ROLE_AGENT)
            )
            return
        if context.current_task is None:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        self.tasks.append(context.task_id or "")
        updater = TaskUpdater(event_queue, context.task_id or "", context.context_id or "")
        await updater.start_work(updater.new_agent_message([Part(text="looking it up")]))
        if text == "fail":
            await updater.failed(updater.new_agent_message([Part(text="no database")]))
        elif text == "refund":
            await updater.requires_input(updater.new_agent_message([Part(text="Which order?")]))
        else:
            await updater.add_artifact([Part(text="Your order ")], artifact_id="a", append=False)
            await updater.add_artifact([Part(text="is lost.")], artifact_id="a", append=True, last_chunk=True)
            await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None: ...


@contextlib.asynccontextmanager
async def serving_agent(*, streaming: bool = True, version: str = "1.0") -> AsyncIterator[tuple[str, Agent]]:
    port = free_port()
    interface = AgentInterface(
        url=f"http://127.0.0.1:{port}/", protocol_binding="JSONRPC", protocol_version=version
    )
    card = AgentCard(
        name="orders",
        description="Knows orders.",
        version="1",
        supported_interfaces=[interface],
        capabilities=AgentCapabilities(streaming=streaming),
        default_input_modes=["text"],
        default_output_modes=["text"],
        skills=[AgentSkill(id="orders", name="orders", description="Knows orders.", tags=["orders"])],
    )
    agent = Agent()
    handler = DefaultRequestHandler(agent_executor=agent, task_store=InMemoryTaskStore(), agent_card=card)
    routes = [*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/", enable_v0_3_compat=True)]
    async with serving_asgi(Starlette(routes=routes), port) as url:
        yield f"a2a:{url}", agent


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_message_then_a_task_in_one_context(streaming: bool) -> None:
    async with serving_agent(streaming=streaming) as (address, agent):
        found = await events(A2AAdapter(address, EndpointOptions()), "hello", "my order?")
    texts = [event.text for event in found if not isinstance(event, Delta)]
    assert texts == ["Hi.", "Your order is lost."]
    assert [event.text for event in found if isinstance(event, Delta)][1:] == (
        ["Your order ", "is lost."] if streaming else []
    )
    assert set(agent.contexts) == {CONVERSATION}
    assert {headers["traceparent"] for headers in agent.headers} == {TRACEPARENT}


async def test_a_task_that_asks_goes_on_with_the_next_line() -> None:
    async with serving_agent() as (address, agent):
        found = await said(A2AAdapter(address, EndpointOptions()), "refund", "4417", "and now?")
    assert found == ["Which order?", "Your order is lost.", "Your order is lost."]
    assert agent.tasks[0] == agent.tasks[1] != agent.tasks[2]


async def test_an_agent_of_the_protocol_before_1_0() -> None:
    async with serving_agent(version="0.3") as (address, _):
        assert await said(A2AAdapter(address, EndpointOptions()), "hello", "order") == [
            "Hi.",
            "Your order is lost.",
        ]


async def test_a_task_that_fails_is_the_agents() -> None:
    async with serving_agent() as (address, _):
        with pytest.raises(AgentFault, match="its task failed: no database"):
            await said(A2AAdapter(address, EndpointOptions()), "fail")


async def test_no_card_and_nobody() -> None:
    async with serving() as url:
        with pytest.raises(EnvironmentFault, match="404") as caught:
            await said(A2AAdapter(f"a2a:{url}", EndpointOptions()), "hello")
        assert "agent-card.json" in str(caught.value.hint)
    with pytest.raises(NotReached, match="nothing listens"):
        await said(A2AAdapter(f"a2a:http://127.0.0.1:{free_port()}", EndpointOptions()), "hello")


async def test_what_the_client_records_of_itself_is_no_trace_of_the_agent() -> None:
    """Without this, an agent that leaves no span would seem to be instrumented, and to call no tool."""
    from simulate.run import run

    async with serving_agent() as (address, _):
        given: Any = {"name": "x", "opens_with": "hello", "expect": [{"not_called": "refund"}]}
        from simulate import Scenario

        outcome = await run(Scenario.model_validate(given), address)
    assert outcome.status == "not_run", outcome.explain()


async def test_files_and_what_was_said_before_come_as_parts(tmp_path: Path) -> None:
    from simulate import Scenario
    from simulate.run import run

    (tmp_path / "broken.png").write_bytes(b"png")
    history: list[Any] = [
        {"caller": "It is broken."},
        {"called": "look", "with": {"id": 1}, "returned": "sent"},
        {"agent": "May I see it?"},
    ]
    line = {"says": "hello", "attachments": [str(tmp_path / "broken.png")]}
    given = {"name": "x", "history": history, "script": [line, {"says": "hello"}], "expect": []}
    async with serving_agent() as (address, agent):
        await run(Scenario.model_validate(given), address)
    first, second = agent.parts
    assert [part.text for part in first[1:-2]] == [
        "[caller] said: It is broken.",
        '[agent] called tool `look` with parameters: {"id": 1}',
        "[agent] `look` tool returned result: sent",
        "[agent] said: May I see it?",
    ]
    assert (first[-2].text, first[-1].raw, first[-1].filename) == ("hello", b"png", "broken.png")
    assert first[-1].media_type == "image/png"
    assert [part.text for part in second] == ["hello"], "it keeps the context itself"
