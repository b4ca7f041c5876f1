"""Rules for facts that a caller has from nowhere.

Each returns the words at fault, or None; its docstring is what the report says of them."""

from __future__ import annotations

import re

from simulate.conversation.callers.facts import spoken_digits, squeezed
from simulate.conversation.callers.heard_lines import HeardLine
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario

_TOKEN = re.compile(r"[\w@.+-]*\w")
_ID_BEFORE = re.compile(
    r"\b(?:order|booking|reservation|reference|ref|confirmation|ticket|case|account|customer|tracking|invoice|"
    r"policy|member|id|code|pnr|number|flight|ending|ends)\b(?:\s+(?:is|it's|number|no|code|id|in|with|on))*\W+$",
    re.IGNORECASE,
)
_MEASURE = re.compile(
    r"^\s*(?:%|percent|days?|weeks?|months?|years?|hours?|minutes?|mins?|o'clock|am\b|pm\b|times?|people)",
    re.I,
)


def unknown_id(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """names an id that it has from nowhere"""
    known = squeezed(heard.known).replace(" ", "")
    line = spoken_digits(heard.line)
    for match in _TOKEN.finditer(line):
        token = match[0]
        before, after = line[: match.start()], line[match.end() :]
        if before.rstrip().endswith(("$", "€", "£")) or _MEASURE.match(after):
            continue
        digits, letters = sum(c.isdigit() for c in token), sum(c.isalpha() for c in token)
        shaped = (digits >= 3 and letters) or digits >= 5 or ("_" in token and digits) or "@" in token
        shaped = shaped or (len(token) >= 5 and digits and letters and token == token.upper())
        shaped = shaped or (digits >= 3 and _ID_BEFORE.search(before) is not None)
        spelled = letters >= 5 and token.isupper() and token.isalpha() and not heard.line.isupper()
        consonants = re.search(r"[B-DF-HJ-NP-TV-XZ]{4}", token) is not None
        if spelled and (_ID_BEFORE.search(before) or consonants):
            shaped = True
        if shaped and squeezed(token).replace(" ", "") not in known:
            return token
    return None


_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen "
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: number for number, word in enumerate(_UNITS.split())} | {
    word: 10 * number for number, word in enumerate(_TENS.split(), 2)
}
_WORDED = re.compile(
    rf"\b((?:{'|'.join(_VALUES)}|hundred|thousand|and)(?:[ -](?:{'|'.join(_VALUES)}|hundred|thousand|and))*)"
    r"\s+(?:dollars?|bucks?|euros?|pounds?)\b",
    re.IGNORECASE,
)
_PAID = re.compile(
    r"\b(?:paid|i pay|charged|cost|costs|price|billed|worth|fare|total)\b[^.?!]{0,20}$"
    r"|\b(?:it was|i bought|i ordered)\b[^.?!]{0,40}\bfor $",
    re.IGNORECASE,
)
"""Right before an amount, this states it as having been."""
_FIGURE = re.compile(
    r"(?:[$€£]\s*)(\d[\d,]*(?:\.\d+)?)|(\d[\d,]*(?:\.\d+)?)\s*(?:dollars|bucks|euros|pounds)\b", re.I
)


def unknown_price(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """states a price that it has from nowhere"""
    known = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", heard.known.replace(",", ""))}
    said = [(match, _worded(match[1])) for match in _WORDED.finditer(heard.line)]
    said += [
        (match, float((match[1] or match[2]).replace(",", ""))) for match in _FIGURE.finditer(heard.line)
    ]
    return next(
        (
            match[0]
            for match, value in said
            if value not in known
            and _PAID.search(heard.line[: match.start()])
            and "?" not in heard.line[match.end() :]
        ),
        None,
    )


def _worded(text: str) -> float:
    total = part = 0
    for word in re.split(r"[ -]", text.lower()):
        if word == "hundred":
            part = max(part, 1) * 100
        elif word == "thousand":
            total, part = total + max(part, 1) * 1000, 0
        else:
            part += _VALUES.get(word, 0)
    return float(total + part)


_TERM = re.compile(r"\b(\d+)\s*(?:to|or|-|–)\s*(\d+)\s+(?:business|working)?\s*(?:days|weeks|hours)\b", re.I)


def unknown_term(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """announces how long something takes, which only the other side can know"""
    match = _TERM.search(heard.line)
    if match is None or "?" in heard.line[match.end() :] or match[2] in re.findall(r"\d+", heard.known):
        return None
    return match[0]
