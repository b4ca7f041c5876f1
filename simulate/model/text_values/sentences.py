"""A text in sentences."""

from __future__ import annotations

import re

_MONTH = "Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez"
_END = re.compile(
    rf"(?<!\bNr\.)(?<!\bNo\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)"
    rf"(?:(?<=[.!?…。！？])|(?<=[.!?…][\"”’)\]]))(?!(?<=\d\.)\s+(?:{_MONTH}))\s+(?=[^\s\da-zà-ÿ])|\n+"
)
"""Not after the point of "3. Mai", of "Mr. Smith" or of "No. 5"."""

_NO = re.compile(r"(?:no|not|nope|nein|non|unfortunately|i['’]m afraid|sorry|leider)\b", re.IGNORECASE)


def sentences(text: str) -> list[str]:
    """The sentences of a text; an abbreviation before a small letter or a digit ends none.

    >>> sentences("It takes approx. 5 days. We refund $4.20 today!")
    ['It takes approx. 5 days.', 'We refund $4.20 today!']
    """
    return [part.strip() for part in _END.split(text) if part.strip()]


def statements(text: str) -> list[str]:
    """The sentences of a text, a question together with the "no" that answers it.

    >>> statements("In 3 days? No, it takes 6. That is sure.")
    ['In 3 days? No, it takes 6.', 'That is sure.']
    """
    found: list[str] = []
    for each in sentences(text):
        if found and found[-1].endswith("?") and _NO.match(each):
            found[-1] += f" {each}"
        else:
            found.append(each)
    return found
