"""What the agent's voice was asked to say beside what the caller understood of it.

The caller's recognition mishears now and then, and an agent's voice says now and then what it was not asked
to. A sentence counts as said where both agree on all that matters: on what `entities` lists to the letter, on
the rest by its sound. Where they do not agree, only what was understood counts; and where they agree on the
rest alone, which of the two is wrong about the id or the name cannot be told: the utterance is in ``doubt``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from simulate.conversation.voice.entities import differ, misspoken, names_in
from simulate.conversation.voice.normalise import normalise
from simulate.model.text import shorten
from simulate.model.text_values import sentences
from simulate.model.transcript import Utterance

ALIKE = 0.75
"""How much of its letters, in their order, a sentence shares with what was understood of it, at least."""


@dataclass(slots=True)
class _Sentence:
    text: str
    words: list[str]
    heard: list[int] = field(default_factory=list[int])
    """Places of the words that were understood of it."""


def place_spoken(said: Sequence[Utterance], spoken: Sequence[str], language: str = "en") -> list[str]:
    """Give each of the agent's utterances what its voice was asked to say (``spoken``), what was audible of
    it (``text``) and what the caller understood (``heard``, the ``text`` until now).

    ``spoken`` are the texts of the agent's speech synthesis, in their order. Returns a note for each
    utterance that only the caller's recognition got wrong."""
    asked = [_Sentence(one, normalise(one, language).split()) for text in spoken for one in sentences(text)]
    asked = [one for one in asked if one.words]
    understood = [
        (number, word) for number, one in enumerate(said) for word in normalise(one.text, language).split()
    ]
    if not asked or not understood:
        return []
    _align(asked, [word for _, word in understood])
    notes: list[str] = []
    for number, one in enumerate(said):
        mine = [each for each in asked if each.heard and _belongs(each, understood) == number]
        if not mine:
            continue
        one.heard, one.spoken = one.text, " ".join(each.text for each in mine)
        names = names_in(one.spoken)
        parts = [_audible(each, understood, names) for each in mine]
        audible = " ".join(text for text, _ in parts)
        one.doubt = (
            " ".join(each.text for each, (_, sure) in zip(mine, parts, strict=True) if not sure) or None
        )
        only_written = normalise(one.heard, language) == normalise(audible, language)
        if only_written and audible != one.spoken:
            continue
        one.text = audible
        if one.text == one.spoken and not only_written:
            notes.append(
                f"turn {one.turn}: the caller's own recognition understood “{shorten(one.heard, 120)}” "
                f"where the agent said “{shorten(one.text, 120)}”"
            )
    return notes


def _align(asked: Sequence[_Sentence], understood: Sequence[str]) -> None:
    """Give each sentence the words that were understood of it."""
    owners = [sentence for sentence in asked for _ in sentence.words]
    words = [word for sentence in asked for word in sentence.words]
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, words, understood, autojunk=False).get_opcodes():
        if tag == "insert":
            owners[max(0, i1 - 1)].heard.extend(range(j1, j2))
        else:
            for place in range(j1, j2):
                owners[min(i2 - 1, i1 + (place - j1) * (i2 - i1) // max(1, j2 - j1))].heard.append(place)


def _belongs(sentence: _Sentence, understood: Sequence[tuple[int, str]]) -> int:
    """The utterance in which most of it was understood."""
    numbers = [understood[place][0] for place in sentence.heard]
    return max(set(numbers), key=numbers.count)


def _audible(
    sentence: _Sentence, understood: Sequence[tuple[int, str]], names: Collection[str]
) -> tuple[str, bool]:
    """What was audible of it; False where it is all but the same, and differs in what matters."""
    heard = [understood[place][1] for place in sentence.heard]
    alike = SequenceMatcher(None, "".join(sentence.words), "".join(heard), autojunk=False).ratio() >= ALIKE
    same = alike and not differ(sentence.words, heard, names)
    sure = same or not alike or misspoken(sentence.words, heard)
    return (sentence.text if same else " ".join(heard)), sure
