"""Named evaluators: they score a trace, and the score is kept with the span that produced the answer."""

from __future__ import annotations

from simulate.model.reference import Reference
from simulate.scoring.evaluators import (
    EvaluationContext,
    Evaluator,
    Found,
    NotRun,
    Result,
    evaluate,
    evaluate_sync,
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
