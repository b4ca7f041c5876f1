"""Secrets on their way into a cassette: replaced before hashing, and looked for again before writing."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_SHAPES = {
    "openai_key": r"\bsk-(?:proj-|svcacct-|ant-)?[A-Za-z0-9_-]{20,}",
    "aws_key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "github_token": r"\bgh[pousr]_[A-Za-z0-9]{36,}",
    "slack_token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "google_key": r"\bAIza[A-Za-z0-9_-]{35}",
    "stripe_key": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    "jwt": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "bearer": r"\b(?i:bearer) +[A-Za-z0-9._~+/-]{20,}=*",
    "private_key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
}
_ALL = re.compile("|".join(f"(?P<{name}>{shape})" for name, shape in _SHAPES.items()))
_HINTS = ("sk-", "AKIA", "ASIA", "gh", "xox", "AIza", "k_", "eyJ", "earer", "EARER", "PRIVATE KEY")


def redactor() -> Callable[[str], str]:
    """Puts ``<secret:openai_key>`` and the like in place of what has the shape of a secret. The same text
    always gets the same placeholder, and a placeholder stays as it is."""
    return _redacted


def _redacted(text: str) -> str:
    if not any(hint in text for hint in _HINTS):
        return text
    return _ALL.sub(lambda match: f"<secret:{match.lastgroup}>", text)


@lru_cache(maxsize=1)
def scanner() -> Callable[[str], list[str]]:
    """Names what looks like a secret in a text, without repeating it."""

    def scan(text: str) -> list[str]:
        if not any(hint in text for hint in _HINTS):
            return []
        return [f"{match.lastgroup} ({match[0][:6]}…)" for match in _ALL.finditer(text)]

    return scan
