"""Pseudonyms that keep the form of what they replace, so that code which reads an address still can.

An address keeps its domain, a card its issuer and its last four digits (what PCI DSS lets a receipt show) and
its check digit, an IBAN its country and its last four characters, a telephone number its beginning. The same
value always has the same pseudonym under one key, in whatever way it is written: letters and digits are
replaced where they stand, and what is between them stays.
"""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import string
from collections.abc import Callable, Iterator

from simulate.trace.redaction.rules import luhn

NORMAL: dict[str, Callable[[str], str]] = {
    "email": lambda text: text.replace("%40", "@").casefold(),
    "phone": lambda text: "".join(char for char in text if char.isdigit()),
    "card": lambda text: "".join(char for char in text if char.isdigit()),
    "iban": lambda text: "".join(text.split()).upper(),
    "ip": str.casefold,
}
"""How writings of one value become the same."""


def normal(kind: str, text: str) -> str:
    """One text for all writings of a value of this kind."""
    return NORMAL[kind](text) if kind in NORMAL else text


def pseudonym(kind: str, text: str, key: bytes) -> str | None:
    """What is written in place of ``text``, an ``email``, ``phone``, ``card``, ``iban``, ``ssn`` or ``ip``;
    None for any other kind. Never the value itself."""
    value = normal(kind, text)
    if kind == "ip":
        return _address(value, key)
    if kind not in _MAKERS:
        return None
    for attempt in itertools.count():  # a draw may give the value back
        made = _MAKERS[kind](value, _drawn(kind, value, key, attempt))
        if made != value:
            return _written(made, text) if kind != "email" else _as_email(made, text)
    raise AssertionError


def _drawn(kind: str, value: str, key: bytes, attempt: int) -> Iterator[int]:
    for block in itertools.count():
        data = f"{kind}\0{value}\0{attempt}\0{block}".encode("utf-8", "surrogatepass")
        yield from hashlib.blake2b(data, key=key).digest()


def _replaced(text: str, chance: Iterator[int]) -> str:
    """Each letter by a letter and each digit by a digit."""
    return "".join(
        string.digits[next(chance) % 10]
        if char.isdigit()
        else string.ascii_lowercase[next(chance) % 26]
        if char.isalpha()
        else char
        for char in text
    )


def _email(value: str, chance: Iterator[int]) -> str:
    name, _, domain = value.rpartition("@")
    return f"{_replaced(name, chance)}@{domain}"


def _phone(value: str, chance: Iterator[int]) -> str:
    return value[:4] + _replaced(value[4:], chance)


def _ssn(value: str, chance: Iterator[int]) -> str:
    return "9" + _replaced(value[1:], chance)  # no number that begins so was ever issued


def _card(value: str, chance: Iterator[int]) -> str:
    middle = _replaced(value[6:-4], chance)
    made = (f"{value[:6]}{middle[:-1]}{digit}{value[-4:]}" for digit in string.digits)
    return next(each for each in made if luhn(each))


def _iban(value: str, chance: Iterator[int]) -> str:
    country, account = value[:2], _replaced(value[4:-4], chance).upper() + value[-4:]
    digits = "".join(str(int(char, 36)) for char in account + country)
    return f"{country}{98 - int(digits + '00') % 97:02d}{account}"


_MAKERS = {"email": _email, "phone": _phone, "card": _card, "iban": _iban, "ssn": _ssn}


def _written(made: str, like: str) -> str:
    """The characters of ``made`` as those of ``like`` are written: with its separators and its case."""
    chars = iter(char for char in made if char.isalnum())
    return "".join(
        (char.lower() if old.islower() else char) if old.isalnum() and (char := next(chars, "")) else old
        for old in like
    )


def _as_email(made: str, like: str) -> str:
    at = "%40" if "%40" in like else "@"
    end = like.rfind(at)
    name = made.rpartition("@")[0]
    cased = (new.upper() if old.isupper() else new for new, old in zip(name, like[:end], strict=False))
    return "".join(cased) + like[end:]


def _address(value: str, key: bytes) -> str:
    """An address of the ranges that are kept for benchmarks (RFC 2544) and documentation (RFC 3849)."""
    chance = _drawn("ip", value, key, 0)
    if ipaddress.ip_address(value).version == 4:
        return f"198.{18 + next(chance) % 2}.{next(chance)}.{next(chance)}"
    groups = (f"{next(chance) << 8 | next(chance):x}" for _ in range(2))
    return "2001:db8::" + ":".join(groups)
