"""The nearest word that exists."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that was probably meant; None where none is near."""
    known = sorted(set(words))
    folded = {name.casefold().replace("-", "_"): name for name in known}
    found = difflib.get_close_matches(word.casefold().replace("-", "_")[:100], folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str], *, most: int = 25) -> str:
    """``; did you mean "goal"?``, or the list of what exists where it is short."""
    known = sorted(set(words))
    found = nearest(word, known)
    if found is not None:
        return f'; did you mean "{found}"?'
    return f"; there is {', '.join(known)}" if 0 < len(known) <= most else ""
