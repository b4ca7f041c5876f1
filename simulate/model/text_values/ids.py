"""Ids in a text: KXW-QZT, "K X W, Q Z T", "kilo x-ray whiskey quebec zulu tango", "K as in kilo"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simulate.model.text_values.denial import stance
from simulate.model.text_values.numbers import in_digits

_ALPHABET = {
    word: letter
    for words in (
        "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa"
        " quebec romeo sierra tango uniform victor whiskey x-ray yankee zulu",
        "alfa . . . . . . . . juliet . . . . . . . . . . . . whisky xray . .",
    )
    for letter, word in zip("abcdefghijklmnopqrstuvwxyz", words.split(), strict=True)
    if word != "."
}
_AS_IN = re.compile(r"\b([a-z])\s+(?:as in|for|like|wie|comme)\s+[a-zà-ÿ-]+", re.IGNORECASE)
_TWICE = re.compile(r"\b(double|triple)\s+([a-z0-9])\b", re.IGNORECASE)
_PIECE = re.compile(r"x-ray|[^\W_]+", re.IGNORECASE)
_JOINED = "-_/"
_AMOUNT_BEFORE = re.compile(r"[$€£¥]\s?$")
_DECIMAL = re.compile(r"\d\.\d")


def names_id(text: str, wanted: str, language: str = "en", *, denied: bool = True) -> bool:
    """Whether a text names an id, written in any way or spelled, and not a longer one that it is a part of.

    ``denied``: whether it counts where the text only says that it is another one.

    >>> names_id("It is K as in kilo, X, W, Q Z T.", "KXW-QZT"), names_id("KXW-QZT-9", "KXW-QZT")
    (True, False)
    """
    sought = "".join(_PIECE.findall(wanted)).casefold()
    if not sought:
        return False
    forms = [_one_spelling(form) for form in dict.fromkeys((text, in_digits(text, language)))]
    return any(
        denied or stance(form, start, end, language) != "denied"
        for form in forms
        for start, end in _found(form, sought)
    )


def _one_spelling(text: str) -> str:
    return _TWICE.sub(_written_out, _AS_IN.sub(r"\1", text))


def _found(text: str, sought: str) -> Iterator[tuple[int, int]]:
    pieces = list(_PIECE.finditer(text))
    words = [_ALPHABET.get(piece[0].casefold(), piece[0].casefold()) for piece in pieces]
    for first in range(len(words)):
        joined = ""
        for last in range(first, len(words)):
            joined += words[last]
            if joined == sought and not _goes_on(text, pieces, words, first, last):
                yield pieces[first].start(), pieces[last].end()
            if not sought.startswith(joined):
                break


def _goes_on(text: str, pieces: list[re.Match[str]], words: list[str], first: int, last: int) -> bool:
    """Whether what was found is a part of a longer id, or an amount."""
    start, end = pieces[first].start(), pieces[last].end()
    if _AMOUNT_BEFORE.search(text[:start]) or _DECIMAL.search(text[start:end]):
        return True
    if start > 1 and text[start - 1] in _JOINED and text[start - 2].isalnum():
        return True
    if end + 1 < len(text) and text[end] in _JOINED and text[end + 1].isalnum():
        return True
    if last == first or len(words[last]) > 1 or last + 1 == len(words):
        return False
    # it was spelled, and the next letter belongs to it unless a sentence ends between
    following, between = words[last + 1], text[end : pieces[last + 1].start()]
    return len(following) == 1 and following not in "ai" and not re.search(r"[.!?;]", between)


def _written_out(twice: re.Match[str]) -> str:
    return " ".join(twice[2] * (3 if twice[1].lower() == "triple" else 2))
