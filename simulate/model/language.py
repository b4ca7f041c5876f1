"""Which language a text is in, as far as so many words can tell."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from simulate.errors import MissingExtra

_LETTERS = re.compile(r"[^\W\d_]+")
_NAMES = re.compile(r"\b[\w-]*\d[\w-]*\b|\b[A-Z]{2,}(?:-[A-Z]+)*\b|\S+@\S+|https?://\S+")
SURE = 0.9
"""The probability from which a text counts as of a language; below 1 − SURE it counts as of another."""
FEW = 12
"""Letters below which a text has no language of its own: "OK", a code, an amount."""


def is_language(text: str, code: str) -> bool | None:
    """Whether a text is in a language, by its ISO 639 code.

    Returns:
        None where so few words cannot tell. A text that is too short to have a language is in none.

    Raises:
        MissingExtra: py3langid is not installed.
    """
    plain = _NAMES.sub(" ", text)
    if sum(map(len, _LETTERS.findall(plain))) < FEW:
        return False
    probability = _probabilities(plain).get(code, 0.0)
    return True if probability >= SURE else False if probability <= 1 - SURE else None


@lru_cache(maxsize=1024)
def _probabilities(text: str) -> dict[str, float]:
    return {str(code): float(probability) for code, probability in _identifier().rank(text)}


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise MissingExtra("py3langid, which tells languages apart,", "language") from error
    identifier: Any = LanguageIdentifier
    return identifier.from_model_file(MODEL_FILE, norm_probs=True)
