"""Text conversations: who may speak when, where they are cut off, and whose fault it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

import simulate
from simulate import Scenario, run
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.conversation.callers.caller import ActionRecord, HangUp, Say
from simulate.conversation.cloud_engine import CloudEngine
from simulate.conversation.engine import TrialSession
from simulate.model.outcome import Outcome
from simulate.model.scenario import Limits
from simulate.model.transcript import Conversation
from simulate.model.trial import TrialSpec

TRACER = TracerProvider().get_tracer("tests")


def scenario(**kwargs: Any) -> Scenario:
    return Scenario(**{"name": "test", "script": [{"says": "hello"}, {"says": "bye"}], **kwargs})


async def polite(message: str) -> str:
    return f"You said {message}."


async def outcome_of(agent: Any, **kwargs: Any) -> Outcome:
    return await run(scenario(**kwargs), agent=agent)


def said(outcome: Outcome) -> list[tuple[str, str, int]]:
    return [(each.speaker, each.text, each.turn) for each in outcome.conversation.utterances]


async def test_a_script_is_said_line_by_line() -> None:
    outcome = await outcome_of(polite)
    assert said(outcome) == [
        ("caller", "hello", 1),
        ("agent", "You said hello.", 1),
        ("caller", "bye", 2),
        ("agent", "You said bye.", 2),
    ]
    assert outcome.status == "passed"
    assert outcome.conversation.ended_by == "caller"
    times = [each.start for each in outcome.conversation.utterances]
    assert times == sorted(times)


async def test_the_agent_may_speak_first_and_several_times() -> None:
    class Chatty:
        def start(self, conversation_id: str) -> list[str]:
            return ["Hello!", "How can I help?"]

        def reply(self, message: str) -> list[str]:
            return ["One moment.", "Done."]

    outcome = await outcome_of(Chatty, speaks_first="agent", script=[{"says": "please"}])
    assert [text for _, text, _ in said(outcome)] == [
        "Hello!",
        "How can I help?",
        "please",
        "One moment.",
        "Done.",
    ]
    assert [turn for *_, turn in said(outcome)] == [0, 0, 1, 1, 1]


async def test_the_agent_hangs_up_early_and_unsaid_lines_are_told() -> None:
    async def curt(message: str) -> dict[str, Any]:
        return {"content": "Goodbye.", "hang_up": True}

    outcome = await outcome_of(curt, expect=[{"ended_by": "agent"}])
    assert outcome.status == "passed"
    assert outcome.conversation.turns == 1
    assert any("“bye”" in note for note in outcome.notes)


async def test_streams_measure_the_first_token() -> None:
    async def slow(message: str) -> AsyncIterator[str]:
        yield "first"
        await asyncio.sleep(0.05)
        yield " second"

    outcome = await outcome_of(slow)
    answer = outcome.conversation.by("agent")[0]
    assert answer.text == "first second"
    assert answer.first is not None
    assert answer.end - answer.first >= 0.04


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"turns": 1}, "1 turn "),
        ({"time": "100ms"}, "0.1 s"),
        ({"tokens": 5}, "10 tokens"),
        ({"cost": 0.0000001}, "$"),
    ],
)
async def test_limits_cut_off_and_are_a_finding(limits: dict[str, Any], told: str) -> None:
    async def agent(message: str) -> str:
        with TRACER.start_as_current_span("chat gpt-4.1-mini") as span:
            span.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4.1-mini",
                    "gen_ai.usage.input_tokens": 6,
                    "gen_ai.usage.output_tokens": 4,
                }
            )
        if "time" in limits:
            await asyncio.sleep(0.06)
        return "yes"

    outcome = await outcome_of(agent, limits=limits)
    assert (outcome.status, outcome.side) == ("failed", "agent")
    assert outcome.conversation.ended_by == "limit"
    assert told in (outcome.conversation.end_reason or "")
    allowed = await outcome_of(agent, limits=limits, expect=[{"ended_by": "limit"}])
    assert allowed.status == "passed"


@pytest.mark.parametrize("answer", ["", "   ", None, 7])
async def test_empty_and_wrong_answers_are_the_agents(answer: Any) -> None:
    async def agent(message: str) -> Any:
        return answer

    outcome = await outcome_of(agent, expect=[{"said": {"contains": "x"}}])
    assert (outcome.status, outcome.side) == ("failed", "agent")
    assert outcome.verdicts[1].status == "not_run", "what could not be judged is neither a failure nor a pass"
    assert said(outcome) == [("caller", "hello", 1)], "what was said until then is kept"


async def test_pinned_tools_answer_and_turn_is_known() -> None:
    @simulate.tool
    async def weather(city: str) -> str:
        raise AssertionError("the real one must not run")

    async def agent(message: str) -> str:
        return f"It is {await weather('Bern')}"

    outcome = await outcome_of(
        agent,
        tools={"weather": "sunny"},
        expect=[{"called": "weather", "with": {"city": "Bern"}, "times": 2}],
    )
    assert outcome.status == "passed", outcome.explain()
    assert [use.turn for use in outcome.tool_uses] == [1, 2]
    kinds = [span.attributes.get("gen_ai.span.kind") for span in outcome.trace]
    assert kinds.count("TOOL") == 2, "an agent without instrumentation still shows its tools"


async def test_a_pin_that_the_agent_never_offers_is_told() -> None:
    outcome = await outcome_of(polite, tools={"no_such_tool": 1})
    assert any("pins no_such_tool, which the agent never offered" in note for note in outcome.notes)


async def test_an_agents_own_tool_that_bypasses_the_pin_is_told() -> None:
    async def agent(message: str) -> str:
        with TRACER.start_as_current_span("execute_tool lookup") as span:
            span.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup"})
        return "done"

    outcome = await outcome_of(agent, tools={"lookup": 1}, expect=[{"called": "lookup"}])
    assert (outcome.status, outcome.side) == ("error", "harness")
    assert "ran its own lookup" in str(outcome.reason)
    outcome = await outcome_of(agent, tools={"lookup": 1}, expect=[{"called": "lookup"}], pins="optional")
    assert outcome.passed
    assert any("ran its own lookup" in note for note in outcome.notes)


async def test_many_conversations_never_mix() -> None:
    """200 at once, each with its own spans, tools and answers."""

    @simulate.tool
    async def who(name: str) -> str:
        await asyncio.sleep(0)
        return name

    async def agent(message: str) -> str:
        with TRACER.start_as_current_span("chat") as span:
            span.set_attribute("said", message)
            await asyncio.sleep(0)
            return await who(message)

    async def one(number: int) -> Outcome:
        return await run(scenario(script=[{"says": f"n{number}"}]), agent=agent)

    outcomes = await asyncio.gather(*(one(number) for number in range(200)))
    for number, outcome in enumerate(outcomes):
        assert [span.attributes["said"] for span in outcome.trace if span.name == "chat"] == [f"n{number}"]
        assert [use.arguments for use in outcome.tool_uses] == [{"name": f"n{number}"}]
    assert len({outcome.trace_id for outcome in outcomes}) == 200


async def test_cancelling_ends_at_once() -> None:
    entered = asyncio.Event()

    async def agent(message: str) -> str:
        entered.set()
        await asyncio.Event().wait()
        return ""

    task = asyncio.create_task(outcome_of(agent))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_caller_who_thinks_long_does_not_use_up_the_agents_time() -> None:
    class Thinks:
        async def act(self, conversation: Conversation) -> ActionRecord:
            await asyncio.sleep(0.25)
            return Say("hello") if conversation.turns < 2 else HangUp("done")

        def finish(self, conversation: Conversation) -> list[str]:
            return []

    spoken = Scenario(name="test", goal="Say hello twice.", limits=Limits(time=0.3))
    engine = CloudEngine(polite)
    session = TrialSession(TrialSpec(spoken), engine, Thinks(), Conversation("c", "text"), PinnedTools({}))
    await engine.converse(session)
    assert (session.conversation.ended_by, session.conversation.turns) == ("caller", 2)


async def test_an_answer_that_never_comes_is_the_reason() -> None:
    async def silent(message: str) -> str:
        await asyncio.sleep(60)
        return "too late"

    outcome = await outcome_of(silent, limits={"time": "100ms"}, expect=[{"said": {"contains": "Friday"}}])
    assert (outcome.status, outcome.side) == ("failed", "agent")
    assert outcome.reason == "the limit of 0.1 s was reached before the agent had answered"


async def test_an_engine_of_ones_own_is_an_agent_too() -> None:
    engine = CloudEngine(polite)
    outcome = await run(Scenario.model_validate({"name": "own", "script": [{"says": "hello"}]}), engine)
    assert outcome.passed, outcome.explain()
    assert outcome.agent == engine.address
