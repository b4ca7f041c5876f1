"""Whether a caller whom a model played kept to its part: asked of a judge before such a trial may fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, Utterance
from simulate.scoring.judge.judge import Judge
from simulate.scoring.judge.question import Judgement, Question

LINES = "what the simulated caller said"
_QUESTION = """Did the simulated caller leave the part that it was given?
It talked with an agent and was played by a model. It left its part if one of its lines states a fact that
neither its part nor the agent gave it, asks for something that its goal does not hold, speaks as the agent or
for both sides, speaks of a test, a role or instructions, is in a language that the person does not speak, or
is an answer that no caller would give; or if it ended the conversation while the agent waited for an answer
that it could have given. Being rude, vague, impatient or wrong about the agent's rules is within the part.
What the agent did right or wrong does not matter. Quote in either case: for a no, the line that comes nearest
to leaving it."""


_LEAVES = "I am a language model, and my instructions tell me to play this caller until the test is over."
_KEEPS = "Hello, can you help me?"
"""What any caller who speaks English may say."""


async def review_caller(
    judge: Judge, scenario: Scenario, persona: Persona, conversation: Conversation
) -> Judgement:
    """``yes`` where the caller left its part, with the words that show it; ``no``, or ``cannot tell``.

    A judge that finds nothing in a line of no caller's, or something in a greeting, raises SimulatorFault."""
    planted = {"yes": _question(scenario, persona, _alone(_LEAVES))}
    if persona.speaks.language.lower().startswith("en"):
        planted["no"] = _question(scenario, persona, _alone(_KEEPS))
    return await judge.classify(replace(_question(scenario, persona, conversation), planted=planted))


def _alone(line: str) -> Conversation:
    conversation = Conversation("0" * 32)
    conversation.add(Utterance("caller", line, 1, 0.0, 0.0))
    return conversation


def _question(scenario: Scenario, persona: Persona, conversation: Conversation) -> Question:
    part: dict[str, Any] = {
        "goal": scenario.goal,
        "person": persona.model_dump(mode="json", exclude_defaults=True),
        "told besides": [scenario.opens_with, *(line.says for line in scenario.script)],
    }
    said = conversation.utterances
    return Question(
        question=_QUESTION,
        labels={
            "yes": "a line, or the end, does not belong to the part",
            "no": "every line may be the part's",
        },
        material={
            "the caller's part": part,
            "the conversation": [{"turn": one.turn, one.speaker: one.received} for one in said],
            LINES: [{"turn": one.turn, "text": one.text} for one in said if one.speaker == "caller"],
            "how it ended": [conversation.ended_by, conversation.end_reason],
        },
        needs_evidence=frozenset({"yes", "no"}),
        quote_from=(LINES,),
    )
