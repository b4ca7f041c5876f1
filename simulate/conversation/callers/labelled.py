"""How well callers who left their part are told from good ones, on turns that people labelled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from simulate.conversation.callers.fidelity import Doubt, doubts
from simulate.conversation.callers.guards import inspect
from simulate.conversation.callers.improvise import cleaned, situation
from simulate.errors import InputError
from simulate.model.base import Strict
from simulate.model.loading.problems import describe
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, Utterance

TURNS = Path(__file__).with_name("labelled_turns.json")


class LabelledTurn(Strict):
    """What a caller said after so many lines of the agent's, and what is wrong with it."""

    persona: str
    heard: int = Field(ge=0)
    line: str
    kind: str
    """``good``, or what is wrong."""


class LabelledTurns(Strict):
    """A file of labelled turns."""

    personas: dict[str, dict[str, Any]]
    """By name: a persona with its ``goal``."""
    agent: dict[str, list[str]]
    """What the agent says to each persona, line by line."""
    turns: list[LabelledTurn]

    @model_validator(mode="after")
    def _knows_its_personas(self) -> LabelledTurns:
        for number, turn in enumerate(self.turns, 1):
            if turn.persona not in self.personas or turn.persona not in self.agent:
                raise ValueError(f"turns[{number}]: {turn.persona!r} is missing under personas: or agent:")
        for name, given in self.personas.items():
            if not isinstance(given.get("goal"), str):
                raise ValueError(f"personas.{name}: goal is missing")
            Persona.model_validate({key: value for key, value in given.items() if key != "goal"})
        return self


@dataclass(slots=True)
class GuardAgreement:
    """What the rules made of labelled turns; ``kind`` is what is wrong with a bad one."""

    good: int = 0
    thrown_out: list[str] = field(default_factory=list[str])
    """Good turns that the rules doubt, each with why."""
    bad: Counter[str] = field(default_factory=Counter[str])
    found: Counter[str] = field(default_factory=Counter[str])
    missed: list[str] = field(default_factory=list[str])
    undecided: list[str] = field(default_factory=list[str])
    """Turns of which a model that read them could not tell; no agent would be blamed for them."""

    def count(self, turn: LabelledTurn, doubt: str | None) -> None:
        """Take in a turn, and what is found wrong with it."""
        if turn.kind == "good":
            self.good += 1
            self.thrown_out += [] if doubt is None else [f"{turn.line!r}: {doubt}"]
            return
        self.bad[turn.kind] += 1
        self.found[turn.kind] += doubt is not None
        if doubt is None:
            self.missed.append(f"{turn.kind}: {turn.line!r}")

    @property
    def precision(self) -> float:
        """Of the turns that are doubted, the share of bad ones."""
        found = self.found.total()
        return found / (found + len(self.thrown_out)) if found else 0.0

    @property
    def recall(self) -> float:
        """Of the bad turns, the share that is doubted."""
        return self.found.total() / self.bad.total() if self.bad else 0.0


@dataclass(slots=True)
class TurnAtItsPlace:
    """One labelled turn at its place in a conversation, and what the rules find wrong with it."""

    turn: LabelledTurn
    scenario: Scenario
    persona: Persona
    conversation: Conversation
    doubts: list[Doubt]


def check(path: Path = TURNS) -> GuardAgreement:
    """Hold the rules against the labelled turns of a file of the shape of ``labelled_turns.json``.

    Raises InputError where the file cannot be read or has another shape."""
    result = GuardAgreement()
    for each in labelled(path):
        result.count(each.turn, next((f"{one.fault}: {one.evidence}" for one in each.doubts), None))
    return result


def labelled(path: Path = TURNS) -> list[TurnAtItsPlace]:
    """The labelled turns of a file, each as it would be heard. Raises InputError as `check` does."""
    data = _read(path)
    return [_heard(data, turn) for turn in data.turns]


def _read(path: Path) -> LabelledTurns:
    try:
        return LabelledTurns.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except ValidationError as error:
        problems = describe(error, LabelledTurns)[:5]
        told = "; ".join(f"{place}: {message}" if place else message for place, message in problems)
        raise InputError(f"holds no labelled turns: {told}", where=str(path)) from None


def _heard(data: LabelledTurns, turn: LabelledTurn) -> TurnAtItsPlace:
    """With what the rules find: those that look at a line before it is said, and those that read it later."""
    given = dict(data.personas[turn.persona])
    goal = given.pop("goal")
    persona = Persona.model_validate(given)
    conversation = Conversation("0" * 32)
    for number, text in enumerate(data.agent[turn.persona][: turn.heard + 1]):
        conversation.add(Utterance("agent", text, number, 0.0, 0.0))
    scenario = Scenario(name="labelled", goal=goal, persona=persona)
    line = cleaned(turn.line, persona)
    alarm = inspect(line, situation(scenario, persona, conversation, ()))
    conversation.add(Utterance("caller", line, turn.heard + 1, 0.0, 0.0))
    at_once = [] if alarm is None else [Doubt("role", alarm.fault, turn.heard + 1, alarm.evidence)]
    return TurnAtItsPlace(
        turn, scenario, persona, conversation, at_once + doubts(scenario, persona, conversation)
    )
