"""Values that an instrumentation, a collector or a redactor hid before anybody could read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from simulate.model.matchers import is_matcher, mismatch
from simulate.model.shapes import is_list, is_object
from simulate.trace.reading.facts import Fact, Unknown

_WORD = r"(?:redacted|masked|filtered|scrubbed|hidden|sanitized|omitted|anonymized)"
_ENTITY = (
    r"(?:PERSON|LOCATION|NRP|DATE_TIME|EMAIL_ADDRESS|PHONE_NUMBER|CREDIT_CARD|IBAN_CODE|IP_ADDRESS|US_\w+)"
)
_BLACK_BAR = re.compile(
    rf"__{_WORD}__|\[{_WORD}(?:[ :_-][^\]\n]{{0,80}})?\]|<{_WORD}>|[({{](?:redacted|masked)[)}}]"
    rf"|(?-i:\bREDACTED\b|<{_ENTITY}>)|(?<=[\w-])\*{{4,}}|\*{{4,}}(?=\w)|\A\s*\*{{3,}}\s*\Z",
    re.IGNORECASE,
)
"""The same whatever it hides: OpenInference's ``__REDACTED__``, Logfire's ``[Scrubbed due to 'password']``,
Presidio's ``<PERSON>``, ``****``."""
_PSEUDONYM = re.compile(r"<[a-z][\w-]{1,30}:[0-9a-f]{4,}>")
"""Ours: equal ones hide equal values."""


def hidden(value: Any) -> bool:
    """Whether a text is one placeholder and nothing else."""
    if not isinstance(value, str) or len(value) > 120:
        return False
    text = value.strip()
    return bool(_BLACK_BAR.fullmatch(text) or _PSEUDONYM.fullmatch(text))


def blacked_out(value: Any) -> bool:
    """Whether a value holds a placeholder that is the same whatever it hides: two such are equal and tell
    nothing."""
    return any(_BLACK_BAR.search(text) for text in _texts(value))


def _holds_hidden(value: Any) -> bool:
    return blacked_out(value) or any(_PSEUDONYM.search(text) for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif is_object(value):
        for part in value.values():
            yield from _texts(part)
    elif is_list(value):
        for part in value:
            yield from _texts(part)


def difference(expected: Any, actual: Any) -> Fact[str | None]:
    """`mismatch`, or unknown where what is hidden may be what is expected."""
    found = mismatch(expected, actual)
    if found is None or not _holds_hidden(actual):
        return found
    sure = mismatch(_without_hidden(expected, actual), actual)
    return Unknown(f"a value is hidden ({found})") if sure is None else sure


def _without_hidden(expected: Any, actual: Any) -> Any:
    """What is expected, but anything of what is hidden."""
    if is_object(expected) and is_object(actual) and not is_matcher(expected):
        blind = _holds_hidden(actual)
        return {
            key: _without_hidden(value, actual[key]) if key in actual else value
            for key, value in expected.items()
            if key in actual or not (blind and str(key).startswith("$"))
        }
    if is_list(expected) and is_list(actual) and len(expected) == len(actual):
        return [_without_hidden(*both) for both in zip(expected, actual, strict=True)]
    return {"any": True} if _holds_hidden(actual) else expected
