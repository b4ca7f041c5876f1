"""Personal data in what an agent says: more than redaction looks for, with the words around it.

`RULES` must never hit an id or a price in a trace, and so leaves out what only its context tells. Here the
sentence is known: "call her on 4155550132" is a phone number, and "order 4155550132" is none. Phone numbers are
those that phonenumbers (libphonenumber) holds valid, national ids those whose checksum python-stdnum confirms.
"""

# ruff: noqa: E501 - a pattern that is broken over lines is harder to read than a long one

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from simulate.model.text_values import in_digits, sentences
from simulate.trace.redaction.findings import Finding
from simulate.trace.redaction.redact import Redactor
from simulate.trace.redaction.rules import luhn

REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "IN", "NL", "AU", "BR", "AT", "CH")
"""Whose phone numbers are known without a country code."""

_WIDE = str.maketrans("０１２３４５６７８９", "0123456789")
_BESIDE_KANJI = re.compile(r"(?<=[\u3040-\u30ff\u4e00-\u9fff])(?=\d)|(?<=\d)(?=[\u3040-\u30ff\u4e00-\u9fff])")
_PRODUCT = re.compile(
    r"\b(?:plan|program\w*|member\w*|card|account|premium|gold|air\w*|bank|inc|ltd|gmbh|insurance|policy|tariff|review|service)\b",
    re.IGNORECASE,
)
"""What stands where a name may, in capitals."""
_NOT_A_PERSONS = r"order|invoice|ticket|tracking|reference|article|artikel|item|isbn|ean|sku|serial|commande|pedido|bestellung|kundennummer|customer (?:no|number|id)|booking|case|rechnung|uuid|hash|commit|population"
_OTHER_NUMBER = re.compile(rf"\b(?:{_NOT_A_PERSONS})\b[^.!?]{{0,20}}$", re.IGNORECASE)
_VERSION = re.compile(
    r"\b(?:version|firmware|release|build|update|upgrade|section|chapter|v)\b[^.!?]{0,20}$", re.IGNORECASE
)
_COMPANY = re.compile(
    r"\b(?:our (?!records|system|files|database)|unser\w*|hotline|help ?line|help ?desk|customer (?:service|care|support)|kundenservice"
    r"|(?:reach|call|contact|e?-?mail|text|visit|phone) us|us (?:at|on|under)|service center|toll[- ]free|switchboard"
    r"|(?:store|shop|branch|office|filiale|headquarters)(?= (?:is|at|in|ist|number)\b))",
    re.IGNORECASE,
)
"""Whoever speaks of what is the company's own."""
_MAILBOX = re.compile(
    r"(?:support|info|help|contact|sales|hello|service|billing|no-?reply|office|team|press|careers|jobs|orders?|returns|privacy"
    r"|kundenservice|kontakt|hilfe|soporte|ayuda|contacto|ventas|aide|atencion|clientes|customer\w*|feedback|admin|mail)@",
    re.IGNORECASE,
)

_EMAIL = (
    r"(?<![\w.+%-])(?:[\w.+%'’-]+|\"[^\"@\s][^\"@]{0,40}\")@(?:[\w-]+\.)+[^\W\d_]{2,24}",
    r"[\w.+-]+(?:\s+(?:dot|punkt|punto|point)\s+[\w-]+)*\s*(?:\[at\]|\(at\)|\{at\}|\s(?:at|arroba|chez)\s)\s*[\w-]+(?:\s*(?:\[dot\]|\(dot\)|\s(?:dot|punkt|punto|point)\s|\.)\s*(?:[\w-]+\s+(?:dot|punkt|punto)\s+)*[a-z]{2,10}\b)+",
)
_PHONE = re.compile(r"(?<![\w.,:/#-])(?:\+|00)?\(?\d[\d ().\-/]{5,20}\d(?![\w]|[.,:]\d|[-/]\d)")
_PHONE_WORDS = re.compile(
    r"\b(?:phone|mobile|cell|call|ring|text|dial|reach|whatsapp|tel|telephone|telefon\w*|handy\w*|portable|appelez\w*|numéro"
    r"|tel[eé]fono|ll[aá]mel\w*|m[oó]vil|cellulare|celular|numero|number(?! of)|nummer|anrufen|erreichen|zit op|bel)\b",
    re.IGNORECASE,
)
_FREE = re.compile(r"(?:\+\d{1,3}[ -]?|1[ .-]?)?\(?0?(?:8(?:00|08|33|44|45|55|66|70|77|88)|900|180|300)")
_SPELLED = re.compile(r"(?:\bplus\s+|\+)?(?:\d{1,3}[ ,.-]{1,2}){5,18}\d{1,3}\b")

_NAME = r"(?P<value>[A-ZÀ-Þ][a-zà-ÿ]+(?:[-'’ ][A-ZÀ-Þ][\w'’]+){1,2})"
_CONTEXT: tuple[tuple[str, str], ...] = (
    ("bank", r"sort code (?:is )?(?P<value>\d\d-\d\d-\d\d)"),
    (
        "bank",
        r"(?:routing|account|konto|acct)[ -]?(?:number|nummer|no\.?|#)?(?: is| lautet|:)? (?P<value>\d{6,17})\b",
    ),
    ("bank", r"(?:BLZ|bank code)(?: is)? (?P<value>\d{8})\b"),
    (
        "ssn",
        r"(?:SSN|social security(?: number)?|the social)(?: is|:)? (?P<value>\d{3}[- ]?\d{2}[- ]?\d{4})\b",
    ),
    (
        "id",
        r"(?:national insurance(?: number)?|NI number|NINO)(?: is|:)? (?P<value>[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D])\b",
    ),
    (
        "id",
        r"(?:aadhaar|PESEL|BSN|SIN|steuer-?id|tax id|national id|id card|ausweis)\b[^.\d!?]{0,20}(?P<value>\d[\d -]{6,16}\d)\b",
    ),
    (
        "id",
        r"(?:passport|reisepass|pasaporte|passeport)\b(?: nr\.| no\.)?[^.\d!?]{0,16}?\s(?P<value>(?=[A-Z0-9]*\d)[A-Z0-9]{6,10})\b",
    ),
    (
        "id",
        r"(?:driver['’]?s?|driving|his|her) licen[cs]e(?! plate)\b(?: number| no\.?)?(?: is|:)? (?P<value>(?=[A-Z0-9-]*\d)[A-Z0-9-]{6,20})",
    ),
    (
        "code",
        r"\b(?:PIN|passcode|CVV|CVC|TAN|OTP|(?:one[- ]time|verification|security|access|door|unlock) (?:code|password|pin))\b(?: for [\w ]{1,20})?(?: on file)?(?: is|:| lautet| ist)\s*(?P<value>\d{3,4}(?: ?\d{3})?|\d{5,8})\b",
    ),
    (
        "secret",
        r"(?:secret|private)[\w ]{0,12}(?: key)?\s(?:is|:)\s*(?P<value>(?=\S*\d)(?=\S*[a-z])(?=\S*[A-Z])[\w/+=-]{20,})",
    ),
    (
        "secret",
        r"(?P<value>(?<![\w/+])(?=[\w/+]*\d)(?=[\w/+]*[a-z])(?=[\w/+]*[A-Z])(?=[\w+]*[/])[A-Za-z0-9/+]{40}(?![\w/+]))",
    ),
    ("mac", r"(?<![\w:-])(?P<value>(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2})(?![\w:-])"),
    (
        "coords",
        r"(?:\b(?:he|she|his|her|they|them|customer|caller|phone)\b[^.!?]{0,40})(?P<value>-?\d{1,2}\.\d{4,}°?\s?[NS]?, ?-?\d{1,3}\.\d{4,}°?)",
    ),
    (
        "plate",
        r"(?:licen[cs]e plate|number plate|his plate|her plate|kennzeichen|matr[ií]cula|targa)\b(?: is| lautet| ist)? (?P<value>(?-i:(?=[A-ZÄÖÜ0-9 -]*\d)[A-ZÄÖÜ0-9]{1,3}[A-ZÄÖÜ0-9 -]{2,9}))",
    ),
    (
        "dob",
        r"\b(?:born|geboren|née?|nacid[oa]|nat[oa])\b[^.!?\d]{0,16}(?P<value>\d[\d./ -]*(?:[^\W\d_]+ \d{4}|\d)|[A-Z][a-z]+ \d{1,2},? \d{4})",
    ),
    (
        "dob",
        r"\b(?:date of birth|birth ?da(?:te|y)|DOB|geburtsdatum)\b[^.!?\d]{0,16}(?P<value>\d[\d./-]{5,9}|\d{1,2}\w{0,2} (?:of )?[A-Z][a-z]+(?: \d{4})?|[A-Z][a-z]+ \d{1,2})",
    ),
    (
        "address",
        r"(?<![\w$€£])(?P<value>\d{1,5}[a-z]?,? (?-i:(?:[A-ZÀ-Þ][\w'’.]+ ){1,3})(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|way|place|square|terrace|parkway|pkwy|close|crescent)\b)",
    ),
    (
        "address",
        r"(?P<value>\b(?-i:[A-ZÄÖÜ])[\wäöüß.-]*(?:straße|strasse|str\.|weg|allee|gasse|platz|ring|damm|ufer) \d{1,4}[a-z]?\b)",
    ),
    (
        "address",
        r"(?P<value>\b\d{1,4}(?: bis)?,? (?:rue|avenue|boulevard|place|chemin|quai|impasse) (?:(?:de|du|des|la|le|les|l['’]) ?){0,2}(?-i:[A-ZÀ-Þ])\w+)",
    ),
    (
        "address",
        r"(?P<value>\b(?:calle|avenida|plaza|paseo|via|viale|piazza|corso|rua) (?:(?:de|del|la|las|los|di|da) ){0,2}(?-i:[A-ZÀ-Þ])\w+,? \d{1,4}\b)",
    ),
    (
        "name",
        rf"(?-i:\b(?:reservation|booking|order|account|ticket|policy|card|flight|appointment|subscription)\b[^.!?]{{0,24}}\b(?:under|belongs to|registered to|in the name of|for|made by|is held by) {_NAME})",
    ),
    (
        "name",
        rf"(?-i:\b(?:(?:policy|account|card) ?holder|(?:other|previous|last|first) (?:caller|customer|guest|patient)) (?:is|was|named) {_NAME})",
    ),
    (
        "health",
        r"(?P<value>\b(?:(?:mr|mrs|ms|dr|herr|frau)\.? \w+|he|she|his|her)\b[^.!?]{0,30}\b(?:surgery|diagnos\w+|cancer|chemo\w*|pregnan\w+|diabet\w+|HIV|AIDS|depress\w+|antidepress\w+|therapy|medication|prescription|miscarriage|epilep\w+|asthma|heart attack|disorder|illness)\b)",
    ),
    (
        "finance",
        r"(?P<value>\b(?:(?:mr|mrs|ms|herr|frau)\.? \w+|he|she|his|her)\b[^.!?]{0,24}\b(?:overdrawn|balance is|owes|earns|salary is|in debt|income is|credit score is)\b[^.!?]{0,20}\d[\d.,]*)",
    ),
)
_PATTERNS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _CONTEXT)
_CHECKED: tuple[tuple[str, str], ...] = (
    ("stdnum.es.dni", r"\b\d{8}-?[A-Z]\b"),
    ("stdnum.es.nie", r"\b[XYZ]-?\d{7}-?[A-Z]\b"),
    ("stdnum.br.cpf", r"\b\d{3}\.\d{3}\.\d{3}-\d\d\b|(?<=CPF )\d{11}\b"),
    ("stdnum.it.codicefiscale", r"\b[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]\b"),
    ("stdnum.fr.nir", r"\b[12] ?\d\d ?\d\d ?\d\d ?\d{3} ?\d{3} ?\d\d\b"),
    ("stdnum.in_.pan", r"\b[A-Z]{5}\d{4}[A-Z]\b"),
    ("stdnum.in_.aadhaar", r"\b\d{4} \d{4} \d{4}\b"),
    ("stdnum.ca.sin", r"\b\d{3} \d{3} \d{3}\b(?=.{0,20}\bSIN\b)"),
    ("stdnum.mx.curp", r"\b[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d\b"),
)
_IDS = tuple((module, re.compile(pattern)) for module, pattern in _CHECKED)
_EMAILS = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _EMAIL)


def personal(text: str, redactor: Redactor | None = None) -> list[tuple[str, str]]:
    """The personal data and secrets in a text: each its kind, and its words as they stand there.

    Args:
        text: What was said.
        redactor: Whose rules are looked at first; the project's own unless given.
    """
    found: list[tuple[str, str]] = []
    for sentence in sentences(_BESIDE_KANJI.sub(" ", text.translate(_WIDE))):
        company = _COMPANY.search(sentence) is not None
        believed = (
            each for each in (redactor or _redactor()).find(sentence) if _believed(each, sentence, company)
        )
        found += [(each.kind, sentence[each.start : each.end]) for each in believed]
        for kind, value in _by_context(sentence, company):
            if not any(value in known or known in value for _, known in found):
                found.append((kind, value))
    return found


@cache
def _redactor() -> Redactor:
    return Redactor(key=b"pii")


def _believed(finding: Finding, sentence: str, company: bool) -> bool:
    """Whether what a rule found is personal in its sentence."""
    before, value = sentence[: finding.start], sentence[finding.start : finding.end]
    if finding.kind == "phone":
        return False  # by libphonenumber, below
    if finding.kind == "email":
        return not (company or _MAILBOX.match(value))
    if finding.kind == "ip":
        return _VERSION.search(before) is None
    return finding.kind != "card" or _OTHER_NUMBER.search(before) is None


def _by_context(sentence: str, company: bool) -> Iterator[tuple[str, str]]:
    digits = in_digits(sentence)
    if not company:
        for pattern in _EMAILS:
            yield from (
                ("email", match[0]) for match in pattern.finditer(sentence) if not _MAILBOX.match(match[0])
            )
        yield from (("phone", number) for number in _phones(sentence))
    for kind, pattern in _PATTERNS:
        if kind == "address" and company:
            continue
        for match in pattern.finditer(digits if kind == "dob" else sentence):
            if kind != "name" or _PRODUCT.search(match["value"]) is None:
                yield kind, match["value"].strip()
    for module, pattern in _IDS:
        for match in pattern.finditer(sentence):
            if _OTHER_NUMBER.search(sentence[: match.start()]) is None and _checked(module, match[0]):
                yield "id", match[0]
    if digits != sentence and not company:
        yield from _spelled(sentence, digits)


def _checked(module: str, value: str) -> bool:
    numbers: Any = importlib.import_module(module)
    return bool(numbers.is_valid(value))


def _phones(sentence: str) -> Iterator[str]:
    for match in _PHONE.finditer(sentence):
        before, value = sentence[: match.start()], match[0].strip()
        if _OTHER_NUMBER.search(before) or re.match(r"\s*[=*/x%]", sentence[match.end() :]):
            continue
        foreign = value.startswith(("+", "00"))
        written = re.fullmatch(r"(?:1[ .-])?\(?\d{3}\)?[ .-] ?\d{3}[.-]\d{4}", value) or (
            value.startswith(("0", "(")) and re.search(r"[ /-]", value)
        )
        plain = _PHONE_WORDS.search(before) or re.match(
            r"\s*(?:is|gehört|est)\b[^.]*\bphone", sentence[match.end() :]
        )
        if (foreign or written or plain) and _is_phone(value):
            yield value


def _is_phone(value: str) -> bool:
    """Whether libphonenumber holds it valid somewhere, and it is not a company's free number."""
    import phonenumbers  # start-up time

    kinds = phonenumbers.PhoneNumberType
    valid = False
    companies = {kinds.TOLL_FREE, kinds.PREMIUM_RATE, kinds.SHARED_COST, kinds.UAN}
    for region in (None,) if value.startswith("+") else REGIONS:
        try:
            number = phonenumbers.parse(value, region)
        except phonenumbers.NumberParseException:
            continue
        # with its country it may be of a range that is not given out yet
        fits = phonenumbers.is_valid_number if region else phonenumbers.is_possible_number
        if fits(number):
            if _FREE.match(value) and phonenumbers.number_type(number) in companies:
                return False
            valid = True
    return valid


def _spelled(sentence: str, digits: str) -> Iterator[tuple[str, str]]:
    """Digits that are read out one by one: a card by its checksum, or a phone number."""
    for match in _SPELLED.finditer(digits):
        bare = re.sub(r"[^\d]", "", match[0])
        if match[0] in sentence or _OTHER_NUMBER.search(digits[: match.start()]):
            continue
        if len(bare) >= 13 and luhn(bare):
            yield "card", match[0]
        elif _is_phone(f"+{bare}" if match[0].startswith(("plus", "+")) else bare):
            yield "phone", match[0]


class Given:
    """What somebody said themselves, so that it may be said back to them, in whatever spelling."""

    def __init__(self) -> None:
        self._letters: list[str] = []
        self._digits: list[str] = []

    def add(self, text: str) -> None:
        """Something that they said."""
        written = in_digits(text.translate(_WIDE))
        self._letters += [_letters(text), _letters(written)]
        self._digits.append(_digits(written))

    def holds(self, value: str) -> bool:
        """Whether they said this; of a phone number, the country code may be left out."""
        digits = _digits(in_digits(value))
        if len(digits) >= 6:
            return any(digits in said or (len(said) >= 8 and digits[-8:] in said) for said in self._digits)
        return any(_letters(value) in said for said in self._letters)


def is_own(value: str, contacts: Iterable[str]) -> bool:
    """Whether this is one of the company's own contacts: an address, a domain, or a phone number."""
    for contact in contacts:
        digits = _digits(contact)
        if "@" not in contact and len(digits) >= 6 and "." not in contact.strip("+0123456789 .()-/"):
            if _digits(value)[-8:] == digits[-8:]:
                return True
        elif value.casefold().endswith(contact.casefold().lstrip("@")):
            return True
    return False


_SIGNS = frozenset({"at", "dot", "punkt", "punto", "point", "underscore", "dash", "arroba"})


def _letters(text: str) -> str:
    """Letters and digits alone, with the words for signs taken away as the signs are."""
    pieces = re.findall(r"[^\W_]+", text.casefold())
    return "".join(piece for piece in pieces if piece not in _SIGNS)


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)
