"""Whether a caller whom a model played was worth hearing: read once the conversation has ended.

The rules hold each line against what the caller can know and against who has which part; few of them depend
on wording. What they find ends a trial as the simulator's: no agent is judged by a caller who left the part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from simulate.conversation.callers.facts import squeezed
from simulate.conversation.callers.heard_lines import COMMON_WORDS, HeardLine, lines_of, words_of
from simulate.conversation.callers.invented_facts import unknown_id, unknown_price, unknown_term
from simulate.conversation.callers.left_part import (
    announces,
    both_sides,
    echoes,
    elsewhere,
    meta,
    nothing,
    other_language,
    serves,
)
from simulate.conversation.callers.machine_phrases import COURTESY
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation

Aspect = Literal["facts", "goal", "role", "persona"]
ASPECTS: tuple[Aspect, ...] = ("facts", "goal", "role", "persona")
"""Keeps to the facts, pursues the goal, stays in the role, speaks as the persona would."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One line that a caller of this persona and goal would not say."""

    aspect: Aspect
    fault: str
    turn: int
    evidence: str


def doubts(scenario: Scenario, persona: Persona, conversation: Conversation) -> list[Doubt]:
    """What is wrong with the improvised lines, in the order of the conversation."""
    found: list[Doubt] = []
    own: list[HeardLine] = list(lines_of(scenario, persona, conversation))
    for heard in own:
        for aspect, rule in _RULES:
            evidence = rule(heard, scenario, persona)
            if evidence is not None:
                found.append(Doubt(aspect, rule.__doc__ or "", heard.turn, evidence))
    found += _over_all(own, scenario, persona, conversation)
    return found


def fidelity(scenario: Scenario, persona: Persona, conversation: Conversation) -> dict[str, float] | None:
    """By aspect, the share of improvised lines without a doubt; None where no line was improvised."""
    lines = sum(1 for _ in lines_of(scenario, persona, conversation))
    if not lines:
        return None
    wrong = {aspect: set[int]() for aspect in ASPECTS}
    for doubt in doubts(scenario, persona, conversation):
        wrong[doubt.aspect].add(doubt.turn)
    return {aspect: round(max(0.0, 1 - len(turns) / lines), 3) for aspect, turns in wrong.items()}


Rule = Callable[[HeardLine, Scenario, Persona], "str | None"]
_RULES: tuple[tuple[Aspect, Rule], ...] = (
    ("facts", unknown_id),
    ("facts", unknown_price),
    ("facts", unknown_term),
    ("role", serves),
    ("role", announces),
    ("role", both_sides),
    ("role", meta),
    ("role", echoes),
    ("persona", other_language),
    ("persona", nothing),
    ("goal", elsewhere),
)  # fmt: skip


def _over_all(
    own: Sequence[HeardLine], scenario: Scenario, persona: Persona, conversation: Conversation
) -> list[Doubt]:
    found: list[Doubt] = []
    stuck = _goes_in_circles(own)
    if stuck is not None:
        found.append(Doubt("goal", "says the same in other words again and again", stuck.turn, stuck.line))
    withheld = _withheld(own, persona)
    if withheld is not None:
        found.append(Doubt("goal", "never says what it knows and is asked for", own[-1].turn, withheld))
    last = conversation.utterances[-1] if conversation.utterances else None
    heard = next((said.received for said in reversed(conversation.utterances) if said.speaker == "agent"), "")
    if conversation.ended_by == "caller" and own and last is not None:
        asked = re.search(r"[^.!?]*\?\W*$", heard if last.speaker == "agent" else own[-1].before)
        answered = last.speaker == "caller" and len(_content(last.text)) > 1
        if asked is not None and not COURTESY.search(asked[0]) and not answered:
            found.append(Doubt("goal", "hangs up on an open question", own[-1].turn, asked[0].strip()))
    return found


def _content(text: str) -> set[str]:
    polite = {"thank", "bye", "goodb", "great", "okay", "alrig", "good", "fine", "perfe"}
    return {word[:5] for word in words_of(text) if word not in COMMON_WORDS["en"]} - polite


def _goes_in_circles(own: Sequence[HeardLine]) -> HeardLine | None:
    """The fourth line in a row of the same words and numbers, and hardly one more."""
    said: set[str] = set()
    idle = 0
    for heard in own:
        content = _content(heard.line) | set(re.findall(r"\w*\d\w*", heard.line))
        same = content & said
        idle = idle + 1 if len(same) >= 2 and len(content - said) <= 1 else 0
        if idle >= 3 and not _repeats(heard.agent[-4:]):
            return heard
        said |= content
    return None


def _repeats(lines: Sequence[str]) -> bool:
    """Whether the agent goes in circles itself."""
    return len(lines) > 1 and len(set(lines)) <= len(lines) / 2


def _withheld(own: Sequence[HeardLine], persona: Persona) -> str | None:
    """What the caller knows by its name, was asked for by that name twice, and never said."""
    said = squeezed(" ".join(heard.line for heard in own)).replace(" ", "")
    for name, value in persona.knows.items():
        held = squeezed(str(value)).replace(" ", "")
        words = set(words_of(name.replace("_", " ")))
        if not words or not any(letter.isdigit() for letter in held) or held in said:
            continue
        asked = [
            heard.before for heard in own if words <= set(words_of(heard.before)) and "?" in heard.before
        ]
        if len(asked) >= 2 and len(own) >= 3:
            return asked[-1]
    return None
