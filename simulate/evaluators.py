"""Named evaluators: they score a trace, and the score is kept with the span that produced the answer."""

from __future__ import annotations

from typing import Any

from simulate.model.reference import Reference
from simulate.scoring.evaluators import (
    EvaluationContext,
    Evaluator,
    Found,
    NotRun,
    Result,
    evaluate,
    evaluate_sync,
    evaluators,
)

__all__ = [
    "EvaluationContext",
    "Evaluator",
    "Found",
    "NotRun",
    "Reference",
    "Result",
    "evaluate",
    "evaluate_sync",
]


def __getattr__(name: str) -> Any:
    # each evaluator by its name; their modules are imported by whoever asks for one
    found = evaluators().get(name)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
