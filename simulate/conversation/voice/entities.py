"""What a listener may not get wrong: ids, amounts, dates, names, spelled letters and negations.

A word that was misheard ("books" for "booked") is forgiven where the rest makes clear what was said. One of
these never is: "fifteen" for "fifty", "B" for "D" or "Thursday" for "Tuesday" is another fact. Only two
spellings of one name that every speaker says alike ("Meier", "Meyer") are the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from difflib import SequenceMatcher

from simulate.conversation.voice.normalise import normalise, says
from simulate.model.text_values import sentences


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATIONS = _words(
    "not no never none nothing cannot without nor neither nicht nichts nie niemals kein keine keinen keinem "
    "keiner keines ohne nunca nada sin ne pas jamais rien sans aucun aucune non mai niente senza não nem sem"
)
"""In English and the languages that most calls are in beside it; one more costs nothing in another."""
_TIMES = _words(
    "january february march april june july august september october november december monday tuesday "
    "wednesday thursday friday saturday sunday today tomorrow yesterday pm noon midnight "
    "januar februar märz april mai juni juli oktober dezember montag dienstag mittwoch donnerstag freitag "
    "samstag sonnabend sonntag heute morgen gestern mittag mitternacht"
)
_UNITS = _words(
    "dollar euro pound cent percent point minute hour day week month year hundred thousand million "
    "prozent minuten stunde stunden tag tage tagen woche wochen monat monate monaten jahr jahre jahren "
    "hundert tausend million millionen"
)
_PREFIXES = ("un", "in", "im", "dis", "non", "ir", "il")
_OPENERS = _words(
    "a an the i you he she it we they this that these those there here my your his her its our their what "
    "when where which who whose why how is are was were am be do does did have has had can could will would "
    "shall should may might must let please thanks thank yes yeah no not ok okay sure right well so and but "
    "or if as at by for from in of on to with after before about because while then now hello hi hey good "
    "goodbye bye welcome sorry great perfect one two three all any each every some"
)
"""Words that begin sentences and are no names."""
_GERMAN = _words("der die das und ist nicht ein eine ich sie wir ihr ihre ihren mit für auf von den dem zu")
"""Two of these make a text German, where every noun has a capital."""
_BEFORE_NOUN = _words(
    "der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner keines mein "
    "meine meinen meinem meiner dein deine deinen ihr ihre ihren ihrem ihrer ihres sein seine seinen seinem "
    "seiner unser unsere unseren unserem unserer euer eure diese dieser diesen diesem dieses jede jeder "
    "jeden jedes welche welcher welches alle viele einige am im zum zur beim vom ins ans "
    "guten gute guter gutes"
)
_NOUN_ENDS = ("ung", "ungen", "heit", "keit", "schaft", "ion", "ionen", "tät", "nummer", "nummern")
_ADJECTIVE_ENDS = ("e", "en", "er", "es", "em")
_NAME = re.compile(r"[^\W\d_][\w'’-]*")
_SOUNDS = (
    (r"[ae][iy]", "ei"), (r"ph", "f"), (r"ck|c(?![eihy])", "k"), (r"th|dt", "t"),
    (r"(?<=[aeiou])h(?![aeiouy])", ""), (r"y", "i"), (r"(.)\1+", r"\1"),
)  # fmt: skip
"""Spellings that names have for one sound, each with its one form."""


def names_in(text: str) -> set[str]:
    """Words with a capital, normalised, but for those that begin a sentence as any other word would, and for
    German nouns that an article or their ending shows to be one."""
    found: set[str] = set()
    german = sum(word in _GERMAN for word in text.lower().split()) >= 2
    for sentence in sentences(text):
        words = _NAME.findall(sentence)
        for place, written in enumerate(words):
            word = normalise(written)
            if not written[0].isupper() or not word or (place == 0 and word.split()[0] in _OPENERS):
                continue
            if not (german and _is_noun(words, place)):
                found |= set(word.split()) - _OPENERS
    return found


def _is_noun(words: Sequence[str], place: int) -> bool:
    """Whether a German word with a capital is no name: after an article, perhaps with an adjective between
    them, or by its ending; at the beginning of a sentence, where it is an article or a pronoun itself."""
    word, before = words[place].lower(), [each.lower() for each in words[max(0, place - 2) : place]]
    if word.endswith(_NOUN_ENDS) or word in _GERMAN | _BEFORE_NOUN:
        return True
    adjective = len(before) == 2 and words[place - 1][0].islower() and before[1].endswith(_ADJECTIVE_ENDS)
    return bool(before) and (before[-1] in _BEFORE_NOUN or (adjective and before[0] in _BEFORE_NOUN))


def is_entity(word: str, names: Collection[str] = ()) -> bool:
    """Whether a word of a normalised text is (part of) one; ``names`` are those of the text."""
    return (
        word in NEGATIONS
        or word in names
        or any(letter.isdigit() for letter in word)
        or (len(word) == 1 and word not in ("a", "i", "o"))
        or word in _TIMES
        or word.removesuffix("s") in _UNITS
    )


def differ(said: Sequence[str], heard: Sequence[str], names: Collection[str]) -> bool:
    """Whether two normalised texts, as words, differ in anything that may not be got wrong."""
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, said, heard, autojunk=False).get_opcodes():
        one, other = said[i1:i2], heard[j1:j2]
        if tag == "equal" or "".join(one) == "".join(other):
            continue
        if _plain(one) != _plain(other):
            return True
        if any(word in names for word in one) and sound("".join(one)) != sound("".join(other)):
            return True
        if any(_negates(word, each) for word in one for each in other):
            return True
    return False


def misspoken(said: Sequence[str], heard: Sequence[str]) -> bool:
    """Whether two normalised texts differ in a number that no ear confuses: as many digits, of which two or
    more are others, as in "24" for "42"; not "14" for "40", nor "9" for "5".

    >>> misspoken(["42"], ["24"]), misspoken(["14"], ["40"]), misspoken(["481"], ["491"])
    (True, False, False)
    """
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, said, heard, autojunk=False).get_opcodes():
        if tag != "replace" or i2 - i1 != j2 - j1:
            continue
        for one, other in zip(said[i1:i2], heard[j1:j2], strict=True):
            if not (one.isdigit() and other.isdigit() and len(one) == len(other)):
                continue
            changed = [{a, b} for a, b in zip(one, other, strict=True) if a != b and {a, b} != {"5", "9"}]
            teen = {one[-1] == "0", other[-1] == "0"} == {True, False} and len(one) == 2
            if len(changed) >= 2 and not teen:
                return True
    return False


def sound(name: str) -> str:
    """One form for all spellings of a name that are spoken alike.

    >>> sound("Meier") == sound("Meyer"), sound("Jan") == sound("Jon")
    (True, False)
    """
    text = unicodedata.normalize("NFKD", name.lower())
    text = "".join(letter for letter in text if letter.isalnum())
    for spelling, form in _SOUNDS:
        text = re.sub(spelling, form, text)
    return text


def entity_share(said: Sequence[str], understood: Sequence[str], language: str = "en") -> tuple[int, int]:
    """How many ids, amounts, dates, names and negations of the texts ``said`` are in what was
    ``understood``, and how many there are; each counts as often as it was said."""
    names = set[str]().union(*(names_in(text) for text in said))
    words = [word for text in said for word in normalise(text, language).split()]
    wanted = Counter(_form(word) for word in words if is_entity(word, names))
    heard = " ".join(understood)
    got = Counter(_form(word) for word in normalise(heard, language).split())
    in_groups = {word: says(heard, word, language) for word in wanted if not word.isalpha()}
    right = sum(count if in_groups.get(word) else min(count, got[word]) for word, count in wanted.items())
    return right, wanted.total()


def _plain(words: Sequence[str]) -> list[str]:
    """Those that need no context to be known, in their order; of units alone the singular."""
    return [word.removesuffix("s") if word.isalpha() else word for word in words if is_entity(word)]


def _form(word: str) -> str:
    if word.isalpha() and len(word) > 1 and word not in NEGATIONS:
        return sound(word.removesuffix("s"))
    return word


def _negates(word: str, other: str) -> bool:
    return any(word == prefix + other or other == prefix + word for prefix in _PREFIXES)
