"""Secrets and personal data on their way into a cassette: replaced before hashing, looked for before writing."""

from __future__ import annotations

import re
from collections.abc import Callable

from simulate.trace.redact import Redactor

_KEY = "simulate cassette"
"""Fixed, so that a value gets the same placeholder when it is recorded and when it is replayed."""

_PLACEHOLDER = re.compile(r"<[a-z_]+:[0-9a-f]{4,32}>")


def redactor() -> Callable[[str], str]:
    """Puts ``<email:3f2a>`` and the like in place of secrets and personal data. One for each conversation:
    the digits of a placeholder must not depend on what other conversations said."""
    return Redactor(key=_KEY).text


def scanner() -> Callable[[str], list[str]]:
    """Names what looks like a secret in a text, without repeating it. Personal data is no reason to refuse."""
    redact = Redactor(key=_KEY)

    def scan(text: str) -> list[str]:
        text = _PLACEHOLDER.sub("", text)
        return [
            f"a secret that begins with {text[found.start : found.start + 4]!r}"
            for found in redact.find(text)
            if found.kind == "secret"
        ]

    return scan
