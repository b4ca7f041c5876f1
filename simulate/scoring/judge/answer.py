"""Reading a judge's answer, and holding its quotes against the material."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from simulate.llm import Reply, Token
from simulate.model.json_values import object_in
from simulate.scoring.judge.question import Question

LONG_WORD = 5
"""Letters from which on a single word may be telling by itself."""


@dataclass(slots=True)
class Answer:
    """One answer that could be read. ``probabilities`` by label, where the endpoint told them."""

    label: str
    reason: str
    evidence: list[str]
    probabilities: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """An answer that cannot be read or contradicts the material, and what the judge is told about it."""

    problem: str
    said: str = field(default="")


def schema(letters: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of an answer."""
    return {
        "type": "object",
        "properties": {
            "evidence": {"type": "array", "items": {"type": "string"}},
            "reason": {"type": "string"},
            "answer": {"type": "string", "enum": list(letters)},
        },
        "required": ["evidence", "reason", "answer"],
        "additionalProperties": False,
    }


def read(reply: Reply, lettered: Mapping[str, str]) -> Answer | Unusable:
    """The answer in a reply; ``lettered`` maps the letters shown to labels."""
    if reply.refusal:
        return Unusable("you declined", reply.refusal)
    if reply.finish_reason in {"length", "content_filter"}:
        return Unusable(f"the answer was cut off ({reply.finish_reason})", reply.text[-200:])
    text = reply.text[reply.text.rfind("</think>") + 8 :] if "</think>" in reply.text else reply.text
    found = object_in(text)
    if found is None:
        return Unusable("the answer is not one JSON object", text[:300])
    evidence, reason, letter = found.get("evidence"), found.get("reason"), found.get("answer")
    if not isinstance(evidence, list) or not all(isinstance(one, str) for one in cast("list[Any]", evidence)):
        return Unusable("`evidence` is not a list of texts", text[:300])
    if not isinstance(reason, str) or not reason.strip():
        return Unusable("`reason` is not a sentence", text[:300])
    label = lettered.get(letter.strip().upper()) if isinstance(letter, str) else None
    if label is None:
        return Unusable(f"`answer` is none of {', '.join(lettered)}", text[:300])
    quotes = [one for one in cast("list[str]", evidence) if one.strip()]
    return Answer(label, reason.strip(), quotes, _probabilities(reply, lettered))


_LETTER = re.compile(r'"answer"\s*:\s*"\s*(?=\w)')


def _probabilities(reply: Reply, lettered: Mapping[str, str]) -> dict[str, float] | None:
    """The distribution over labels at the token that names the option; None where it is not known.

    The probabilities of the letters among the likeliest tokens, normalised to 1 (the mean of this
    distribution was found to judge better than its top alone: Wang et al. 2025)."""
    token = _token_at(reply)
    if token is None:
        return None
    weights: dict[str, float] = {}
    for text, logprob in token.top or ((token.text, token.logprob),):
        letter = re.sub(r"\W", "", text).upper()
        if letter in lettered:
            weights[letter] = weights.get(letter, 0.0) + math.exp(logprob)
    total = sum(weights.values())
    if total < 0.5:
        return None
    return {label: weights.get(letter, 0.0) / total for letter, label in lettered.items()}


def _token_at(reply: Reply) -> Token | None:
    """The token that holds the letter of the answer."""
    if not reply.tokens:
        return None
    joined = "".join(token.text for token in reply.tokens)
    places = list(_LETTER.finditer(joined))
    if not places:
        return None
    position, passed = places[-1].end(), 0
    for token in reply.tokens:
        passed += len(token.text)
        if passed > position:
            return token
    return None


def unproven(answer: Answer, question: Question) -> str | None:
    """What is wrong with an answer's quotes; None where they hold."""
    if answer.label in question.needs_evidence and not answer.evidence:
        return (
            f"the option “{answer.label}” needs the words of the material that show it, and none are quoted"
        )
    if answer.label in question.needs_evidence and not any(
        _says_something(one, question) for one in answer.evidence
    ):
        return f"one common word (“{answer.evidence[0][:100]}”) shows nothing; quote the words around it"
    bound = question.quote_from if answer.label in question.needs_evidence else None
    parts = bound or tuple(question.material)
    material = [folded(text) for part in parts for text in leaves(question.material.get(part))]
    for quote in answer.evidence:
        if not _stands_in(quote, material):
            return f"the quote “{quote[:200]}” does not stand in {_names(parts)}"
    return None


def _says_something(quote: str, question: Question) -> bool:
    """Whether a quote is more than a word that stands in every text: several, a number, or a whole text."""
    words = folded(quote).split()
    if len(words) != 1 or any(letter.isdigit() for letter in quote) or len(words[0]) > LONG_WORD:
        return True
    return any(folded(text) == words[0] for part in question.material.values() for text in leaves(part))


def _names(parts: Sequence[str]) -> str:
    return " or ".join(f"“{part}”" for part in parts)


def leaves(value: Any) -> Iterator[str]:
    """Every text in nested data, numbers and words like true as JSON writes them, and each whole besides."""
    if isinstance(value, str):
        yield value
        return
    yield json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, Mapping):
        for one in cast("Mapping[Any, Any]", value).values():
            yield from leaves(one)
    elif isinstance(value, list | tuple):
        for one in cast("Sequence[Any]", value):
            yield from leaves(one)


def folded(text: str) -> str:
    """Without case, punctuation and runs of white space; letters, digits, money and percent signs stay."""
    return " ".join(re.findall(r"[^\W_]+|[$€£¥%]", text.casefold()))


def _stands_in(quote: str, material: Sequence[str]) -> bool:
    """Whether the quote, or its pieces around an ellipsis in their order, stands in one text of the
    material."""
    pieces = [folded(piece) for piece in re.split(r"\.\.\.|…|\[\.*\]", quote)]
    pieces = [piece for piece in pieces if piece]
    if not pieces:
        return False
    return any(_in_order(pieces, f" {text} ") for text in material)


def _in_order(pieces: Sequence[str], text: str) -> bool:
    position = 0
    for piece in pieces:
        position = text.find(f" {piece} ", position)
        if position < 0:
            return False
        position += len(piece) + 1
    return True


_OPENERS = re.compile(
    r"(?:thought process|thoughts?|solution|reasoning|answer|final answer|explanation|assistant"
    r"|let'?s (?:solve|think)(?: (?:about )?this)?(?: problem)?(?: step by step)?|step by step)?[\W_]*",
    re.I,
)


def says_nothing(text: str) -> bool:
    """Whether a text is empty, or an opener of the kind that makes some judges pass anything (Zhao 2025)."""
    return _OPENERS.fullmatch(text.strip()) is not None
