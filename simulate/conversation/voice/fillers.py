"""What agents say while they work: "one moment, please". People wait for what comes after it."""

from __future__ import annotations

import re

_WORDS = 14
"""Longer utterances are answers that happen to hold such words."""
_FILLER = re.compile(
    r"\b((one|a|just a|un|einen|ein|een) (moment|momento|second|sec|minute|instant|augenblick|ogenblik)"
    r"|(hold|hang) on|bear with me|give me a (moment|second|minute)|let me (just )?(check|look|see|find|pull)"
    r"|i('ll| will) (just )?(check|look (that|it|this)( \w+)? up|have a look))\b",
    re.IGNORECASE,
)


def is_filler(text: str) -> bool:
    """Whether this only asks for patience; not where it asks a question, too.

    >>> is_filler("One moment please, I will look that up."), is_filler("One moment. What is your name?")
    (True, False)
    """
    return len(text.split()) <= _WORDS and "?" not in text and _FILLER.search(text) is not None
