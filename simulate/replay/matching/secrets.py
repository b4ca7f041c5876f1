"""Secrets and personal data on their way into a cassette: replaced before hashing, looked for at the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from simulate.trace.redaction.redact import Redactor
from simulate.trace.redaction.rules import RULES

_KEY = "simulate cassette"
"""Fixed, so that a value gets the same placeholder when it is recorded and when it is replayed."""

_PLACEHOLDER = re.compile(r"<[a-z_]+:[0-9a-f]{4,32}>")


class Redaction:
    """Puts ``<email:3f2a>`` and the like in place of secrets and personal data.

    One for each conversation: the digits of a placeholder must not depend on what other ones said."""

    def __init__(self) -> None:
        self._redactor = Redactor(key=_KEY)

    def __call__(self, text: str) -> str:
        return self._redactor.text(text)

    def under(self, name: str, value: Any) -> Any:
        """A JSON value that stands under the name of a secret."""
        return self._redactor.under(name, value)

    def clean(self, texts: Iterable[str]) -> bool:
        """Whether nothing in any of these is to be replaced; one look instead of one for each."""
        # what is JSON itself is gone through by its keys, so it is looked at by itself
        if any(text[:1] in {"{", "[", '"'} for text in texts):
            return False
        whole = "\n\0\n".join(texts)
        for rule in RULES:
            if not rule.needles and rule.pattern.search(whole):
                return False
            for needle in rule.needles:
                if needle in whole:
                    if rule.pattern.search(whole):
                        return False
                    break
        return True


def scanner() -> Callable[[str], list[str]]:
    """Names what looks like a secret in a text, without repeating it. Personal data alone is not a reason."""
    redact = Redactor(key=_KEY)

    def scan(text: str) -> list[str]:
        text = _PLACEHOLDER.sub("", text)
        return [
            f"a secret that begins with {text[found.start : found.start + 4]!r}"
            for found in redact.find(text)
            if found.kind == "secret"
        ]

    return scan
