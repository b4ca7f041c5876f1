"""Named evaluators on traces: everything that can be refused is refused before a judge is paid."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from simulate.errors import InputError
from simulate.load_object import load_object
from simulate.model.evaluator_names import unknown
from simulate.model.loading.problems import describe
from simulate.model.outcome import Outcome
from simulate.model.reference import Reference
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.evaluator import EVALUATORS, Evaluator
from simulate.scoring.evaluators.result import Result
from simulate.trace.conversations import read_conversations
from simulate.trace.reading import ToolCall
from simulate.trace.span import Trace

if TYPE_CHECKING:
    from simulate.scoring.judge import Judge

_MODULES = ("grounding", "conversation_quality", "safety", "retrieval", "speech", "tool_use", "trajectory")

Source = Trace | EvaluationContext | Outcome | str | Path
Named = str | Evaluator


def evaluators() -> dict[str, type[Evaluator]]:
    """Every evaluator of this package by its name."""
    for module in _MODULES:
        importlib.import_module(f"simulate.scoring.evaluators.{module}")
    return dict(sorted(EVALUATORS.items()))


def choose(names: Iterable[Named] | None, thresholds: Mapping[str, float] | None = None) -> list[Evaluator]:
    """The evaluators of these names, all of them without one. Raises InputError, with the nearest name, for
    one that there is not, and for a threshold out of range or of an evaluator that was not asked for."""
    known = evaluators()
    chosen = [_make(name, known) for name in (known if names is None else names)]
    twice = [one.name for at, one in enumerate(chosen) if one.name in {other.name for other in chosen[:at]}]
    if twice:
        raise InputError(f"{twice[0]} is named twice")
    for one in chosen:
        one.installed()
    _check(thresholds or {}, {one.name for one in chosen})
    return chosen


def _make(name: Named, known: Mapping[str, type[Evaluator]]) -> Evaluator:
    if isinstance(name, Evaluator):
        return name
    problem = unknown(name)
    if problem is not None:
        raise InputError(problem)
    if ":" not in name:
        return known[name]()
    made = load_object(name, f"evaluator {name}")
    made = made() if isinstance(made, type) else made
    if not isinstance(made, Evaluator):
        raise InputError(
            f"{name} is no Evaluator", hint="derive it from simulate.scoring.evaluators.Evaluator"
        )
    return made


def _check(thresholds: Mapping[str, float], chosen: set[str]) -> None:
    for name, value in thresholds.items():
        short = name.rpartition(":")[2]
        if short not in chosen:
            raise InputError(unknown(name) or f"a threshold for {name}, which was not asked for")
        if isinstance(value, bool) or not 0 <= value <= 1:
            raise InputError(
                f"a threshold of {value} for {name}", hint="values lie between 0 and 1, and 1 is good"
            )


def materials(
    source: Source | Iterable[Source], reference: Reference | None = None
) -> list[EvaluationContext]:
    """What there is to score: one for each trace of a file, one for an outcome with its conversation."""
    reference = reference or Reference()
    match source:
        case EvaluationContext():
            return [source]
        case Trace():
            return [EvaluationContext(source, reference)]
        case Outcome():
            if not isinstance(source.trace, Trace):
                raise InputError(f"the outcome {source.key} was read without its trace")
            calls = [ToolCall.of(use) for use in source.tool_uses] or None
            return [EvaluationContext(source.trace, reference, source.conversation, calls)]
        case str() | Path():
            return [EvaluationContext(trace, reference) for trace in read_conversations(str(source))]
        case _:
            return [found for one in source for found in materials(one, reference)]


async def evaluate(
    source: Source | Iterable[Source],
    names: Iterable[Named] | None = None,
    *,
    reference: Reference | Mapping[str, object] | None = None,
    judge: Judge | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> list[Result]:
    """Score traces by name: a trace, a trace file, an outcome, or several of them.

    One result an evaluator and trace, in the order of ``names``; all evaluators without ``names``.
    ``reference`` is what is right; ``thresholds`` replace the evaluators' own. A result that lacks
    something is ``not_run`` and says why; a judge that fails makes an ``error`` of its side and leaves the
    other results alone. Raises InputError for what can be known before: a name, a threshold, a reference
    that contradicts itself."""
    chosen = choose(names, thresholds)
    right = as_reference(reference)
    found = materials(source, right)
    least = {name.rpartition(":")[2]: value for name, value in (thresholds or {}).items()}
    results: list[Result] = []
    for material in found:
        results += await score(material, chosen, judge=judge, thresholds=least)
    return results


def evaluate_sync(
    source: Source | Iterable[Source],
    names: Iterable[Named] | None = None,
    *,
    reference: Reference | Mapping[str, object] | None = None,
    judge: Judge | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> list[Result]:
    """The same, where no event loop runs."""
    return asyncio.run(evaluate(source, names, reference=reference, judge=judge, thresholds=thresholds))


async def score(
    material: EvaluationContext,
    chosen: Sequence[Evaluator],
    *,
    judge: Judge | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> list[Result]:
    """One trace by evaluators that were chosen; those that may ask a judge side by side."""
    least = thresholds or {}
    if judge is None:  # nothing waits for anything
        return [await one.result(material, threshold=least.get(one.name)) for one in chosen]
    asked = (one.result(material, judge=judge, threshold=least.get(one.name)) for one in chosen)
    return list(await asyncio.gather(*asked))


def as_reference(given: Reference | Mapping[str, object] | None) -> Reference:
    """A reference from plain data. Raises InputError where it is none, or contradicts itself."""
    if given is None or isinstance(given, Reference):
        return given or Reference()
    try:
        return Reference.model_validate(dict(given))
    except ValidationError as error:
        told = [f"{place}: {message}" if place else message for place, message in describe(error, Reference)]
        raise InputError("the reference is not right: " + "; ".join(told)) from None
