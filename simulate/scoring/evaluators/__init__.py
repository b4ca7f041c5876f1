"""Named evaluators: they score a trace, and the score is kept with the span that produced the answer."""

from __future__ import annotations

from simulate.model.reference import Reference
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.evaluator import Evaluator, Found, NotRun, Requirement
from simulate.scoring.evaluators.result import Part, Result
from simulate.scoring.evaluators.scoring import choose, evaluate, evaluate_sync, evaluators, score

__all__ = [
    "EvaluationContext",
    "Evaluator",
    "Found",
    "NotRun",
    "Part",
    "Reference",
    "Requirement",
    "Result",
    "choose",
    "evaluate",
    "evaluate_sync",
    "evaluators",
    "score",
]
