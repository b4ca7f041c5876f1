"""How a rule looks at a text: quickly, since nearly every text holds nothing of what it looks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from simulate.model.bounded_regex import BoundedRegex
from simulate.trace.redaction.findings import Finding


@dataclass(frozen=True, slots=True)
class RedactionRule:
    """A pattern; its group ``value``, if it has one, is what gets replaced. ``check`` refuses what only looks
    like it. The rest says where a rule need not look, so that most cost nothing.

    ``needles`` are texts, or a pattern, of which one must be in a word of the text. ``place`` is where a
    match lies: anywhere, in one ``word`` or one ``long`` word, or in a text with a long ``number``. If it is
    ``folded``, it is matched in lower case; if it ``begins`` so, a match begins with one of the needles.
    ``value_of`` says from a match and the text where what is to be replaced stands, if anywhere."""

    kind: str
    pattern: re.Pattern[str] | BoundedRegex
    needles: tuple[str, ...] | re.Pattern[str] = ()
    check: Callable[[str], bool] | None = None
    place: Literal["text", "word", "long", "number"] = "text"
    folded: bool = False
    begins: bool = False
    value_of: Callable[[re.Match[str], str], tuple[int, int] | None] | None = None

    def find(self, searched: SearchedText) -> list[Finding]:
        """What it finds in the text, in order."""
        if self.place == "number":
            return self._found(searched.text, searched.text) if searched.has_number else []
        words = searched.folded_words if self.folded else searched.words
        if self.place == "long":
            words = searched.long_words
        there = list[str]()
        if not isinstance(self.needles, tuple):
            if self.needles.search(words) is None:
                return []
        elif self.needles:
            there = [needle for needle in self.needles if needle.strip() in words]
            if not there:
                return []
        if self.place != "text" and not self._found(words, words, there):
            return []
        return self._found(searched.folded if self.folded else searched.text, searched.text, there)

    def _found(self, text: str, original: str, needles: Sequence[str] = ()) -> list[Finding]:
        group = "value" if "value" in self.pattern.groupindex else 0
        matches = self._from_needles(text, needles) if self.begins else self.pattern.finditer(text)
        spans = (match.span(group) for match in matches)
        if self.value_of is not None:
            spans = self._values(text, original, needles, self.value_of)
        return [
            Finding(self.kind, start, end)
            for start, end in spans
            if start < end and (self.check is None or self.check(original[start:end]))
        ]

    def _values(
        self,
        text: str,
        original: str,
        needles: Sequence[str],
        value_of: Callable[[re.Match[str], str], tuple[int, int] | None],
    ) -> Iterator[tuple[int, int]]:
        done = 0
        for match in self._from_needles(text, needles):
            span = value_of(match, original) if match.end() > done else None
            if span is not None:
                done = span[1]
                yield span

    def _from_needles(self, text: str, needles: Sequence[str]) -> Iterator[re.Match[str]]:
        """As ``finditer``, which is ten times slower at finding where one of several words begins; these are
        the needles that the text holds."""
        pattern, done = cast("re.Pattern[str]", self.pattern), 0
        for start in sorted(places(text, needles)):
            if start >= done and (match := pattern.match(text, start)) is not None:
                yield match
                done = match.end()


def places(text: str, words: Iterable[str]) -> Iterator[int]:
    """Where the words stand in the text."""
    for word in words:
        at = text.find(word)
        while at >= 0:
            yield at
            at = text.find(word, at + 1)


class SearchedText:
    """A text, and what rules share of it. A text has far fewer words than characters, and most rules need to
    look at each of them once only."""

    __slots__ = ("_folded", "_has_number", "folded_words", "long_words", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        self._folded: str | None = None
        self._has_number: bool | None = None
        words = set(text.split()) if len(text) <= MOST else _distinct_words(text)
        if words is None:
            self.words = self.long_words = text
            self.folded_words = self.folded
            return
        self.words = "\n".join(words)
        self.long_words = "\n".join([word for word in words if len(word) >= LONG])
        self.folded_words = folded(self.words)

    @property
    def folded(self) -> str:
        """The text in lower case."""
        if self._folded is None:
            self._folded = folded(self.text)
        return self._folded

    @property
    def has_number(self) -> bool:
        """Whether there are ten digits in a row, whatever separates them."""
        if self._has_number is None:
            self._has_number = _NUMBER.search(self.text) is not None
        return self._has_number


MOST = 1_000_000
"""Characters of distinct words beyond which a text is looked at as it is: words take many times more."""
LONG = 11
"""Characters of a long word: the shortest key is ``sk-`` and eight more."""
_WORD = re.compile(r"\S+")
_NUMBER = re.compile(r"[0-9](?:[ ().\-/]{0,3}[0-9]){9}")


def _distinct_words(text: str) -> set[str] | None:
    """The words of a large text, without a list of all; None where they are too many."""
    words, size = set[str](), 0
    for match in _WORD.finditer(text):
        if (word := match[0]) not in words:
            words.add(word)
            size += len(word)
            if size > MOST:
                return None
    return words


def folded(text: str) -> str:
    """In lower case, character by character, as ``re.IGNORECASE`` compares with letters of ASCII."""
    if not text.isascii():
        for odd, letter in ("İi", "ıi", "ſs", "\u212ak"):
            text = text.replace(odd, letter)
    return text.lower()
