"""Named evaluators: they score a trace, and the score is kept with the span that produced the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulate.model.evaluator_names import NAMES
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

if TYPE_CHECKING:
    from simulate.scoring.evaluators.conversation_quality import *
    from simulate.scoring.evaluators.grounding import *
    from simulate.scoring.evaluators.retrieval import *
    from simulate.scoring.evaluators.safety import *
    from simulate.scoring.evaluators.speech import *
    from simulate.scoring.evaluators.tool_use import *
    from simulate.scoring.evaluators.trajectory import *

__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]  the evaluators' names are in one place
    "EvaluationContext",
    "Evaluator",
    "Found",
    "NotRun",
    "Reference",
    "Result",
    "evaluate",
    "evaluate_sync",
    *NAMES,
]


def __getattr__(name: str) -> Any:
    # each evaluator by its name; their modules are imported by whoever asks for one
    found = evaluators().get(name)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
