"""A text in sentences."""

from __future__ import annotations

import re

_MONTH = "Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez"
_END = re.compile(
    rf"(?<!\bNr\.)(?<!\bNo\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)"
    rf"(?:(?<=[.!?…。！？])|(?<=[.!?…][\"”’)\]]))(?!(?<=\d\.)\s+(?:{_MONTH}))\s+(?=[^\s\da-zà-ÿ])|\n+"
)
"""Not after the point of "3. Mai", of "Mr. Smith" or of "No. 5"."""


def sentences(text: str) -> list[str]:
    """The sentences of a text; an abbreviation before a small letter or a digit ends none.

    >>> sentences("It takes approx. 5 days. We refund $4.20 today!")
    ['It takes approx. 5 days.', 'We refund $4.20 today!']
    """
    return [part.strip() for part in _END.split(text) if part.strip()]
