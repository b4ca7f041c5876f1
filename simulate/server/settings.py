"""What a server is told: where to keep, what to keep, for how long, what to score and whom to tell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulate.errors import InputError
from simulate.model.loading.problems import describe
from simulate.model.loading.yaml_reader import read_plain
from simulate.trace.sampling import Rule, Sampler


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Keep(_Strict):
    """Which traces are kept beside errors, breached scores and cost outliers: a share of the rest, and what
    rules such as ``feature.id=checkout:0.5`` say. Without it, all are."""

    baseline: Annotated[float, Field(ge=0, le=1)] = 0.02
    rules: list[str] = []

    def sampler(self) -> Sampler:
        """The sampler of these rules."""
        return Sampler(self.baseline, [Rule.parse(rule) for rule in self.rules])


class Retention(_Strict):
    """How long traces stay, and how much room their spans may take; without a number, for ever."""

    days: Annotated[float, Field(gt=0)] | None = None
    gigabytes: Annotated[float, Field(gt=0)] | None = None


class Redact(_Strict):
    """What is redacted beside what always is: kind → regular expression, and paths."""

    patterns: dict[str, str] = {}
    paths: list[str] = []


class Alert(_Strict):
    """Tells a webhook when something crosses ``above`` or ``below`` over the last ``minutes``, and when it no
    longer does. ``measure`` is of all traces in that time (of those with ``tag``, written NAME=VALUE)."""

    name: str
    measure: Literal["error_rate", "mean_cost", "cost", "p95_seconds", "traces"] | None = None
    score: str | None = None
    above: float | None = None
    below: float | None = None
    minutes: Annotated[float, Field(gt=0)] = 60
    at_least: Annotated[int, Field(ge=1)] = 1
    tag: str | None = None
    webhook: str | None = None
    form: Literal["slack", "json"] = "json"


class ServerSettings(_Strict):
    """The file that ``simulate serve --config`` reads."""

    keep: Keep | None = None
    retention: Retention = Retention()
    redact: Redact = Redact()
    evaluators: dict[str, Annotated[float, Field(ge=0, le=1)] | None] = {}
    alerts: list[Alert] = []

    @classmethod
    def load(cls, path: Path) -> ServerSettings:
        """Raises InputError that names the place of what is wrong."""
        try:
            return cls.model_validate(read_plain(path) or {})
        except ValidationError as error:
            told = [f"{place}: {message}" if place else message for place, message in describe(error, cls)]
            raise InputError("; ".join(told), where=str(path)) from None
