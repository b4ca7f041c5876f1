"""What a judge is asked, and what it found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NONE = "none"
CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Question:
    """One choice among named labels.

    ``question`` and ``labels`` (each with what it means) are ours and are read as instructions. ``material``
    is what is judged: named parts of plain data, read as data whatever it says. ``cannot tell`` is always
    among the options; ``none`` of the labels where ``none`` is set.
    """

    question: str
    labels: Mapping[str, str]
    material: Mapping[str, Any]
    none: bool = False
    needs_evidence: frozenset[str] = frozenset()
    """Labels that count only with a quote; every quote given is checked in any case."""
    needs_quote: frozenset[str] = frozenset()
    """Labels that count only with a quote of what was looked at, in whichever part that stands."""
    quote_from: tuple[str, ...] | None = None
    """The parts that quotes for labels in ``needs_evidence`` must come from; None is all of them."""
    planted: Mapping[str, Question] = field(default_factory=dict[str, "Question"])
    """By label, a question of this kind whose answer is known to be that one: what a judge is put to the
    proof with. Without any, it is asked for a line of the material and for one that nobody said."""
    prompt: str = "classify.v1"
    """The file below ``prompts/``, without ``.txt``."""

    def options(self) -> dict[str, str]:
        """Every label that may be chosen, with its meaning, in the order of the question."""
        options = dict(self.labels)
        if self.none:
            options.setdefault(NONE, "none of the other options fits")
        options.setdefault(CANNOT_TELL, "the material does not decide it")
        return options

    def identity(self) -> str:
        """The question and its material as text: two of the same identity deserve the same judgement."""
        parts = [self.question, self.options(), self.material, sorted(self.needs_evidence), self.quote_from]
        parts += [sorted(self.needs_quote)] if self.needs_quote else []
        return json.dumps([self.prompt, parts], ensure_ascii=False, default=str)


@dataclass(slots=True)
class Judgement:
    """The label, why, and the words of the material that show it."""

    label: str
    reason: str
    evidence: list[str] = field(default_factory=list[str])
    probabilities: dict[str, float] = field(default_factory=dict[str, float])
    """By label, as far as known: from token probabilities, or the share of votes; see ``method``."""
    method: Literal["logprobs", "votes", "rule"] = "votes"
    model: str | None = None
    prompt: str | None = None
    calls: int = 0
    cached: bool = False

    @property
    def confidence(self) -> float | None:
        """The probability of the label."""
        return self.probabilities.get(self.label)
