"""Which names hold secrets: the one rule for project files, pages, reports, diffs, cassettes and redaction.

A name is read as words, however it is written: ``access_token``, ``refreshToken``, ``x-api-key``,
``db.password`` and ``OPENAI_API_KEY`` hold secrets; ``input_tokens``, ``token_count``, ``max_tokens`` and
``session_id`` do not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_LONGEST = 200
"""Characters of a name's end that are read: what is longer is a sentence that became a key."""


def plain(text: str) -> str:
    """Letters as people mean them: no accents, nothing invisible, nothing full-width."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", text).translate(_LETTERS)
    bare = "".join(char for char in apart if unicodedata.category(char) not in ("Mn", "Cf"))
    return unicodedata.normalize("NFC", bare)


_LETTERS = str.maketrans("łŁıøØ", "lLioO")

FOREIGN = (
    *("passwort", "kennwort", "mot de passe", "contraseña", "senha", "wachtwoord", "hasło", "lösenord"),
    *("passord", "adgangskode", "salasana", "şifre", "parola", "heslo"),
    *("jelszó", "geslo", "lozinka", "parool", "κωδικός", "mật khẩu", "kata sandi", "kata laluan"),
    *("كلمة المرور", "كلمة السر", "סיסמה", "पासवर्ड", "รหัสผ่าน"),
    *("пароль", "密码", "密碼", "口令", "パスワード", "暗証番号", "비밀번호"),
)
"""A password in other languages."""
_NUMERIC = frozenset({"password", "passwd", "passcode", "pwd", "cvv", "cvc"})
"""What may be typed on a keypad, so that a number under such a name is a secret too, and not a count."""
_NOUNS = (
    _NUMERIC
    | {"passphrase", "secret", "credential", "authorization", "cookie", "setcookie", "psk", "mnemonic"}
    | {"seedphrase", "recoverycode", "backupcode", "jsessionid", "phpsessid", "sessid"}
    | {"codeverifier", "samlresponse", "samlassertion"}
    | {plain(word).replace(" ", "") for word in FOREIGN}
)
_TOKENS = ("access", "api", "auth", "bearer", "csrf", "id", "oauth", "refresh", "security", "session", "xsrf")
_KEYS = (
    *("access", "account", "api", "auth", "encryption", "license", "master", "private", "secret", "service"),
    *("session", "shared", "signing", "ssh", "subscription", "preshared", "client"),
)
_SECRET = _NOUNS | {f"{word}token" for word in _TOKENS} | {f"{word}key" for word in _KEYS}
_LIKELY = frozenset({"token", "pass", "bearer", "auth", "clave", "passe"})
"""Words that are something else where the value does not look like a credential."""
_WAYS = frozenset({"bypass", "compass", "encompass", "overpass", "surpass", "trespass", "underpass"})
_DIGITS = frozenset({"pin", "otp", "totp", "verificationcode", "securitycode", "onetimecode"})
_HARMLESS_TOKENS = frozenset(
    {"bos", "cancellation", "continuation", "eos", "first", "last", "mask", "next", "pad", "page", "sep"}
    | {"special", "stop", "sync", "unk", "boarding"}
)
_HARMLESS_KEYS = frozenset(
    {"agent", "cache", "composite", "crew", "dedup", "event", "foreign", "hash", "idempotency", "index"}
    | {"map", "message", "natural", "object", "order", "partition", "primary", "public", "range"}
    | {"routing", "row", "search", "sort", "task", "unique"}
)
_FORM = frozenset(
    {"base", "confirm", "confirmation", "data", "header", "pem", "plain", "plaintext", "raw"}
) | {*("string", "text", "value", "hash")}
"""Words at the end that only say in which form the secret is written."""


def is_secret_name(name: str) -> bool:
    """Whether a secret is expected under this name: of an attribute, a JSON key, a header, a setting.

    >>> [is_secret_name(name) for name in ("refreshToken", "db.password", "x-api-key", "max_tokens")]
    [True, True, True, False]
    """
    return secret_kind(name) != ""


def is_secret(name: str, value: object) -> bool:
    """Whether the value under this name is a secret.

    A bare ``token`` may also be a word that a model wrote (log probabilities), so that its value must look
    like a credential. A number is a secret only where people type digits: under a password, not a token."""
    kind = secret_kind(name)
    if isinstance(value, str):
        return bool(value) and fits(kind, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind == "digits":
        return is_code(str(value))
    return kind == "secret" and bool(_NUMERIC & set(_words(name)))


def is_secret_throughout(name: str) -> bool:
    """Whether everything inside an object under this name is secret, whatever it is called there. What lies
    under ``authorization`` may be the answer of a bank, and under ``token`` the word of a model."""
    return secret_kind(name) == "secret" and _words(name)[-1] != "authorization"


def governing_name(name: str, around: str) -> str:
    """A value's own name or that of the secret it lies in, whichever says that it is secret; or none."""
    if around and secret_kind(name) != "secret":
        return around
    return name if is_secret_name(name) else ""


def is_secret_parameter(name: str) -> bool:
    """The same for a header or a parameter of a URL, where ``key`` and ``sig`` hold credentials too."""
    words = _words(name)
    return is_secret_name(name) or bool(words and words[-1] in {"key", "sig", "signature"})


def fits(kind: str, text: str) -> bool:
    """Whether a text can be a secret of the kind that `secret_kind` told."""
    return kind == "secret" or (kind != "" and _FITS[kind](text))


def _is_credential(text: str) -> bool:
    if any(char.isspace() for char in text):
        return False
    return len(text) >= 12 or (len(text) >= 8 and bool(_MIXED.search(text)))


def is_random(text: str) -> bool:
    """Whether letters and digits alternate as they do in a key, for sixteen characters without a break."""
    return any(
        len(_MIXED.findall(run)) >= 2 and re.fullmatch(r"[a-z]+\d+", run) is None
        for run in _RUN.findall(text)
    )


def is_code(text: str) -> bool:
    """Whether these are the digits of a PIN or of a password for once."""
    return text.isascii() and text.isdigit() and 4 <= len(text) <= 12


_MIXED = re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]")
_RUN = re.compile(r"[A-Za-z0-9]{16,}")
_FITS: dict[str, Callable[[str], bool]] = {
    "token": _is_credential,
    "digits": lambda text: is_code(text) or is_random(text),
    "key": is_random,
}


@lru_cache(4096)
def secret_kind(name: str) -> str:
    """``secret``; ``token``, ``key`` or ``digits`` for what may be none; or nothing."""
    words = _words(name)
    if not words:
        return ""
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    said = {last, before + last, "".join(words[-3:])}
    said |= {each.removesuffix("s") for each in said}
    if said & _SECRET:
        return "secret"
    if said & _DIGITS:
        return "digits"
    if last.endswith(("password", "passwd", "passphrase", "apikey")):
        return "secret"
    if last in _LIKELY or (last.endswith(("pass", "secret", "token")) and last not in _WAYS):
        return "" if before in _HARMLESS_TOKENS else "token"
    return "key" if last == "key" and before and before not in _HARMLESS_KEYS else ""


@lru_cache(4096)
def _words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case, without digits and those of `_FORM` at its end."""
    words = [word.lower() for word in _WORD.findall(plain(name[-_LONGEST:]))]
    while len(words) > 1 and (words[-1] in _FORM or words[-1].isdigit()):
        words.pop()
    return tuple(words)
