"""One form for texts that say the same: "order 4-4-1-7", "order four four one seven", "Order 4417."

Speech recognition writes numbers, ids, times and amounts now one way and now another. Whatever is compared
(what an agent understood, what it said, word error rates) goes through here first, on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from simulate.errors import MissingExtra
from simulate.model.text_values.numbers import in_digits

_ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14,
    "fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "eighteenth": 18, "nineteenth": 19,
    "twentieth": 20, "thirtieth": 30,
}  # fmt: skip
_TIMES = {"double": 2, "triple": 3}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_SHORT = {
    "can't": "cannot", "won't": "will not", "n't": " not", "'re": " are", "'ll": " will", "'ve": " have",
    "i'm": "i am", "let's": "let us", "it's": "it is", "that's": "that is", "what's": "what is",
    "here's": "here is", "there's": "there is", "'d": " would",
}  # fmt: skip
_ALIASES = {
    "okay": "ok", "o.k": "ok", "alright": "ok", "mr": "mister", "mrs": "missus", "dr": "doctor",
    "grey": "gray", "mm-hmm": "mhm", "mhmm": "mhm", "mmhmm": "mhm", "uh-huh": "mhm", "hmm": "hm",
    "cheque": "check", "e-mail": "email", "to-morrow": "tomorrow", "to-day": "today",
}  # fmt: skip
_MONEY = {"$": "dollars", "€": "euros", "£": "pounds"}
_NUMBER = re.compile(r"\d+")


def normalise(text: str, language: str = "en") -> str:
    """Lower case, no punctuation, short forms written out, every number in digits, ids in one piece.

    >>> normalise("Vierundachtzig Euro", "de")
    '84 euro'
    """
    if language != "en":
        text = in_digits(text, language)
    text = text.lower().replace("’", "'").replace("—", " ").replace("–", "-")
    for short, long in _SHORT.items():
        if short in text:
            text = re.sub(rf"{re.escape(short)}\b", long, text)
    for said, alias in _ALIASES.items():
        if said in text:
            text = re.sub(rf"(?<![\w-]){re.escape(said)}(?![\w-])", alias, text)
    text = re.sub(r"\b([ap])\.?\s?m\b\.?", r"\1m", text)
    if _NUMBER.search(text):
        text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
        text = re.sub(r"([$€£])\s?(\d+)(?:\.(\d\d))?", _money, text)
        text = re.sub(r"(\d)\s*%", r"\1 percent", text)
        text = re.sub(r"(\d)\.(\d)", r"\1 point \2", text)
        text = re.sub(r"\b(\d+)(?:st|nd|rd|th)\b", r"\1", text)
    text = re.sub(r"\b(dollars?|euros?|pounds?)\W+and\b", r"\1", text)
    words = re.findall(r"[^\W_]+", text.replace("'", ""))
    return " ".join(_ids(_numbers(_repeated(words))))


def says(text: str, wanted: str, language: str = "en") -> bool:
    """Whether ``wanted`` is said in ``text``, however numbers are written in either."""
    said, sought = normalise(text, language), normalise(wanted, language)
    if not sought:
        return False
    if f" {sought} " in f" {said} ":
        return True
    # an id may have been read out in groups, with words of its own letters
    squeezed = sought.replace(" ", "")
    return any(letter.isdigit() for letter in squeezed) and any(
        squeezed == run for run in _runs(said.split(), len(squeezed))
    )


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Words that were wrong (substituted, inserted, left out) and words of the reference, as jiwer counts
    them; their quotient is the word error rate. Both texts are normalised first. Raises MissingExtra without
    jiwer."""
    try:
        from jiwer import process_words
    except ModuleNotFoundError as error:
        raise MissingExtra("jiwer, which counts word errors,", "evaluators") from error
    wanted, got = normalise(reference), normalise(hypothesis)
    if not wanted:
        return len(got.split()), 0
    found = process_words(wanted, got)
    return found.substitutions + found.deletions + found.insertions, len(wanted.split())


def _money(match: re.Match[str]) -> str:
    unit = _MONEY[match[1]]
    cents = f" {int(match[3])} cents" if match[3] and int(match[3]) else ""
    return f"{match[2]} {unit}{cents}"


def _repeated(words: Sequence[str]) -> list[str]:
    """ "double four" is "four four", as ids are read out."""
    done: list[str] = []
    times = 1
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        digit = _ONES.get(following, 99) < 10 or (len(following) == 1 and following.isdigit())
        if word in _TIMES and digit:
            times = _TIMES[word]
        else:
            done += [word] * times
            times = 1
    return done


def _numbers(words: Sequence[str]) -> list[str]:
    """Number words as digits: "one hundred and five" is 105, "forty two" is 42, "four two" stays 4 2."""
    done: list[str] = []
    index = 0
    while index < len(words):
        value, used = _number(words, index)
        if used:
            done.append(value)
            index += used
            continue
        done.append(words[index])
        index += 1
    return done


def _number(words: Sequence[str], start: int) -> tuple[str, int]:
    """The number that begins at a word, and how many words it takes; 0 where none begins."""
    total = current = index = 0
    last = 0
    """The unit that may still be added to: 100 after "hundred", 10 after "twenty", 0 after a digit."""
    while start + index < len(words):
        word = words[start + index]
        if word in _ONES or word in _ORDINALS:
            value = _ONES.get(word, _ORDINALS.get(word, 0))
            if word == "second" and not index:
                break
            if index and not ((last == 10 and 0 < value < 10) or last >= 100):
                break
            current, last, index = current + value, 0, index + 1
        elif word in _TENS:
            if index and last < 100:
                break
            current, last, index = current + _TENS[word], 10, index + 1
        elif word in _SCALES and index and (current or total):
            scale = _SCALES[word]
            if scale == 100:
                current *= 100
            else:
                total, current = total + current * scale, 0
            last, index = scale, index + 1
        elif word == "and" and last >= 100 and _is_number(words, start + index + 1):
            index += 1
        else:
            break
    return str(total + current), index


def _is_number(words: Sequence[str], index: int) -> bool:
    return index < len(words) and (words[index] in _ONES or words[index] in _TENS)


def _ids(words: Sequence[str]) -> list[str]:
    """Digits and single letters that stand side by side, in one piece: 4 4 1 7, A B 12, o for zero."""
    done: list[str] = []
    run: list[str] = []

    def end() -> None:
        digits = [piece for piece in run if _NUMBER.search(piece)]
        if not digits:
            done.extend(run)
        else:
            while run and run[0] in ("a", "i", "o"):  # the words, not letters of an id
                done.append(run.pop(0))
            tail: list[str] = []
            while run and run[-1] in ("a", "i", "o", "oh"):
                tail.insert(0, run.pop())
            done.append("".join("0" if piece in ("o", "oh") else piece for piece in run))
            done.extend(tail)
        run.clear()

    for word in words:
        if len(word) == 1 or word == "oh" or any(letter.isdigit() for letter in word):
            run.append(word)
        else:
            end()
            done.append(word)
    end()
    return done


def _runs(words: Sequence[str], length: int) -> list[str]:
    """Neighbouring words put together, as far as they have this many letters."""
    found: list[str] = []
    for start in range(len(words)):
        joined = ""
        for word in words[start:]:
            joined += word
            if len(joined) >= length:
                break
        if len(joined) == length:
            found.append(joined)
    return found
