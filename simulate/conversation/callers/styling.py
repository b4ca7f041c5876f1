"""How somebody types: slips, punctuation, slang, emoji. From a seed, never inside numbers or addresses."""

from __future__ import annotations

import random
import re

from simulate.model.persona import Amount, Speaks

_SHARE: dict[Amount, float] = {"none": 0.0, "low": 0.03, "medium": 0.08, "high": 0.18}
_EMOJI_SHARE: dict[Amount, float] = {"none": 0.0, "low": 0.2, "medium": 0.5, "high": 0.9}
_EMOJI = ("🙂", "😅", "🙏", "😕", "👍")
_SLANG = {
    "you": "u", "are": "r", "please": "pls", "thanks": "thx", "because": "cuz", "going to": "gonna",
    "want to": "wanna", "okay": "ok", "tomorrow": "tmrw", "message": "msg", "really": "rly",
}  # fmt: skip
_PLAIN = re.compile(r"[a-z]{4,}", re.I)


def styled(text: str, speaks: Speaks, chance: random.Random) -> str:
    """A line as this person would type it. Words that hold a digit, an @ or a slash stay as they are."""
    words = re.split(r"(\s+)", text)
    if speaks.slang and speaks.slang != "none":
        words = [_slang(word, chance, _EMOJI_SHARE[speaks.slang]) for word in words]
    if speaks.punctuation in {"none", "loose"}:
        words = _unpunctuated(words, everything=speaks.punctuation == "none")
    words = [_slipped(word, chance, _SHARE[speaks.typos or "none"]) for word in words]
    text = "".join(words)
    if chance.random() < _EMOJI_SHARE[speaks.emoji or "none"]:
        text = f"{text} {chance.choice(_EMOJI)}"
    return text


def with_typos(text: str, speaks: Speaks, chance: random.Random) -> str:
    """A scripted line: said word for word, but for slips where the persona makes them."""
    return styled(text, Speaks(typos=speaks.typos), chance)


def _slang(word: str, chance: random.Random, share: float) -> str:
    short = _SLANG.get(word.lower())
    return short if short and chance.random() < share else word


def _unpunctuated(words: list[str], *, everything: bool) -> list[str]:
    def bare(word: str) -> str:
        if re.search(r"[\d@/]", word):
            return word.rstrip(".,!;:")
        return re.sub(r"[.,!?;:]", "", word) if everything else word

    kept = [bare(word) for word in words]
    if kept and not everything and not kept[-1].endswith(("...", "?", "!")):
        kept[-1] = kept[-1].rstrip(".")
    if (
        kept
        and kept[0][:1].isupper()
        and not re.search(r"\d", kept[0])
        and kept[0] not in {"I", "I'm", "I'd"}
    ):
        kept[0] = kept[0][:1].lower() + kept[0][1:]
    return kept


def _slipped(word: str, chance: random.Random, share: float) -> str:
    """Two letters swapped, or one left out."""
    if not share or not _PLAIN.fullmatch(word) or chance.random() >= share:
        return word
    place = chance.randrange(1, len(word) - 1)
    if chance.random() < 0.5:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + word[place + 1 :]
