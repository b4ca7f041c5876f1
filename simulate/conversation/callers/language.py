"""Which language a line is in, as far as that is cheap to see: its script, and its commonest words."""

from __future__ import annotations

import re

_SCRIPTS = {
    "ja": r"[぀-ヿ一-鿿]", "zh": r"[一-鿿]", "ko": r"[가-힯]", "ru": r"[Ѐ-ӿ]", "uk": r"[Ѐ-ӿ]", "bg": r"[Ѐ-ӿ]",
    "ar": r"[؀-ۿ]", "fa": r"[؀-ۿ]", "he": r"[֐-׿]", "el": r"[Ͱ-Ͽ]", "hi": r"[ऀ-ॿ]", "th": r"[฀-๿]",
}  # fmt: skip
_OTHER_SCRIPTS = re.compile(r"[Ͱ-ϿЀ-ӿ֐-׿؀-ۿऀ-ॿ฀-๿぀-ヿ一-鿿가-힯]")

_WORDS = {
    "en": "the and you is to it my was for have not that this with are of can what your i'm been please",
    "de": "der die das und ich ist nicht sie mein meine habe bitte ein eine zu auf mit wann war noch es",
    "fr": "le la les je est pas vous mon ma une et que pour avec j'ai mais où c'est des du ne bonjour",
    "es": "el la los que no es mi una por para con está pero qué cuándo gracias quiero tengo hola yo ha se",
    "it": "il la che non mio una per con sono ma quando grazie vorrei ho ciao di del ordine mia questo",
    "pt": "que não meu uma por para com está mas quando obrigado quero tenho olá eu foi minha do da os",
    "nl": "de het een ik is niet mijn en dat van met maar wanneer dank wil heb hallo voor wat mij nog",
}
_SETS = {code: frozenset(words.split()) for code, words in _WORDS.items()}


def wrong_language(text: str, expected: str) -> str | None:
    """The language that a text is in, where it is surely not the expected one; None where it may well be.

    Six words at least, none of them common in the expected language, and a third of them in another."""
    code = expected.split("-")[0].split("_")[0].lower()
    letters = len(re.findall(r"[^\W\d_]", text))
    if letters < 3:
        return None
    if code in _SCRIPTS:
        words = len(re.findall(r"[A-Za-z]{2,}", text))
        return "Latin letters" if words >= 6 and not re.search(_SCRIPTS[code], text) else None
    if code not in _SETS:
        return None
    # a script is told by few letters, a language of one's own script only by words
    if len(_OTHER_SCRIPTS.findall(text)) > letters * 0.5:
        return "another script"
    # one letter alone may be spelled out
    said = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+|[^\W\d_])", text.lower())
    if len(said) < 6:
        return None
    own, counts = _SETS[code], {other: sum(word in words for word in said) for other, words in _SETS.items()}
    best = max(counts, key=lambda other: counts[other])
    if best == code or any(word in own and word not in _SETS[best] for word in said):
        return None
    return best if counts[best] >= len(said) / 3 else None
