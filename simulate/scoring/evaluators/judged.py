"""Asking the judge: one question a claim, a document or a turn, side by side, and what each is worth."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simulate.scoring.evaluators.evaluator import NotRun
from simulate.scoring.evaluators.prompts import Prompt, prompt
from simulate.scoring.evaluators.result import Part
from simulate.scoring.judge.answer import says_nothing
from simulate.scoring.judge.question import CANNOT_TELL, Question

if TYPE_CHECKING:
    from simulate.scoring.evaluators.transcript_of_trace import TraceUtterance
    from simulate.scoring.judge import Judge

_END = re.compile(r"(?<=[.!?…。！？])[\"'”’)\]]*\s+(?=[^\s])|\s*\n+\s*(?:[-*•]\s+|\d+[.)]\s+)?")
_SHORT = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|approx|incl|vs|cf|no|nr|mr|mrs|ms|dr|st|inc|ltd|co|art|p|pp)|\b[A-Z])\.$", re.I
)


def sentences(text: str) -> list[str]:
    """The sentences and list items of a text; those without a word are dropped.

    Claims are cut by rule and not by a model: the same text always gives the same claims, for nothing, and no
    text can talk anybody into leaving one out."""
    found: list[str] = []
    for piece in _END.split(text.strip()):
        piece = piece.strip().lstrip("-*•").strip()
        if found and _SHORT.search(found[-1]):
            found[-1] += f" {piece}"
        elif re.search(r"\w", piece):
            found.append(piece)
    return [one for one in found if not says_nothing(one)]


def transcript(said: Sequence[TraceUtterance]) -> list[dict[str, Any]]:
    """What was said as plain data, one entry each, for a judge."""
    return [{"turn": one.turn, "speaker": one.speaker, "text": one.text} for one in said]


def as_question(asked: Prompt, material: Mapping[str, Any]) -> Question:
    """What a judge is asked; parts of the material that hold nothing are left out."""
    parts = {key: value for key, value in material.items() if value not in (None, [], "")}
    quote_from = None if asked.quote_from is None else tuple(one for one in asked.quote_from if one in parts)
    return Question(
        asked.question,
        {label: meaning.means for label, meaning in asked.labels.items()},
        parts,
        needs_evidence=frozenset(label for label, meaning in asked.labels.items() if meaning.quote),
        quote_from=quote_from,
    )


async def ask(
    judge: Judge, name: str, what: str, material: Mapping[str, Any], span_id: str | None = None
) -> Part:
    """One judgement as a part; its value is None where the judge cannot tell."""
    asked = prompt(name, folder=judge.prompts)
    found = await judge.classify(as_question(asked, material))
    meaning = asked.labels.get(found.label)
    return Part(
        what,
        None if meaning is None else meaning.value,
        found.label,
        found.reason,
        found.evidence,
        span_id,
        calls=0 if found.cached else found.calls,
        counts=meaning is None or meaning.value is not None,
    )


async def ask_all(questions: Sequence[Awaitable[Part]]) -> list[Part]:
    """All at once; the judge itself bounds how many are under way. The first fault ends it, and every call
    that was under way is waited for."""
    found = await asyncio.gather(*questions, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return [one for one in found if isinstance(one, Part)]


def counted(parts: Sequence[Part], what: str) -> list[Part]:
    """The parts, if any is worth something one way or the other. Raises NotRun where none is."""
    if not any(part.counts for part in parts):
        raise NotRun(f"there is no {what}: nothing to score")
    return list(parts)


def decided(part: Part) -> Part:
    """Raises NotRun, with the judge's reason, where it could not tell."""
    if part.label == CANNOT_TELL or part.value is None:
        raise NotRun(f"the judge cannot tell: {part.reason}")
    return part
