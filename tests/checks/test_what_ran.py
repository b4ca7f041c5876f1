"""``called``, ``not_called`` and ``span`` rest on what is known: runs of small agents that leave spans."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

import simulate
from simulate import Scenario
from simulate.model.outcome import Outcome
from simulate.model.verdict import Verdict
from simulate.trace.reading import TraceReading

TRACER = TracerProvider().get_tracer("shop")


def leaves(name: str, operation: str, **attributes: Any) -> None:
    """A span of the agent's; dots in names are written as two underscores."""
    told = {key.replace("__", "."): value for key, value in attributes.items() if value is not None}
    with TRACER.start_as_current_span(name, attributes={"gen_ai.operation.name": operation, **told}):
        pass


def chats(*asks: tuple[str, dict[str, Any]], says: str = "", **attributes: Any) -> None:
    parts: list[dict[str, Any]] = [
        {"type": "tool_call", "id": f"c{number}", "name": name, "arguments": arguments}
        for number, (name, arguments) in enumerate(asks)
    ]
    answer = {"role": "assistant", "parts": parts or [{"type": "text", "content": says}]}
    leaves("chat m", "chat", **({"gen_ai__output__messages": json.dumps([answer])} | attributes))


def runs(tool: str, arguments: dict[str, Any] | None = None, call_id: str | None = None) -> None:
    leaves(
        f"execute_tool {tool}",
        "execute_tool",
        gen_ai__tool__name=tool,
        gen_ai__tool__call__id=call_id,
        gen_ai__tool__call__arguments=None if arguments is None else json.dumps(arguments),
    )


async def played(
    agent: Callable[[str], Any], *expect: dict[str, Any], says: tuple[str, ...] = ("Hi",), **more: Any
) -> Outcome:
    script = [{"says": text} for text in says]
    scenario = Scenario.model_validate({"name": "x", "script": script, "expect": list(expect), **more})
    return await simulate.run(scenario, agent)


async def verdicts(agent: Callable[[str], Any], *expect: dict[str, Any], **more: Any) -> list[Verdict]:
    return (await played(agent, *expect, **more)).verdicts


async def test_unknown_arguments_neither_pass_nor_fail() -> None:
    def agent(message: str) -> str:
        chats(says="Done.")
        runs("issue_refund")
        return "Done."

    found = await verdicts(
        agent,
        {"called": "issue_refund", "with": {"amount": 42.5}},
        {"not_called": "issue_refund", "with": {"order_id": "9999"}},
        {"called": "issue_refund"},
        {"not_called": "issue_refund"},
    )
    assert [each.status for each in found] == ["not_run", "not_run", "passed", "failed"]
    assert all("gen_ai.tool.call.arguments" in each.fact and each.span_id for each in found[:2])


async def test_a_deed_that_is_seen_fails_though_others_may_be_hidden() -> None:
    def agent(message: str) -> str:
        runs("delete_account", {})
        chats(gen_ai__output__messages=None, gen_ai__response__finish_reasons=["TOOL_CALLS"])
        return "Done."

    deed, other = await verdicts(agent, {"not_called": "delete_account"}, {"not_called": "issue_refund"})
    assert (deed.status, other.status) == ("failed", "not_run")


async def test_our_own_spans_are_no_evidence_of_the_agents() -> None:
    found = await verdicts(
        lambda message: "Hello.",
        {"span": {"kind": "LLM"}},
        {"span": {"kind": "TOOL", "error": True}, "times": 0},
        {"span": {"kind": "AGENT"}},
        {"called": "issue_refund"},
        {"not_called": "issue_refund"},
    )
    assert {each.status for each in found} == {"not_run"}


async def test_a_turn_that_left_no_span_is_lost_and_not_innocent() -> None:
    def agent(message: str) -> str:
        if message == "Hi":
            chats(says="Hello.")
            runs("greet", {})
        return "Done."

    found = await verdicts(
        agent, {"not_called": "delete_account"}, {"called": "bye"}, {"called": "greet"}, says=("Hi", "Bye")
    )
    assert [each.status for each in found] == ["not_run", "not_run", "passed"]
    assert "turn 2" in found[0].fact


async def test_other_calls_of_the_tool_are_told_beside_the_one_that_fits() -> None:
    @simulate.tool(write=True)
    def issue_refund(amount: float) -> dict[str, bool]:
        return {"ok": True}

    def agent(message: str) -> str:
        issue_refund(amount=42.5)
        issue_refund(amount=12.5)
        return "Done."

    tools = {"issue_refund": {"ok": True}}
    (found,) = await verdicts(
        agent, {"called": "issue_refund", "with": {"amount": 42.5}, "times": 1}, tools=tools
    )
    assert found.status == "passed" and "12.5" in found.fact


async def test_the_tool_itself_wins_over_what_the_model_asked_for() -> None:
    @simulate.tool
    def issue_refund(order_id: str) -> dict[str, bool]:
        return {"ok": True}

    def agent(message: str) -> str:
        chats(("issue_refund", {"order_id": "4417"}))
        issue_refund(order_id="4418")
        return "Done."

    outcome = await played(
        agent,
        {"called": "issue_refund", "with": {"order_id": "4417"}},
        {"called": "issue_refund", "with": {"order_id": "4418"}, "times": 1},
        tools={"issue_refund": {"ok": True}},
    )
    assert [each.status for each in outcome.verdicts] == ["failed", "passed"]
    (use,) = outcome.tool_uses
    assert (use.arguments, use.asked_arguments) == ({"order_id": "4418"}, {"order_id": "4417"})
    assert any("4417" in note and "4418" in note for note in outcome.notes)


async def test_asked_for_and_never_run_is_told_and_is_no_deed() -> None:
    said = [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    asked = {"type": "tool_call", "id": "c0", "name": "delete_account", "arguments": {}}
    refused = [*said, {"role": "assistant", "parts": [asked]}]
    later = [*refused, {"role": "assistant", "parts": [{"type": "text", "content": "No."}]}]

    def agent(message: str) -> str:
        chats(("delete_account", {}), gen_ai__input__messages=json.dumps(said))
        if message == "Hi":
            chats(says="No.", gen_ai__input__messages=json.dumps(later))
        return "No."

    outcome = await played(agent, {"not_called": "delete_account"}, {"called": "delete_account"})
    assert [each.status for each in outcome.verdicts] == ["passed", "failed"]
    assert all("never ran" in each.fact for each in outcome.verdicts)
    assert any("never ran" in note for note in outcome.notes) and outcome.tool_uses[0].ran is False
    unclear = await played(
        agent, {"not_called": "delete_account"}, {"called": "delete_account"}, says=("Bye",)
    )
    assert [each.status for each in unclear.verdicts] == ["not_run", "not_run"]


async def test_after_means_after_its_end() -> None:
    async def frozen() -> None:
        with TRACER.start_as_current_span("x", attributes={"gen_ai.operation.name": "execute_tool",
                                                           "gen_ai.tool.name": "freeze_card"}):  # fmt: skip
            await asyncio.sleep(0.05)

    async def ordered(delay: float) -> None:
        await asyncio.sleep(delay)
        runs("order_card", {})

    def agent(delay: float) -> Callable[[str], Any]:
        async def answer(message: str) -> str:
            await asyncio.gather(frozen(), ordered(delay))
            return "Done."

        return answer

    expect = (
        {"called": "order_card", "after": "freeze_card"},
        {"called": "freeze_card", "before": "order_card"},
    )
    assert [each.status for each in await verdicts(agent(0.01), *expect)] == ["failed", "failed"]
    assert [each.status for each in await verdicts(agent(0.2), *expect)] == ["passed", "passed"]


async def test_calls_that_were_asked_for_together_have_no_known_order() -> None:
    asks = [("freeze_card", {}), ("order_card", {})]
    told = [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": f"c{n}", "name": name, "arguments": {}}
                                        for n, (name, _) in enumerate(asks)]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": f"c{n}", "response": "ok"}
                                   for n in range(2)]},
    ]  # fmt: skip

    def agent(message: str) -> str:
        chats(*asks)
        chats(says="Done.", gen_ai__input__messages=json.dumps(told))
        return "Done."

    order, both = await verdicts(
        agent, {"called": "order_card", "after": "freeze_card"}, {"called": "order_card"}
    )
    assert (order.status, both.status) == ("not_run", "passed")


@pytest.mark.parametrize("name", ["refund", "mcp__shop__refund", "shop.refund"])
async def test_every_word_means_the_same_tool(name: str) -> None:
    """The check, the evaluator, the caller's ``when:`` and the pins."""

    def agent(message: str) -> str:
        if message == "thanks":
            chats(says="done")
        else:
            chats((name, {}))
            runs(name, {}, "c0")
        return "done"

    outcome = await played(
        agent,
        {"called": "refund"},
        {"scores": {"ToolSelectionAccuracy": 1.0}, "reference": {"tools": ["refund"]}},
        tools={"refund": "ok"},
        pins="optional",
        script=[{"says": "refund order 1"}, {"says": "thanks", "when": {"called": "refund"}}],
    )
    assert outcome.passed, outcome.explain()
    assert [said.text for said in outcome.conversation.by("caller")] == ["refund order 1", "thanks"]
    assert any("ran its own refund" in note for note in outcome.notes)


async def test_the_finished_trace_of_a_run_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    views = TraceReading.views.func  # type: ignore[attr-defined]

    def counted(self: TraceReading) -> Any:
        read.append(len(self.trace))
        return views(self)

    monkeypatch.setattr(TraceReading.views, "func", counted)

    def agent(message: str) -> str:
        chats(says="Done.")
        runs("greet", {})
        return "Done."

    outcome = await played(
        agent,
        {"called": "greet"},
        {"not_called": "delete_account"},
        {"span": {"kind": "TOOL"}},
        {"tokens_below": 10},
        {"cost_below": 1},
        {"scores": {"ToolSelectionAccuracy": 0.5, "LoopDetection": 0.5}},
        says=("Hi", "Bye"),
    )
    assert read == [len(outcome.trace)]
