"""``gate.yaml``: what a release has to hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from simulate.errors import FileProblems, InputError, Problem
from simulate.model.base import Strict
from simulate.model.evaluator_names import known_evaluators
from simulate.model.json_path import ignored_path
from simulate.model.loading.problems import problems_of
from simulate.model.loading.yaml_reader import read_documents
from simulate.model.units import AsWritten, Duration, Number, Whole

Share = Annotated[Number, Field(ge=0, le=1)]


def _percent(value: Any) -> Any:
    """``20%`` as 0.2."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
    if found:
        return float(found[1]) / 100
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 < value <= 100:
        raise ValueError(f"{value:g} is above 1, which is all: write {value:g}% if that is meant")
    return value


def _growth(value: Any) -> Any:
    """What grows may more than double."""
    return _percent(value) if isinstance(value, str) else value


Growth = Annotated[Number, BeforeValidator(_growth), Field(gt=0)]
Fraction = Annotated[Share, BeforeValidator(_percent)]


def _short(key: str) -> BeforeValidator:
    """A bare value stands for the rule's most common key."""

    def whole(value: Any) -> Any:
        bare = isinstance(value, int | float | str) and not isinstance(value, bool)
        return {key: value} if bare else value

    return BeforeValidator(whole)


class Floor(Strict):
    """A value between 0 and 1 that may be neither too low nor fall too far. ``at_least: 1`` allows no
    failure at all."""

    at_least: Fraction | None = None
    may_drop: Fraction | None = None
    """Against the baseline: the smallest fall that matters."""

    @model_validator(mode="after")
    def _says_something(self) -> Floor:
        if self.at_least is None and self.may_drop is None:
            raise ValueError("holds nothing: give at_least or may_drop")
        return self


class PassHat(Strict):
    """That ``k`` fresh trials of a case all pass."""

    k: Whole = Field(ge=2, le=1000)
    at_least: Fraction


class Ceiling(Strict):
    """An amount that may neither be too high nor grow too far."""

    may_grow: Growth | None = None
    """Against the baseline, as a share: ``20%``."""


class Latency(Ceiling):
    """How long replies take: the slowest replies (p95) of each conversation."""

    at_most: Duration | None = None
    percentile: Whole = Field(default=95, ge=1, le=99)
    """The share of conversations, in percent, in which they come within ``at_most``."""

    @model_validator(mode="after")
    def _says_something(self) -> Latency:
        if self.at_most is None and self.may_grow is None:
            raise ValueError("holds nothing: give at_most or may_grow")
        return self


class Cost(Ceiling):
    """Dollars of the agent's model calls, a conversation."""

    at_most: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Cost:
        if self.at_most is None and self.may_grow is None:
            raise ValueError("holds nothing: give at_most or may_grow")
        return self


class MeasureRule(Strict):
    """What one of a conversation's ``measures`` may be, such as ``dead_air_max_seconds``."""

    at_most: Number | None = None
    at_least: Number | None = None
    percentile: Whole = Field(default=95, ge=1, le=99)
    """The share of the conversations that have it, in percent, in which it has to be so."""

    @model_validator(mode="after")
    def _says_something(self) -> MeasureRule:
        if self.at_most is None and self.at_least is None:
            raise ValueError("holds nothing: give at_most or at_least")
        return self

    def allows(self, value: float) -> bool:
        """Whether a value is within the limits."""
        low, high = self.at_least, self.at_most
        return (low is None or value >= low) and (high is None or value <= high)

    @property
    def told(self) -> str:
        """The limits in words."""
        limits = [("at least", self.at_least), ("at most", self.at_most)]
        return " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)


DiffClass = Literal["none", "shape", "latency", "cost", "content", "behaviour"]
"""Kinds of difference between two traces, the gravest last; as `simulate diff` sorts them."""


class DiffRule(Strict):
    """Against the baseline's traces: the gravest kind of difference that a case may show."""

    worst: DiffClass
    may_differ: Fraction = 0.0
    """The share of cases that may show a graver one."""
    ignore: list[Annotated[AsWritten, AfterValidator(ignored_path)]] = Field(default_factory=list[str])
    """JSON paths of changes that do not count, as for `simulate diff --ignore`."""

    @model_validator(mode="after")
    def _refuses_something(self) -> DiffRule:
        if self.worst == "behaviour":
            raise ValueError(
                "worst: behaviour allows every difference; content allows all but those in behaviour"
            )
        return self


class Gate(Strict):
    """A gate file."""

    confidence: Annotated[Number, BeforeValidator(_percent), Field(gt=0.5, lt=1)] = 0.95
    """Of every interval, and of the whole gate: all its rules together cry for nothing in 1 − confidence
    of runs."""
    not_enough_evidence: Literal["pass", "fail"] = "pass"
    """What the third verdict counts as."""
    judged: Fraction = 0.9
    """The least share of conversations that came to a verdict; with fewer, nothing is concluded."""
    pass_rate: Annotated[Floor, _short("at_least")] | None = None
    pass_hat: PassHat | None = None
    scores: Annotated[dict[str, Annotated[Floor, _short("at_least")]], AfterValidator(known_evaluators)] = (
        Field(default_factory=dict[str, Floor])
    )
    """By evaluator."""
    latency: Annotated[Latency, _short("at_most")] | None = None
    cost: Annotated[Cost, _short("at_most")] | None = None
    caller_fidelity: Annotated[Floor, _short("at_least")] | None = None
    """How well improvised callers kept to their part; of conversations without a verdict, too."""
    measures: dict[str, MeasureRule] = Field(default_factory=dict[str, MeasureRule])
    """By name, as an outcome's ``measures`` have it; of calls, docs/voice.md names them."""
    diff: DiffRule | None = None

    @model_validator(mode="after")
    def _holds_a_rule(self) -> Gate:
        rules = (self.pass_rate, self.pass_hat, self.scores, self.latency, self.cost, self.caller_fidelity)
        if not any((*rules, self.measures, self.diff)):
            told = "pass_rate, pass_hat, scores, latency, cost, caller_fidelity, measures or diff"
            raise ValueError(f"holds no rule: give {told}")
        return self

    @property
    def needs_baseline(self) -> list[str]:
        """The rules that compare with another run."""
        floors = {
            "pass_rate": self.pass_rate,
            **{f"scores: {name}": rule for name, rule in self.scores.items()},
            "caller_fidelity": self.caller_fidelity,
        }
        found = [
            f"{name}: may_drop"
            for name, rule in floors.items()
            if rule is not None and rule.may_drop is not None
        ]
        for name, rule in (("latency", self.latency), ("cost", self.cost)):
            if rule is not None and rule.may_grow is not None:
                found.append(f"{name}: may_grow")
        return [*found, "diff"] if self.diff is not None else found


EXAMPLE = "simulate gate --example prints one, with all that it can hold"


def load_gate(path: str | Path) -> Gate:
    """Read a gate file. Raises FileProblems with every place that is wrong."""
    file = Path(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        told = f"the gate cannot be read: {error.strerror or error}"
        raise InputError(told, where=str(path), hint=EXAMPLE) from error
    documents = read_documents(data, str(path))
    if len(documents) != 1:
        told = f"holds {len(documents)} documents, and a gate is one" if documents else "is empty"
        raise InputError(told, where=str(path), hint=EXAMPLE)
    document = documents[0]
    raw = document.mapping()
    if raw is None:
        raise FileProblems([Problem("a gate is a mapping: pass_rate, scores, latency …", str(path))])
    try:
        return Gate.model_validate(raw)
    except ValidationError as error:
        raise FileProblems(problems_of(error, Gate, document)) from None
