"""Amounts of money in a text: "$42.50", "42.5 dollars", "forty-two fifty", "-£2,310.55", "1.234,50 €"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulate.model.text_values.numbers import BETWEEN, PLAIN, in_digits, value_of

_DOLLARS = frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "TWD"})
_CROWNS = frozenset({"SEK", "NOK", "DKK", "CZK", "ISK"})
_CURRENCIES: dict[str, frozenset[str]] = {
    "$": _DOLLARS,
    "dollar": _DOLLARS,
    "dólar": _DOLLARS,
    "buck": _DOLLARS,
    "cent": _DOLLARS | {"EUR"},
    "us$": frozenset({"USD"}),
    "ca$": frozenset({"CAD"}),
    "c$": frozenset({"CAD"}),
    "a$": frozenset({"AUD"}),
    "au$": frozenset({"AUD"}),
    "nz$": frozenset({"NZD"}),
    "hk$": frozenset({"HKD"}),
    "s$": frozenset({"SGD"}),
    "r$": frozenset({"BRL"}),
    "€": frozenset({"EUR"}),
    "euro": frozenset({"EUR"}),
    "£": frozenset({"GBP"}),
    "pound": frozenset({"GBP"}),
    "quid": frozenset({"GBP"}),
    "pfund": frozenset({"GBP"}),
    "livre": frozenset({"GBP"}),
    "libra": frozenset({"GBP"}),
    "penny": frozenset({"GBP", "USD"}),
    "pennie": frozenset({"GBP", "USD"}),
    "pence": frozenset({"GBP"}),
    "centime": frozenset({"EUR", "CHF"}),
    "céntimo": frozenset({"EUR"}),
    "¥": frozenset({"JPY", "CNY"}),
    "yen": frozenset({"JPY"}),
    "yuan": frozenset({"CNY"}),
    "₹": frozenset({"INR"}),
    "rupee": frozenset({"INR", "PKR", "LKR"}),
    "₩": frozenset({"KRW"}),
    "zł": frozenset({"PLN"}),
    "kr": _CROWNS,
    "krona": _CROWNS,
    "krone": _CROWNS,
    "franc": frozenset({"CHF", "XOF", "XAF"}),
    "franken": frozenset({"CHF"}),
    "real": frozenset({"BRL"}),
    "peso": frozenset({"MXN", "ARS", "CLP", "COP", "PHP"}),
} | {
    code.lower(): frozenset({code})
    for code in (
        *("USD", "EUR", "GBP", "CAD", "AUD", "NZD", "CHF", "JPY", "CNY", "INR", "SEK", "NOK", "DKK", "PLN"),
        *("CZK", "HUF", "RON", "BGN", "TRY", "BRL", "MXN", "ZAR", "SGD", "HKD", "KRW", "THB", "IDR", "MYR"),
        *("PHP", "VND", "AED", "SAR", "ILS"),
    )
}
_SMALL = frozenset({"cent", "penny", "pence", "centime", "céntimo", "pennie"})
_SYMBOL = r"(?:US|CA|AU|NZ|HK|[CASR])?\$|[€£¥₹₩]"
_SCALES = {"k": 1e3, "mn": 1e6, "bn": 1e9}
_FIGURE = re.compile(rf"(?<![\w.,#])(?:{PLAIN})|(?<=[$€£¥₹₩])(?:{PLAIN})|(?<=[A-Z]{{3}})(?:{PLAIN})")
_BEFORE = re.compile(
    rf"(?P<sign>(?<![\w)])[-–]|\bminus )?(?:(?P<unit>{_SYMBOL}|\b[A-Z]{{3}})\s?)?(?P<inner>[-–])?$"
)
_SCALE = re.compile(rf"\s?({'|'.join(_SCALES)})\b", re.IGNORECASE)
_AFTER = re.compile(rf"[\s-]?({_SYMBOL}|[^\W\d_]+)")
_CENTS = re.compile(r"\s(?:(?:and|und|et|y|con|e)\s)?(\d{1,2})(?:\s([^\W\d_]+)|(?=\s*(?:[.,;:!?)]|$)(?!\d)))")
_SPOKEN = re.compile(r"(?<![\w.,$€£-])(\d{1,3}) (\d{2})(?![\w]|[.,]\d| \d)")


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of money, where it stands in the text, and what currencies it may be in; none are told where
    nobody named one."""

    value: float
    currencies: frozenset[str]
    start: int
    end: int

    def may_be(self, currency: str) -> bool:
        """Whether it may be in this currency, by its code."""
        return not self.currencies or currency.upper() in self.currencies

    def same(self, other: Amount) -> bool:
        """Whether both may be one amount."""
        together = not self.currencies or not other.currencies or self.currencies & other.currencies
        return bool(together) and abs(self.value - other.value) < 0.005


def amounts(text: str, language: str = "en") -> list[Amount]:
    """The amounts of money that a text names: numbers with a currency, and numbers with two decimals.

    >>> [amount.value for amount in amounts("-£2,310.55, or 42 dollars and 5 cents, not 7 days")]
    [-2310.55, 42.05]
    """
    written = in_digits(text, language)
    found: list[Amount] = []
    at = 0
    while (match := _FIGURE.search(written, at)) is not None:
        amount = _amount(written, match)
        if amount is not None:
            found.append(amount)
        at = match.end() if amount is None else amount.end
    for match in _SPOKEN.finditer(written):
        aloud = match[0] not in text and int(match[2]) >= 10
        if aloud and not any(one.start < match.end() and match.start() < one.end for one in found):
            found.append(Amount(float(f"{match[1]}.{match[2]}"), frozenset(), *match.span()))
    return sorted(found, key=lambda one: one.start)


def _amount(text: str, match: re.Match[str]) -> Amount | None:
    """The amount around a figure; None where it is not an amount."""
    value, end = value_of(match[0]), match.end()
    if text[end : end + 2].strip(".,") != text[end : end + 2] and text[end + 1 : end + 2].isdigit():
        return None  # a version, or an address
    before = _BEFORE.search(text, max(0, match.start() - 8), match.start())
    unit = before["unit"] if before else None
    if (scale := _SCALE.match(text, end)) is not None:
        value, end = value * _SCALES[scale[1].lower()], scale.end()
    currencies = _CURRENCIES.get(unit.lower()) if unit else None
    after = _AFTER.match(text, end)
    name = _name(after[1]) if after else None
    if currencies is None and after is not None and name is not None:
        currencies, end = _CURRENCIES[name], after.end()
        if name in _SMALL:
            value /= 100
        elif (cents := _CENTS.match(text, end)) and _ends_amount(cents[2]):
            value, end = value + int(cents[1]) / 100, cents.end(1)
    elif currencies is not None and name is not None and currencies & _CURRENCIES[name] and after is not None:
        end = after.end()
    decimals = re.search(r"[.,](\d{2})$", match[0])
    measured = re.match(r"\s?(?:%|percent)|[^\W\d_]", text[end : end + 8])
    if currencies is None and (decimals is None or measured):
        return None
    negative = before is not None and bool(before["sign"] or before["inner"])
    start = match.start() if before is None else before.start()
    return Amount(-value if negative else value, currencies or frozenset(), start, end)


def _ends_amount(word: str | None) -> bool:
    """Whether what stands after two more digits makes them cents: "42 euros 50 a month"."""
    return word is None or word.casefold() in BETWEEN or _name(word) in _SMALL


def _name(word: str) -> str | None:
    """The currency that a word names, in the singular."""
    folded = word.casefold()
    forms = (folded, folded.removesuffix("s"), folded.removesuffix("es"), folded.removesuffix("n"))
    return next((form for form in forms if form in _CURRENCIES or form in _SMALL), None)
