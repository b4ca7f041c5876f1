"""Tools that nobody marked are answered from a production trace where a framework calls them."""

from __future__ import annotations

from typing import Any

import pytest

from simulate.replay import Cassette, replaying
from simulate.replay.from_trace import cassette_of
from simulate.replay.matching.keys import call_key
from simulate.replay.matching.rules import Rules
from simulate.trace import Span, Trace


def _trace(tool: str) -> Cassette:
    said = '[{"role": "user", "parts": [{"type": "text", "content": "Where is 4417?"}]}]'
    answer = '[{"role": "assistant", "parts": [{"type": "text", "content": "It is on its way."}]}]'
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.input.messages": said,
        "gen_ai.output.messages": answer,
    }
    call = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool,
        "gen_ai.tool.call.arguments": '{"order": "4417"}',
        "gen_ai.tool.call.result": "shipped on Monday",
    }
    one = Span("a" * 32, "1" * 16, "chat m", start_ns=10, end_ns=20, attributes={**chat})
    other = Span("a" * 32, "2" * 16, f"execute_tool {tool}", start_ns=30, end_ns=40, attributes={**call})
    return cassette_of(Trace("a" * 32, [one, other]))


def _langchain(ran: list[str]) -> Any:
    core = pytest.importorskip("langchain_core.tools", reason="pip install langchain-core")

    def look_up(order: str) -> str:
        """Find an order."""
        ran.append(order)
        return "not found"

    tool = core.tool(look_up)

    async def use() -> list[str]:
        call = {"name": "look_up", "args": {"order": "4417"}, "id": "1", "type": "tool_call"}
        return [(await tool.ainvoke(call)).content]

    return use, tool


def _pydantic_ai(ran: list[str]) -> Any:
    ai = pytest.importorskip("pydantic_ai", reason="pip install pydantic-ai-slim")
    model = pytest.importorskip("pydantic_ai.models.test")

    def look_up(order: str) -> str:
        ran.append(order)
        return "not found"

    agent = ai.Agent(model.TestModel(), tools=[look_up])

    async def use() -> list[str]:
        messages = (await agent.run("Where is 4417?")).all_messages()
        parts = [part for message in messages for part in message.parts]
        return [part.content for part in parts if part.part_kind == "tool-return"]

    return use, agent


def _openai_agents(ran: list[str]) -> Any:
    agents = pytest.importorskip("agents", reason="pip install openai-agents")
    module = pytest.importorskip("agents.tool")
    if not hasattr(module, "invoke_function_tool"):
        pytest.skip("pip install 'openai-agents>=0.24'")

    @agents.function_tool
    def look_up(order: str) -> str:
        ran.append(order)
        return "not found"

    async def use() -> list[str]:
        context = agents.tool_context.ToolContext(
            context=None, tool_name="look_up", tool_call_id="1", tool_arguments='{"order": "4417"}'
        )
        given = {"function_tool": look_up, "context": context, "arguments": '{"order": "4417"}'}
        return [await module.invoke_function_tool(**given)]

    return use, look_up


@pytest.mark.parametrize("framework", [_langchain, _pydantic_ai, _openai_agents])
async def test_an_unmarked_tool_is_answered_from_the_trace(framework: Any) -> None:
    ran: list[str] = []
    use, _ = framework(ran)
    cassette = _trace("look_up")
    asks = "4417" if framework is not _pydantic_ai else "a"  # its test model makes its arguments up
    (tool,) = cassette.tools
    tool.arguments = {"order": asks}
    tool.key = call_key("look_up", tool.arguments, Rules())
    async with replaying(cassette) as player:
        heard = await use()
    assert heard == ["shipped on Monday"] and ran == []
    report = player.report()
    assert report.unplayed == ["span " + "1" * 16 + ": chat"], report.explain()
    assert not any("run live" in note for note in report.notes)
    assert await use() == ["not found"] and len(ran) == 1  # and afterwards all is as before


async def test_what_the_trace_does_not_hold_still_runs() -> None:
    ran: list[str] = []
    use, _ = _langchain(ran)
    async with replaying(_trace("another_tool")):
        assert await use() == ["not found"]
    assert ran == ["4417"]
