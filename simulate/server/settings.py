"""What a server is told: where to keep, what to keep, for how long, what to score and whom to tell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from simulate.errors import InputError
from simulate.model.loading.problems import describe
from simulate.model.loading.yaml_reader import read_plain
from simulate.trace.sampling import Rule, Sampler


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SamplingSettings(_Strict):
    """Which traces are kept beside errors, breached scores and cost outliers: a share of the rest, and what
    rules such as ``feature.id=checkout:0.5`` say. Without it, all are."""

    baseline: Annotated[float, Field(ge=0, le=1)] = 0.02
    rules: list[str] = []

    def sampler(self) -> Sampler:
        """The sampler of these rules."""
        return Sampler(self.baseline, [Rule.parse(rule) for rule in self.rules])


class RetentionSettings(_Strict):
    """How long traces stay, and how much room their spans may take; without a number, for ever."""

    days: Annotated[float, Field(gt=0)] | None = None
    gigabytes: Annotated[float, Field(gt=0)] | None = None


class RedactionSettings(_Strict):
    """What is redacted beside what always is: kind → regular expression, and paths."""

    patterns: dict[str, str] = {}
    paths: list[str] = []


class JudgeSettings(_Strict):
    """What a model judges (evaluator: least value), of which share of the traces that are kept, and how many
    calls a day it may be asked; beyond that, traces stay without its scores."""

    evaluators: dict[str, Annotated[float, Field(ge=0, le=1)] | None]
    sample: Annotated[float, Field(gt=0, le=1)] = 0.05
    calls_per_day: Annotated[int, Field(ge=1)] = 1000


class AlertRule(_Strict):
    """Tells a webhook when a figure over the last ``minutes`` goes ``above`` or ``below`` its bound, and when
    it comes back. ``measure`` is of all traces of the project, or of those with ``tag``, written NAME=VALUE;
    ``score`` is the mean of a score, or with ``of: worst`` the lowest. Fewer traces than ``at_least`` change
    nothing."""

    name: str
    project: str = "default"
    measure: Literal["error_rate", "mean_cost", "cost", "p95_seconds", "traces"] | None = None
    score: str | None = None
    of: Literal["mean", "worst"] = "mean"
    above: float | None = None
    below: float | None = None
    minutes: Annotated[float, Field(gt=0)] = 60
    at_least: Annotated[int, Field(ge=1)] = 1
    tag: str | None = None
    webhook: str | None = None
    form: Literal["slack", "json"] = "json"

    @model_validator(mode="after")
    def _has_one_figure_and_one_bound(self) -> Self:
        if (self.measure is None) == (self.score is None):
            raise ValueError("name either measure: or score:")
        if (self.above is None) == (self.below is None):
            raise ValueError("name either above: or below:")
        if self.tag is not None and "=" not in self.tag:
            raise ValueError("write tag: as NAME=VALUE, such as prompt=v3")
        return self


class ServerSettings(_Strict):
    """The file that ``simulate serve --config`` reads."""

    keep: SamplingSettings | None = None
    retention: RetentionSettings = RetentionSettings()
    redact: RedactionSettings = RedactionSettings()
    evaluators: dict[str, Annotated[float, Field(ge=0, le=1)] | None] = {}
    judge: JudgeSettings | None = None
    alerts: list[AlertRule] = []

    @classmethod
    def load(cls, path: Path) -> ServerSettings:
        """Raises InputError that names the place of what is wrong."""
        try:
            return cls.model_validate(read_plain(path) or {})
        except ValidationError as error:
            told = [f"{place}: {message}" if place else message for place, message in describe(error, cls)]
            raise InputError("; ".join(told), where=str(path)) from None
