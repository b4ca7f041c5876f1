"""Which names hold secrets: the one rule for project files, pages, reports, diffs, cassettes and redaction.

A name is read as words, however it is written: ``access_token``, ``refreshToken``, ``x-api-key``,
``db.password`` and ``OPENAI_API_KEY`` hold secrets; ``input_tokens``, ``token_count``, ``max_tokens`` and
``session_id`` do not.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_LONGEST = 200
"""Characters of a name's end that are read: what is longer is a sentence that became a key."""

_NUMERIC = frozenset({"password", "passwd", "passcode", "pwd", "cvv", "cvc"})
"""What may be typed on a keypad, so that a number under such a name is a secret too, and not a count."""
_NOUNS = _NUMERIC | {"passphrase", "secret", "credential", "authorization", "cookie", "setcookie"}
_TOKENS = ("access", "auth", "bearer", "csrf", "id", "oauth", "refresh", "security", "session", "xsrf")
_KEYS = (
    *("access", "account", "api", "auth", "encryption", "license", "master", "private", "secret", "service"),
    *("session", "shared", "signing", "ssh", "subscription"),
)
_SECRET = _NOUNS | {f"{word}token" for word in _TOKENS} | {f"{word}key" for word in _KEYS}
_HARMLESS_TOKENS = frozenset(
    {"bos", "cancellation", "continuation", "eos", "first", "last", "mask", "next", "pad", "page", "sep"}
    | {"special", "stop", "sync", "unk"}
)
_FORM = frozenset({"base", "confirm", "confirmation", "header", "pem", "plain", "plaintext", "raw"}) | {
    *("string", "text", "value")
}
"""Words at the end that only say in which form the secret is written."""


def is_secret_name(name: str) -> bool:
    """Whether a secret is expected under this name: of an attribute, a JSON key, a header, a setting.

    >>> [is_secret_name(name) for name in ("refreshToken", "db.password", "x-api-key", "max_tokens")]
    [True, True, True, False]
    """
    return _kind(name) != ""


def is_secret(name: str, value: object) -> bool:
    """Whether the value under this name is a secret.

    A bare ``token`` may also be a word that a model wrote (log probabilities), so that its value must look
    like a credential. A number is a secret only where people type digits: under a password, not a token."""
    kind = _kind(name)
    if isinstance(value, str):
        return bool(value) and (kind == "secret" or (kind == "token" and _is_credential(value)))
    digits = isinstance(value, int | float) and not isinstance(value, bool)
    return digits and kind == "secret" and bool(_NUMERIC & set(_words(name)))


def is_secret_throughout(name: str) -> bool:
    """Whether everything inside an object under this name is secret, whatever it is called there. What lies
    under ``authorization`` may be the answer of a bank, and under ``token`` the word of a model."""
    return _kind(name) == "secret" and _words(name)[-1] != "authorization"


def is_secret_parameter(name: str) -> bool:
    """The same for a header or a parameter of a URL, where ``key`` and ``sig`` hold credentials too."""
    words = _words(name)
    return is_secret_name(name) or bool(words and words[-1] in {"key", "sig", "signature"})


def _is_credential(text: str) -> bool:
    return len(text) >= 12 and not any(char.isspace() for char in text)


@lru_cache(4096)
def _kind(name: str) -> str:
    """``secret``, ``token`` for one that may be no credential, or nothing."""
    words = _words(name)
    if not words:
        return ""
    last = words[-1]
    pair = "".join(words[-2:])
    if {last, pair, last.removesuffix("s"), pair.removesuffix("s")} & _SECRET:
        return "secret"
    harmless = len(words) > 1 and words[-2] in _HARMLESS_TOKENS
    return "token" if last == "token" and not harmless else ""


@lru_cache(4096)
def _words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case, without digits and those of `_FORM` at its end."""
    words = [word.lower() for word in _WORD.findall(name[-_LONGEST:])]
    while len(words) > 1 and (words[-1] in _FORM or words[-1].isdigit()):
        words.pop()
    return tuple(words)
