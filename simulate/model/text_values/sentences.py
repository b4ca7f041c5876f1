"""A text in sentences."""

from __future__ import annotations

import re

_END = re.compile(r"(?:(?<=[.!?…。！？])|(?<=[.!?…][\"”’)\]]))\s+(?=[^\s\da-zà-ÿ])|\n+")


def sentences(text: str) -> list[str]:
    """The sentences of a text; an abbreviation before a small letter or a digit ends none.

    >>> sentences("It takes approx. 5 days. We refund $4.20 today!")
    ['It takes approx. 5 days.', 'We refund $4.20 today!']
    """
    return [part.strip() for part in _END.split(text) if part.strip()]
