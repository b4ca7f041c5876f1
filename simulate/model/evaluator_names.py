"""The names of the evaluators, so that a file that names another is refused without importing any of them."""

from __future__ import annotations

from typing import TypeVar

from simulate.model.nearest import did_you_mean

NAMES = (
    "ASRAccuracy",
    "AnswerRelevancy",
    "ArgumentCorrectness",
    "ContextPrecision",
    "ContextRecall",
    "ContextRelevance",
    "ConversationCoherence",
    "CustomerAgentConversationQuality",
    "Faithfulness",
    "Groundedness",
    "HallucinationScore",
    "HandoffCorrectness",
    "LoopDetection",
    "PII",
    "PromptInjection",
    "ProtectFlashHarm",
    "ProtectFlashInjection",
    "StepEfficiency",
    "TTSAccuracy",
    "TaskCompletion",
    "ToolSelectionAccuracy",
    "TrajectoryScore",
)
AMBIGUOUS = {
    "ProtectFlash": "has two public meanings: write ProtectFlashHarm (harmful content) "
    "or ProtectFlashInjection (an attack in what comes in)"
}

T = TypeVar("T")


def unknown(name: str) -> str | None:
    """What is wrong with an evaluator's name; None where nothing is. ``module:Class`` is one's own."""
    if name in NAMES or ":" in name:
        return None
    if name in AMBIGUOUS:
        return f'"{name}" {AMBIGUOUS[name]}'
    return f'no evaluator "{name[:100]}"{did_you_mean(name, NAMES)}'


def known_evaluators(value: dict[str, T]) -> dict[str, T]:
    """Refuse names that no evaluator has."""
    for name in value:
        problem = unknown(name)
        if problem is not None:
            raise ValueError(problem)
    return value
