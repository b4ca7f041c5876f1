"""Which language a text is in, as far as so many words can tell."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from simulate.errors import MissingExtra

_LETTERS = re.compile(r"[^\W\d_]+")
_NAMES = re.compile(r"\b[\w-]*\d[\w-]*\b|\b[A-Z]{2,}(?:-[A-Z]+)*\b|\S+@\S+|https?://\S+")
SURE = 0.9
"""The probability from which a language counts as known."""
FEW = 12
"""Letters below which a text has no language of its own: "OK", a code, an amount."""


@lru_cache(maxsize=1024)
def language_of(text: str) -> str | None:
    """The ISO 639 code of a text's language.

    Returns:
        The code; empty for a text that is too short to have one; None where it cannot be told.

    Raises:
        MissingExtra: py3langid is not installed.
    """
    plain = _NAMES.sub(" ", text)
    if sum(map(len, _LETTERS.findall(plain))) < FEW:
        return ""
    code, probability = _identifier().classify(plain)
    return str(code) if float(probability) >= SURE else None


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise MissingExtra("py3langid, which tells languages apart,", "language") from error
    identifier: Any = LanguageIdentifier
    return identifier.from_model_file(MODEL_FILE, norm_probs=True)
