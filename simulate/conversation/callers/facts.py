"""Facts in what people say, taken out by rule: ids, amounts, e-mails, phone numbers, dates, names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, cast

Kind = Literal["id", "amount", "email", "phone", "date", "name"]

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(r"https?://\S+")
_AMOUNT = re.compile(
    r"(?:[$€£¥]|(?:usd|eur|gbp)\s)\s*(\d[\d,]*(?:\.\d{1,2})?)"
    r"|(\d[\d,]*(?:[.,]\d{1,2})?)\s*(?:[$€£]|dollars?\b|bucks?\b|euros?\b|pounds?\b|usd\b|eur\b|gbp\b)",
    re.I,
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}\b\.?(?:,? (\d{{4}}))?", re.I)
_MONTH_DAY = re.compile(rf"\b{_MONTH}\.? (\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (\d{{4}}))?", re.I)
_SLASHED = re.compile(r"\b(\d{1,2})[/.](\d{1,2})[/.](\d{2}|\d{4})\b")
_TIME = re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?\s*(?:am|pm)?\b|\b\d{1,2}\s*(?:am|pm|o'clock)\b", re.I)
_PHONE = re.compile(r"(?<![\w-])\+?\(?\d[\d\s().x/-]{5,}\d(?![\w-])")
_NAME = re.compile(
    r"\b(?i:my name is|my name's|my full name is|name's|i am called|i'm called)\s+"
    r"([A-Z][\w'’-]+(?: [A-Z][\w'’-]+){0,2})"
    r"|\b(?:I'm|I’m|I am|[Tt]his is) ([A-Z][a-z'’-]+ [A-Z][a-z'’-]+)(?=\W*(?:$|[.,!]| and\b| speaking\b))"
)
_ID_WORD = (
    r"order|booking|reservation|reference|ref|confirmation|ticket|case|account|customer|tracking|invoice|"
    r"policy|member|membership|flight|serial|contract|claim|pedido|bestellung|bestellnummer|commande|reserva"
)
_TOKEN = r"#?([A-Z]{0,5}[-_]?\d[A-Z0-9]*(?:-[A-Z0-9]+)*)(?![\w.,]*\d)"
_ID = re.compile(rf"\b(?:{_ID_WORD})\b(?P<gap>[^.?!\n\d]{{0,28}}?){_TOKEN}", re.I)
_ASKED_ID = re.compile(
    rf"\b(?:{_ID_WORD})\b.{{0,20}}\b(?:number|id|code|no)\b|\b(?:{_ID_WORD})\b[^?]*\?|\bnumber\b[^?]*\?", re.I
)
_BARE = re.compile(
    r"\W*(?:(?:sure|yes|yeah|ok|okay|um|uh|hi|it is|it's|its|it was|that's|that is|here it is|the number is"
    rf"|number|is)\W+)*{_TOKEN}\W*(?:please|thanks|thank you|i think)?\W*",
    re.I,
)
_UNIT = re.compile(
    r"\s*(?:%|percent|days?|weeks?|months?|years?|hours?|minutes?|mins?|seconds?|times?|people|persons|guests|items?"
    r"|pieces?|stars?|points?|credits?|of us"
    r"|am\b|pm\b|st\b|nd\b|rd\b|th\b|euros?|dollars?|bucks?|pounds?|kg|km|miles?)",
    re.I,
)
_SPOKEN = {
    "zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9",
}  # fmt: skip
_SPELLED = re.compile(rf"\b(?:{'|'.join(_SPOKEN)})(?:[\s,-]+(?:{'|'.join(_SPOKEN)})){{2,}}\b", re.I)


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as it was said, and in the form in which two of its kind can be compared."""

    kind: Kind
    said: str
    value: str


@dataclass(slots=True)
class Known:
    """All that a caller may say: what it knows, and what it was told."""

    values: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    text: str = ""
    """Everything, squeezed to letters and digits: an id that stands anywhere in it is known."""

    def add(self, text: str, *, names: bool = False) -> None:
        """Take in a text that the caller has from somewhere."""
        text = spoken_digits(text)
        for fact in facts(text):
            self.values.setdefault(fact.kind, set()).add(fact.value)
        self.text += " " + squeezed(text)
        if names:
            self.values.setdefault("name", set()).update(re.findall(r"\w+", text.lower()))

    def has(self, fact: Fact) -> bool:
        """Whether the caller has this fact from somewhere."""
        known = self.values.get(fact.kind, set())
        if fact.value in known:
            return True
        match fact.kind:
            case "id":
                return fact.value in self.text.replace(" ", "") if len(fact.value) >= 3 else True
            case "phone":
                return fact.value in re.sub(r"\D", "", self.text) or any(
                    one[-7:] == fact.value[-7:] for one in known
                )
            case "amount":
                return any(abs(float(one) - float(fact.value)) < 0.005 for one in known)
            case "date":
                return any(_same_date(one, fact.value) for one in known)
            case "name":
                return any(word in known for word in fact.value.split())
            case "email":
                return False


def spoken_digits(text: str) -> str:
    """``four four one seven`` → ``4417``."""
    return _SPELLED.sub(lambda m: "".join(_SPOKEN[w.lower()] for w in re.findall(r"[A-Za-z]+", m[0])), text)


def squeezed(text: str) -> str:
    """Letters and digits only, in upper case, words apart."""
    return re.sub(r"[^\w ]|_", "", re.sub(r"[\n\t]", " ", text)).upper()


def texts_of(value: Any) -> Iterable[str]:
    """Every text in nested data, with numbers and booleans as text."""
    if isinstance(value, dict):
        for key, one in cast("dict[Any, Any]", value).items():
            for text in texts_of(one):
                # the key tells what the number is: "order_id 4417", "total $42.50"
                yield f"{str(key).replace('_', ' ')} {text}"
                yield text
    elif isinstance(value, list | tuple):
        for one in cast("list[Any]", value):
            yield from texts_of(one)
    elif isinstance(value, float):
        yield f"{value:.2f} dollars"
    elif value is not None:
        yield str(value)


def facts(text: str, asked: str = "") -> list[Fact]:
    """The facts that a text states; ``asked`` is what the other side said before it."""
    found: list[Fact] = []
    rest = spoken_digits(text)

    def take(kind: Kind, pattern: re.Pattern[str], value: Callable[[re.Match[str]], str | None]) -> None:
        nonlocal rest
        for match in pattern.finditer(rest):
            made = value(match)
            if made:
                found.append(Fact(kind, match[0].strip(), made))
        rest = pattern.sub(lambda m: " " * len(m[0]) if value(m) else m[0], rest)

    rest = _URL.sub(" ", rest)
    take("email", _EMAIL, lambda m: m[0].lower())
    take("amount", _AMOUNT, lambda m: _amount(m[1] or m[2]))
    take("date", _ISO, lambda m: _date(m[1], m[2], m[3]))
    take("date", _DAY_MONTH, lambda m: _date(m[3], _month(m[2]), m[1]))
    take("date", _MONTH_DAY, lambda m: _date(m[3], _month(m[1]), m[2]))
    take("date", _SLASHED, lambda m: f"{m[1]}/{m[2]}/{m[3][-2:]}")
    rest = _TIME.sub(" ", rest)
    take("name", _NAME, lambda m: _name_in(m[1] or m[2]))
    found += _ids(rest, asked)
    if not any(fact.kind == "id" for fact in found):
        take("phone", _PHONE, lambda m: _phone(m[0]))
    return found


def _name_in(said: str) -> str | None:
    return None if said.lower().split()[0] in _NO_NAME else said.lower()


_NO_NAME = {"not", "already", "in", "on", "spelled", "the"}


def _ids(text: str, asked: str) -> list[Fact]:
    """Numbers that are said to be of an order, a booking and the like, or that answer a question for one."""
    found = [
        Fact("id", match[0].strip(), squeezed(match[2]))
        for match in _ID.finditer(text)
        if _is_id(match[2], text[match.end() :])
    ]
    if not found and asked and _ASKED_ID.search(asked):
        bare = _BARE.fullmatch(text)
        if bare and _is_id(bare[1], ""):
            found.append(Fact("id", bare[1], squeezed(bare[1])))
    return found


def _is_id(token: str, after: str) -> bool:
    digits = sum(letter.isdigit() for letter in token)
    return digits >= 3 and not _UNIT.match(after) and not re.fullmatch(r"(?:19|20)\d\d", token)


def _amount(text: str) -> str | None:
    text = re.sub(r",(?=\d{3}\b)", "", text).replace(",", ".")
    try:
        return f"{float(text):.2f}"
    except ValueError:
        return None


def _month(name: str) -> str:
    return str(_MONTHS.index(name[:3].lower()) + 1)


def _date(year: str | None, month: str, day: str) -> str | None:
    try:
        checked = date(int(year or 2000), int(month), int(day))
    except ValueError:
        return None
    return f"{year or '????'}-{checked.month:02d}-{checked.day:02d}"


def _same_date(one: str, other: str) -> bool:
    """Equal as far as both are said; ``3/4/26`` may be March or April."""
    first, second = _readings(one), _readings(other)
    return any(a[1:] == b[1:] and (a[0] == b[0] or "????" in (a[0], b[0])) for a in first for b in second)


def _readings(value: str) -> list[tuple[str, int, int]]:
    if "/" in value:
        one, two, year = value.split("/")
        full = f"20{year}" if int(year) < 50 else f"19{year}"
        return [(full, int(one), int(two)), (full, int(two), int(one))]
    year, month, day = value.rsplit("-", 2)
    return [(year, int(month), int(day))]


def _phone(text: str) -> str | None:
    digits = re.sub(r"\D", "", text.split("x")[0])
    return digits if 7 <= len(digits) <= 15 else None
