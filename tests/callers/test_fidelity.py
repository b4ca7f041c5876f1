"""Callers whom a model played and who left their part: the agent is not judged by them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.conversation.callers.fidelity import doubts, fidelity
from simulate.conversation.callers.labelled import check
from simulate.llm import Model, ModelConfig
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, Utterance
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run import run_trial
from simulate.scoring.judge import Judge

PERSONA = Persona(name="Lena Vogt", traits=["calm", "precise"], knows={"ticket": "TK-7305", "fare": "$88.00"})
SCENARIO = Scenario(
    name="x", goal="Have the ticket TK-7305 moved to the afternoon train.", persona=PERSONA, expect=[]
)


def test_labelled_turns() -> None:
    found = check()
    assert found.good + found.bad.total() >= 250
    assert len(found.thrown_out) <= 0.05 * found.good
    assert found.recall >= 0.9, "what only a reader of meanings can find is labelled, too"


def said(*lines: str, ended_by: Any = None) -> Conversation:
    """Agent and caller in turn, the agent first."""
    conversation = Conversation("0" * 32, ended_by=ended_by)
    for number, line in enumerate(lines):
        conversation.add(Utterance("caller" if number % 2 else "agent", line, (number + 1) // 2, 0.0, 0.0))
    return conversation


@pytest.mark.parametrize(
    ("lines", "aspect"),
    [
        (("Which ticket?", "TK-7305."), None),
        (("Which ticket?", "TK-7999."), "facts"),
        (("It costs $12 more. Shall I?", "But the fare was ninety dollars!"), "facts"),
        (("It costs $12 more. Shall I?", "The fare was $88.00, so that makes $100, yes."), None),
        (("It is moved to 14:10. Anything else?", "Perfect, 14:10 it is. Bye!"), None),
        (("Shall I move it?", "Your ticket has been changed, enjoy the trip."), "role"),
        (("Shall I move it?", "Thanks, bye!"), "goal"),
        (("Anything else?", "Thanks, bye!"), None),
        (("Hello?", "I am calm and precise."), "role"),
        (("Shall I move it?", "Sì grazie, vorrei questo."), "persona"),
        (("Shall I move it?", "I want a window blind for my kitchen."), "goal"),
    ],
)
def test_each_aspect(lines: tuple[str, str], aspect: str | None) -> None:
    conversation = said(*lines, ended_by="caller" if "bye" in lines[1].lower() else None)
    found = doubts(SCENARIO, PERSONA, conversation)
    assert {each.aspect for each in found} == ({aspect} if aspect else set()), found
    shares = fidelity(SCENARIO, PERSONA, conversation)
    assert shares is not None
    assert min(shares.values()) == (0.0 if aspect else 1.0)


def test_a_caller_that_never_says_what_it_is_asked_for_by_name() -> None:
    ask = "What is your ticket number?"
    lines = (
        ask,
        "I do not have it.",
        ask,
        "Can you look it up?",
        "I need the ticket, what is it?",
        "No idea.",
    )
    assert [each.aspect for each in doubts(SCENARIO, PERSONA, said(*lines))] == ["goal"]


def test_what_the_author_wrote_is_no_doubt() -> None:
    scripted = SCENARIO.model_copy(update={"opens_with": "My ticket is TK-0000."})
    assert doubts(scripted, PERSONA, said("Hi", "My ticket is TK-0000.")) == []


async def played(
    answers: list[Any],
    expect: list[Any],
    *,
    agent: Any,
    judge: str | None = None,
    reader: str | None = None,
    blind: bool = False,
) -> Outcome:
    """One conversation; ``judge`` is what a judge makes of the caller's lines, ``reader`` what the caller's
    own model makes of them where there is no judge."""
    left = list(answers)

    def reads(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        letters = {
            label: letter
            for letter, label in re.findall(r"^([A-Z]): ([\w ]+?) \(", messages[0]["content"], re.M)
        }
        label = str(judge or reader)
        quote = ["my ticket is TK-7305"]
        for known, planted in (("yes", "I am a language model"), ("no", "can you help me")):
            if judge is None and planted in messages[1]["content"]:  # it is put to the proof
                label, quote = label if blind else known, [planted]
        found = {"evidence": quote, "reason": "so it reads", "answer": letters[label]}
        return {"content": json.dumps(found)}

    def brain(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        if re.search("Which option is it|Answer again", str(messages[-1]["content"])):
            return reads(messages, tools) if reader else {"content": "Hello?"}
        answer = left.pop(0)
        return {"content": answer} if isinstance(answer, str) else answer

    scenario = Scenario.model_validate(
        {"name": "x", "goal": SCENARIO.goal, "persona": PERSONA.model_dump(), "expect": expect}
    )
    async with ModelServer({"caller": brain, "judge": reads}).running() as server:
        resources = Resources(Project(Path.cwd()), [], agent=agent)
        resources.judge = None if judge is None else Judge(ModelConfig("judge", server.url, "none"))
        resources.caller_model = Model(ModelConfig("caller", server.url, "none"))
        resources.prepare(scenario)
        async with resources:
            spec = TrialSpec(scenario).numbered(1)
            return await run_trial(spec, resources)


def ends(text: str) -> dict[str, Any]:
    function = {"name": "end_call", "arguments": '{"reason": "done", "goal_reached": true}'}
    return {"content": text, "tool_calls": [{"id": "1", "type": "function", "function": function}]}


async def test_an_agent_is_judged_by_callers_that_keep_their_part_alone() -> None:
    def agent(messages: list[dict[str, Any]]) -> str:
        return "It is moved." if len(messages) > 2 else "Shall I move it for $12?"

    good = [
        "Hi, I want to take the afternoon train, my ticket is TK-7305.",
        "Yes please.",
        ends("Thanks, bye!"),
    ]
    passed = await played(good, [{"said": {"contains": "moved"}}], agent=agent)
    assert passed.passed, passed.reason
    assert passed.measures["caller_fidelity"] == 1.0
    failed = await played(good, [{"said": {"contains": "14:10"}}], agent=agent, judge="no")
    assert (failed.status, failed.side) == ("failed", "agent")
    bad = [
        "Hi, I want to take the afternoon train.",
        "Have a good trip, and travel with us again.",
        ends("Bye"),
    ]
    for wanted in ("moved", "14:10"):
        outcome = await played(bad, [{"said": {"contains": wanted}}], agent=agent)
        assert (outcome.status, outcome.side) == ("error", "simulator"), outcome.reason
        assert outcome.measures["caller_fidelity"] < 1


@pytest.mark.parametrize(
    ("judge", "status", "side"),
    [("no", "failed", "agent"), ("yes", "error", "simulator"), ("cannot tell", "not_run", None)],
)
async def test_a_judge_reads_the_callers_lines_before_the_agent_is_blamed(
    judge: str, status: str, side: str | None
) -> None:
    lines = ["Hi, I want to take the afternoon train, my ticket is TK-7305.", ends("Thanks, bye!")]
    outcome = await played(
        lines, [{"said": {"contains": "14:10"}}], agent=lambda message: "It is moved.", judge=judge
    )
    assert (outcome.status, outcome.side) == (status, side), outcome.explain()
    if judge != "no":
        assert "so it reads" in str(outcome.reason) or "turns 1 to" in str(outcome.verdicts[0].hint)
    passed = await played(
        lines, [{"said": {"contains": "moved"}}], agent=lambda message: "It is moved.", judge=judge
    )
    assert passed.passed, "nobody is asked about a caller whose agent did all right"


@pytest.mark.parametrize(
    ("reader", "status", "side"),
    [("no", "failed", "agent"), ("yes", "error", "simulator"), (None, "not_run", None)],
)
async def test_without_a_judge_the_callers_own_model_vouches_for_it_or_nobody_is_blamed(
    reader: str | None, status: str, side: str | None
) -> None:
    lines = ["Hi, I want to take the afternoon train, my ticket is TK-7305.", ends("Thanks, bye!")]
    wanted = [{"said": {"contains": "14:10"}}]
    outcome = await played(lines, wanted, agent=lambda message: "It is moved.", reader=reader)
    assert (outcome.status, outcome.side) == (status, side), outcome.explain()
    if reader is None:
        assert "turns 1 to 2" in str(outcome.verdicts[0].hint)


@pytest.mark.parametrize("always", ["yes", "no"])
async def test_a_reader_that_does_not_look_blames_nobody(always: str) -> None:
    lines = ["Hi, I want to take the afternoon train, my ticket is TK-7305.", ends("Thanks, bye!")]
    wanted = [{"said": {"contains": "14:10"}}]
    outcome = await played(lines, wanted, agent=lambda message: "It is moved.", reader=always, blind=True)
    assert (outcome.status, outcome.side) == ("not_run", None), outcome.explain()


async def test_what_an_agent_owes_to_any_caller_needs_nobody_to_vouch_for_it() -> None:
    lines = ["Hi, I want to take the afternoon train, my ticket is TK-7305.", ends("Thanks, bye!")]
    outcome = await played(lines, [{"clean_text": True}], agent=lambda message: "Dear {{name}}, it is moved.")
    assert (outcome.status, outcome.side) == ("failed", "agent"), outcome.explain()
