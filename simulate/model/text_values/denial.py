"""Whether a text says a value, denies it, or leaves that open: "not on 1 December", "it is not 42.50"."""

from __future__ import annotations

import re
from typing import Literal

Stance = Literal["said", "denied", "open"]

_NOT = (
    r"\b(?:not|cannot|never|neither|nor|no longer|without)\b|n[’']t\b|\b(?:nicht|kein\w*|nie(?:mals)?)\b"
    r"|\b(?:pas|jamais|nunca|non|mai|não|niet|geen|nooit)\b"
)
_INSTEAD_OF = (
    r"\b(?:rather than|instead of|(?:an)?statt|au lieu d[eu]|en (?:lugar|vez) de|invece d\w+|em vez d\w+"
    r"|in plaats van)\b"
)
_REFUSALS = (
    r"\b(?:unable|refus\w*|declin\w+|reject\w+|den(?:y|ies|ied)|fail(?:s|ed)?|far from|nothing like|hardly"
    r"|(?:i|we) wish(?:ed)?|(?:wrong|mistaken|mistake|untrue|false|incorrect|contrary)\s+(?:to|that)"
    r"|impossible|unavailable|fully booked|booked up|sold out|out of the question"
    r"|ausgebucht|unmöglich|lehn\w+|abgelehnt|complet|agotado|rechaz\w+)\b"
)
"""Without a "not", these leave open whether the value is said."""
_NO = r"\bno(?=\s)"
"""In Portuguese and Italian it says where or when."""
_LIMIT = re.compile(
    r"\b(?:until|till|before|after|by|than|only|just|bis|vor|nach|erst|nur|als|avant|après|jusqu\w+|seulement"
    r"|antes|después|hasta|solo|sólo|prima|dopo|fino|depois|até|só|voor|na|tot|dan|alleen)\b",
    re.IGNORECASE,
)
"""After a negation, these make the value a limit, which is said: "not before", "no more than", "not only"."""
_CLAUSE = re.compile(
    r"[.!?;:](?=\s|$)|,\s|\s[-–—]\s|—|\n|\b(?:but|because|so|and|since|then|therefore|however|sondern|aber|denn"
    r"|weil|und|mais|car|et|sino|pero|porque|y|ma|perché|mas|e|maar|want|en)\b",
    re.IGNORECASE,
)
_LATER_CLAUSE = re.compile(
    rf"{_CLAUSE.pattern}|\b(?:if|when|unless|that|which|who|whether|although|though|while|wenn|falls|si|se|als)\b",
    re.IGNORECASE,
)
_BETWEEN = (
    r"(?:[\s\"“'’(]|\b(?:on|at|for|in|by|to|of|from|the|a|an|be|been|is|are|was|exactly|about|possible|due|your|order"
    r"|number|code|id|or|either|again"
    r"|(?:arriv|com|deliver|cost|tak|ship|start|end|total|amount)\w*"
    r"|vom|am|den|der|die|das|um|für|sind|ist|oder|kommen|kosten|dauern|le|la|el|il|lo|les|l|de|du|da|do|dia|día|o|os"
    r"|op|het|van|per|pour|por|para|au|à|al|ou|es|son|será|è|é|sono|sera)\b|[$€£]?\d[\d.,]*(?:st|nd|rd|th)?)*"
)
"""What may stand between a negation and what it denies."""
_OTHER_VALUE = re.compile(rf"{_BETWEEN}(?<=[\s$€£])\d", re.IGNORECASE)
_WRONG = re.compile(
    r"\s+(?:is|was|would be|ist|wäre|est|es|è|é)\s+(?:wrong|incorrect|false|falsch|faux|impossible|out)\b",
    re.I,
)
_ASIDE = re.compile(rf"({_NOT}),\s[^,.!?]{{1,40}},\s", re.IGNORECASE)
_DANGLING = re.compile(
    r"(?:\b(?:will|would|can|could|do|does|did|is|are|was|has|have) not|\bcannot|n[’']t|\bnever \w+|\bnicht)"
    r"\s*,[^.!?]*$",
    re.IGNORECASE,
)
"""A negation that stops at a comma goes on after what is put in between."""
_ASIDES = re.compile(
    r"(?:\([^()]*\)|,\s(?:which|as|who|though|wie|que|qui|che)\b[^,.!?]*,|[—–][^—–.!?]*[—–])"
    r"(?=\s*(?:will|won['’]t|would|can|could|should|may|does|did|is|was|has|had)[n'’\s])",
    re.IGNORECASE,
)
"""What is put in between a value and its verb."""
_TAKEN_BACK = re.compile(
    r"[^.!?]*(?:,|;|—|\s[-–]|\bbut|\band)\s+(?:but\s+|and\s+|unfortunately\s+)*"
    rf"(?:no\s*[.,!]|(?:that|this|it)\b[^.!?,;]{{0,30}}?(?:{_NOT})[^.!?,;]{{0,20}}?"
    r"\b(?:possible|correct|right|true|coming|happen\w*|work\w*|an option|the case|so)\b"
    r"|(?:that|this|it)(?:['’]s|\s+is|\s+was|\s+would be)"
    r"\s+(?:wrong|incorrect|impossible|out of the question))",
    re.IGNORECASE,
)
"""After a value, in the same sentence."""
_ASKED_AND_DENIED = re.compile(
    r"[^.!?]*\?\W*(?:(?P<no>no(?!\s+(?:problem|worries|doubt))|nope|not|nein|non)\b"
    rf"|(?:that|this|it)\b[^.!?]{{0,20}}?(?:{_NOT})|unfortunately|i['’]m afraid|sorry|leider)",
    re.IGNORECASE,
)
"""A value in a question, and its answer."""
_NEAR = 60
"""Characters after a value in which a negation in its clause may concern it."""
_FAR = 300
"""Likewise before and after it, for one in another clause."""


def stance(text: str, start: int, end: int, language: str = "en") -> Stance:
    """What a text does with the value that stands from ``start`` to ``end``.

    ``open`` where a negation in the clause may concern the value or something else.

    >>> text = "It is not $40, you get $42. I can't send $7."
    >>> [stance(text, text.index(value), text.index(value) + len(value)) for value in ("$40", "$42", "$7")]
    ['denied', 'said', 'open']
    """
    negation = _NOT if language in ("pt", "it") else f"{_NOT}|{_NO}"
    before = _CLAUSE.split(_ASIDE.sub(r"\1 ", text[:start]))[-1]
    negations = list(re.finditer(f"{negation}|{_INSTEAD_OF}", before, re.IGNORECASE))
    if negations:
        between = before[negations[-1].end() :]
        if _LIMIT.search(between):
            return "said"
        return "denied" if re.fullmatch(_BETWEEN, between, re.IGNORECASE) else "open"
    if re.search(_REFUSALS, before, re.IGNORECASE) or _DANGLING.search(text[max(0, start - _FAR) : start]):
        return "open"
    return _stance_after(text[end : end + _FAR], negation)


def _stance_after(text: str, negation: str) -> Stance:
    """What the words after a value make of it."""
    if (answer := _ASKED_AND_DENIED.match(text)) is not None:
        return "denied" if answer["no"] else "open"
    if _TAKEN_BACK.match(text):
        return "open"
    for rest in dict.fromkeys((text, _ASIDES.sub(" ", text))):
        after = _LATER_CLAUSE.split(rest, maxsplit=1)[0][:_NEAR]
        if _WRONG.match(after):
            return "denied"
        later = re.search(f"{negation}|{_REFUSALS}", after, re.IGNORECASE)
        if later is not None and not _OTHER_VALUE.match(after, later.end()):
            return "open"
    return "said"
