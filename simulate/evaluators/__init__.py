"""Named evaluators: they score a trace, and the score is kept with the span that produced the answer."""

from __future__ import annotations

from simulate.evaluators.base import Evaluator, Found, Need, NotRun
from simulate.evaluators.material import Material
from simulate.evaluators.result import Part, Result
from simulate.evaluators.scoring import choose, evaluate, evaluate_sync, evaluators, score
from simulate.model.reference import Reference

__all__ = [
    "Evaluator",
    "Found",
    "Material",
    "Need",
    "NotRun",
    "Part",
    "Reference",
    "Result",
    "choose",
    "evaluate",
    "evaluate_sync",
    "evaluators",
    "score",
]
