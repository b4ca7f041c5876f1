"""Named evaluators: they score a trace, and the score is kept with the span that produced the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    from simulate.scoring.evaluators.conversation_quality import (
        ConversationCoherence,
        CustomerAgentConversationQuality,
        TaskCompletion,
    )
    from simulate.scoring.evaluators.grounding import (
        AnswerRelevancy,
        ContextRelevance,
        Faithfulness,
        Groundedness,
        HallucinationScore,
    )
    from simulate.scoring.evaluators.retrieval import ContextPrecision, ContextRecall
    from simulate.scoring.evaluators.safety import (
        PII,
        PromptInjection,
        ProtectFlashHarm,
        ProtectFlashInjection,
    )
    from simulate.scoring.evaluators.speech import ASRAccuracy, TTSAccuracy
    from simulate.scoring.evaluators.tool_use import ArgumentCorrectness, ToolSelectionAccuracy
    from simulate.scoring.evaluators.trajectory import (
        HandoffCorrectness,
        LoopDetection,
        StepEfficiency,
        TrajectoryScore,
    )

__all__ = [
    "PII",
    "ASRAccuracy",
    "AnswerRelevancy",
    "ArgumentCorrectness",
    "ContextPrecision",
    "ContextRecall",
    "ContextRelevance",
    "ConversationCoherence",
    "CustomerAgentConversationQuality",
    "EvaluationContext",
    "Evaluator",
    "Faithfulness",
    "Found",
    "Groundedness",
    "HallucinationScore",
    "HandoffCorrectness",
    "LoopDetection",
    "NotRun",
    "PromptInjection",
    "ProtectFlashHarm",
    "ProtectFlashInjection",
    "Reference",
    "Result",
    "StepEfficiency",
    "TTSAccuracy",
    "TaskCompletion",
    "ToolSelectionAccuracy",
    "TrajectoryScore",
    "evaluate",
    "evaluate_sync",
]


def __getattr__(name: str) -> Any:
    # each evaluator by its name; their modules are imported by whoever asks for one
    found = evaluators().get(name)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
