"""What a run came to, case by case: the numbers that a gate decides on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from simulate.errors import InputError
from simulate.model.outcome import Outcome
from simulate.run_folder import RunFolder

Values = dict[str, list[float]]
"""Case → the values of its trials."""


class Scored(Protocol):
    """What of an evaluator's result counts here (`simulate.scoring.evaluators.Result`)."""

    @property
    def evaluator(self) -> str: ...
    @property
    def value(self) -> float | None: ...
    @property
    def status(self) -> str: ...
    @property
    def explanation(self) -> str: ...


@dataclass(slots=True)
class Measured:
    """One run in numbers."""

    source: str
    total: int = 0
    """Conversations."""
    passes: Values = field(default_factory=dict[str, list[float]])
    """1 for a trial that passed, 0 for one that failed; one without a verdict is neither."""
    latency: Values = field(default_factory=dict[str, list[float]])
    """Seconds of the slowest replies (p95) of each conversation."""
    cost: Values = field(default_factory=dict[str, list[float]])
    """Dollars of each conversation."""
    scores: dict[str, Values] = field(default_factory=dict[str, Values])
    """By evaluator."""
    caller_fidelity: Values = field(default_factory=dict[str, list[float]])
    """Of each conversation whose caller improvised: the share of lines that keep to its part."""
    measures: dict[str, Values] = field(default_factory=dict[str, Values])
    """By name: every number among the outcomes' measures."""
    unjudged: list[str] = field(default_factory=list[str])
    """Conversations that came to no verdict, each with its reason."""
    lacking: dict[str, str] = field(default_factory=dict[str, str])
    """Measure → why values of it are missing, in one sentence."""
    unknown: dict[str, int] = field(default_factory=dict[str, int])
    """Measure → how many values should be there and are not. An evaluator that does not apply lacks none."""
    traces: dict[str, list[Path]] = field(default_factory=dict[str, list[Path]])

    @property
    def judged(self) -> float:
        """The share of conversations that came to a verdict."""
        return 1 - len(self.unjudged) / self.total if self.total else 0.0

    @property
    def flaky(self) -> list[str]:
        """Cases whose trials came out differently, with how often they passed."""
        return [
            f"{case} ({int(sum(values))} of {len(values)} passed)"
            for case, values in self.passes.items()
            if 0 < sum(values) < len(values)
        ]


def case_of(outcome: Outcome) -> str:
    """The case that an outcome is a trial of."""
    return f"{outcome.scenario}[{outcome.case}]" if outcome.case else outcome.scenario


def measured(
    outcomes: Iterable[Outcome],
    results: Mapping[str, Sequence[Scored]] | None = None,
    *,
    source: str = "this run",
) -> Measured:
    """The numbers of these outcomes; ``results`` are evaluators' by `Outcome.key`."""
    found = Measured(source)
    for outcome in outcomes:
        found.total += 1
        case = case_of(outcome)
        found.traces.setdefault(case, [])
        if outcome.folder is not None:
            found.traces[case].append(Path(outcome.folder) / "trace.otlp.jsonl")
        # a caller who left its part is why there is no verdict; a scripted one has nothing to keep to
        fidelity = outcome.measures.get("caller_fidelity")
        if isinstance(fidelity, int | float):
            found.caller_fidelity.setdefault(case, []).append(float(fidelity))
        if outcome.status not in ("passed", "failed"):
            found.unjudged.append(f"{outcome.key}: {outcome.status}, {outcome.reason or 'no reason given'}")
            continue
        found.passes.setdefault(case, []).append(float(bool(outcome.clean)))
        _add(found, "latency", found.latency, case, outcome.measures.get("reply_p95_seconds"))
        _add(found, "cost", found.cost, case, outcome.measures.get("cost_usd"))
        for name, number in outcome.measures.items():
            if isinstance(number, int | float) and not isinstance(number, bool):
                found.measures.setdefault(name, {}).setdefault(case, []).append(float(number))
        for name, value, why, status in _scores(outcome, (results or {}).get(outcome.key)):
            values = found.scores.setdefault(name, {})
            _add(found, name, values, case, value, why, applies=status != "not_run")
    return found


def _scores(outcome: Outcome, results: Sequence[Scored] | None) -> list[tuple[str, float | None, str, str]]:
    """Evaluator, value, reason and status: of the results, or else of the run's own ``scores:``."""
    if results is not None:
        return [
            (each.evaluator, each.value if each.status == "scored" else None, each.explanation, each.status)
            for each in results
        ]
    verdicts = [verdict for verdict in outcome.verdicts if verdict.check == "scores"]
    return [(one.expectation.partition(" ")[0], one.score, one.fact, one.status) for one in verdicts]


def _add(
    found: Measured,
    measure: str,
    values: Values,
    case: str,
    value: float | int | str | None,
    why: str = "",
    *,
    applies: bool = True,
) -> None:
    if isinstance(value, int | float):
        values.setdefault(case, []).append(float(value))
    else:
        found.lacking.setdefault(measure, f"unknown in {case}" + (f": {why}" if why else ""))
        found.unknown[measure] = found.unknown.get(measure, 0) + applies


def measured_run(path: Path, results: Mapping[str, Sequence[Scored]] | None = None) -> Measured:
    """The numbers of a run on disk. Raises InputError for one that is only half there."""
    folder = RunFolder.open(path)
    if folder.read_run().ended is None:
        raise InputError(
            f"the run was cut off after {folder.progress()}, so it says nothing about a release",
            where=str(path),
            hint=f"simulate run --resume {path} continues it",
        )
    found = measured(_placed(folder, path), results, source=path.name)
    if not found.total:
        raise InputError("the run holds no outcome", where=str(path))
    return found


def _placed(folder: RunFolder, path: Path) -> Iterable[Outcome]:
    """Outcomes with their folders where the run lies now: it may have been moved since."""
    for outcome in folder.outcomes():
        outcome.folder = None if outcome.folder is None else str(path / Path(outcome.folder).name)
        yield outcome
