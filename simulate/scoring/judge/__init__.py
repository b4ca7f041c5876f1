"""One seam for every verdict by a model."""

from __future__ import annotations

from simulate.scoring.judge.judge import Judge, make_judge
from simulate.scoring.judge.question import CANNOT_TELL, NONE, Judgement, Question

__all__ = ["CANNOT_TELL", "NONE", "Judge", "Judgement", "Question", "make_judge"]
