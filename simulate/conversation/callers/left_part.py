"""Rules for lines in which a caller leaves its role, its persona or its goal.

Each returns the words at fault, or None; its docstring is what the report says of them."""

from __future__ import annotations

import contextlib
import re

from simulate.conversation.callers.heard_lines import COMMON_WORDS, HeardLine, words_of
from simulate.errors import MissingExtra
from simulate.model.language import is_language
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario

_FIRST_PERSON = re.compile(r"\b(?:i|i'm|i’m|i'd|i'll|i've|me|my|mine|we|us|our)\b", re.IGNORECASE)
_SERVED = re.compile(
    r"\bfor you\b|\byour (?:booking|order|card|account|refund|request|reservation|case)\b", re.I
)
_BRINGS = re.compile(
    r"\byou (?:can|could)\b"
    r"|\b(?:(?:got|have) (?:an?|another|one|some|the|two)|question|thing)\b.*\bfor you\b",
    re.IGNORECASE,
)
"""What a caller says to who serves, too: "Got a question for you"."""
_HOUSE = re.compile(
    r"\b(?:fly|shop|stay|bank|order|book|travel) with us\b"
    r"|\bour (?:records|policy|policies|system|website|airline)\b"
    r"|\byou would (?:like to )?(?:cancel|change|return|book|have)\b.*\?|\bshall you\b",
    re.IGNORECASE,
)


_HANDLES = (
    r"\b(?:i|we)(?:['’]ve| have|['’]ll| will|['’]m| am)? (?:just |now |already )?"
    r"(?:locat|found|find|pull|process|cancel|refund|updat|clos|approv|rebook|escalat|arrang|credit|reset|verif"
    r"|adjust|chang|extend|upgrad|renew|remov|fix)\w*(?: up)? your "
    r"(?:file|account|booking|order|reservation|request|case|profile|record|claim|contract)\b"
    r"(?! (?:confirmation|form|number|e-?mail|page|status|system|team|department))"
)
"""What a caller does to nothing of the other side's."""


def _addresses_itself(line: str, persona: Persona) -> str | None:
    """The caller's own name, said as to somebody else."""
    introduces = r"\b(?:name|i'm|i am|this is|it's|speaking|here)\b"
    if not persona.name or re.search(introduces, line, re.IGNORECASE):
        return None
    name, title = re.escape(persona.name.split()[-1]), r"(?:mr|ms|mrs|miss|dear)\.?"
    first = re.escape(persona.name.split()[0])
    found = re.search(
        rf"\bfor you, (?:{title} )?{name}|\b{title} {name}"
        r"|\b(?:you['’]re welcome|certainly|of course|absolutely|my pleasure|no problem),? "
        rf"(?:{first}|{name})\b",
        line,
        re.IGNORECASE,
    )
    return None if found is None else found[0]


def serves(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """speaks as the one who serves"""
    if (addressed := _addresses_itself(heard.line, persona)) is not None:
        return addressed
    owns = "|".join(re.escape(name.replace("_", " ")) for name in persona.knows) or "booking"
    asked_for = r"\b(?:what(?:'s|’s| is| was)|give me|tell me|have|provide|confirm) your"
    asks = rf"{asked_for} (?:{owns}) (?:number|id|code)\b"
    for pattern in (asks, _HANDLES):
        if (found := re.search(pattern, heard.line, re.IGNORECASE)) is not None:
            return found[0]
    done = re.compile(rf"\byour (?:{owns}) (?:will now|is now|has been|has now)\b", re.IGNORECASE)
    for sentence in re.findall(r"[^.!?]+[.!?]*", heard.line):
        if (found := _HOUSE.search(sentence) or done.search(sentence)) is not None:
            return found[0]
        if "?" in sentence or _FIRST_PERSON.search(sentence) or heard.before == "":
            continue
        if (found := _SERVED.search(sentence)) is not None and not _BRINGS.search(sentence):
            return sentence.strip()
    return None


_REPORTED = re.compile(r"\b(?:if|that|whether|when|once|until|why|so|says?|said)\b", re.IGNORECASE)


def announces(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """says that what it wants is done, though nobody told it so"""
    found = re.search(
        r"\b(?:is|are|has been|have been|was) (?:now |already |all )?"
        r"(cancel\w*|refunded|booked|changed|rebooked|updated|processed|issued|shipped|reset)\b[^?]*$",
        heard.line,
        re.IGNORECASE,
    )
    if found is None or _REPORTED.search(heard.line[: found.start()]):
        return None
    if found[1][:6].lower() in " ".join(heard.agent).lower() and "?" not in heard.before:
        return None
    if not re.search(r"\b(?:will arrive|arrive|you|your|now)\b", heard.line, re.I):
        return None
    return found[0]


_BOTH = re.compile(r"\?\s*(?:--|—|–|\n)\s*\w+|(?:--|—)\s*\w+[^?]*\?\s*(?:--|—)", re.IGNORECASE)


def both_sides(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """asks and answers for both sides"""
    found = _BOTH.search(heard.line)
    return None if found is None else found[0].strip()


_META = re.compile(
    r"\b(?:role-?play\w*|traits?\s*:|i know\s*:|my (?:profile|persona|goal|instructions|prompt|script)\b"
    r"|profile above|option 1:.*\boption 2:"
    r"|\bwhat \w+ (?:would|might|could) say\b|(?:goal|persona|output)\s*:"
    r"|as (?:per|given in) (?:my|the) (?:instructions|profile|prompt|persona|role)"
    r"|the (?:task|goal|scenario|conversation) is (?:complete|done|over|reached)"
    r"|^(?:the )?(?:customer|caller|user) (?:wants|asks|is|says|confirms|agrees|replies|declines)\b"
    r"|character sheet|next (?:user )?(?:utterance|turn)\b"
    r"|the persona\b|the user (?:\w+ly )?(?:wants|asks|is|has|gives|confirms|would|should|says)\b"
    r"|let me (?:write|compose|draft)"
    r"|act as\b|first message|as instructed|simulat\w+"
    r"|in character|in this (?:scenario|simulation)|i am to (?:get|find|ask|cancel|make|call)|must find out)",
    re.IGNORECASE,
)


_RAW = re.compile(r"<\|\w+\|>|\[/?INST\]|</?s>|^\s*\{\s*\"\w+\"\s*:")
"""What belongs to a model's format and not to its words."""
_ASIDE = re.compile(r"\s*(?:\(.{12,}\)|\[.{12,}\]|\*[^*]{12,}\*)\s*", re.DOTALL)
"""A line that is nothing but a direction to a stage."""


def meta(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """speaks of its task instead of carrying it out"""
    found = _META.search(heard.line) or _RAW.search(heard.line) or _ASIDE.fullmatch(heard.line)
    if found is not None:
        return None if found[0].lower() in heard.known.lower() else found[0]
    traits = [trait for trait in persona.traits if re.search(rf"\b{re.escape(trait)}\b", heard.line, re.I)]
    return " ".join(traits) if len(traits) >= 2 else None


_LANGUAGES = re.compile(r"bilingual|language|accent|spanish|german|french|italian", re.IGNORECASE)


def other_language(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """speaks a language that is not its own, or none at all"""
    own_code = persona.speaks.language.partition("-")[0].partition("_")[0].lower()
    own = COMMON_WORDS.get(own_code)
    if own is None or _LANGUAGES.search(heard.known):
        return None
    words = words_of(heard.line)
    known = set(words_of(heard.known))
    if len(words) < 2 or any(word in own for word in words):
        return None
    others = {
        code: sum(word in said for word in words) for code, said in COMMON_WORDS.items() if said is not own
    }
    strange = sum(word not in known for word in words)
    foreign = max(others.values()) >= 2 and max(others.values()) >= len(words) / 3
    unknown = len(words) >= 5 and strange >= len(words) - 1
    if not (foreign or unknown):
        return None
    # few words of a good caller are often none of the commonest
    with contextlib.suppress(MissingExtra):
        return heard.line if is_language(heard.line, own_code) is False else None
    return heard.line if foreign else None


def echoes(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """says what the agent has just said"""
    words, before = words_of(heard.line), words_of(heard.before)
    begins = len(words) >= 8 and "?" not in heard.line and words == before[: len(words)]
    return heard.line if begins or (len(words) >= 6 and words == before) else None


def nothing(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """says nothing"""
    return None if re.search(r"\w|[?!]|[^\x00-\x7f…]", heard.line) else repr(heard.line)


_WANTS = re.compile(
    r"\b(?:i (?:also )?(?:want|need|would like|demand|expect)|i'd (?:also )?like"
    r"|tell me|give me|sing me|recommend|suggest|find me|show me|and)"
    r" (?:also |to have |me )?(?:a|an|some|another)\s+((?:\w+\s+)?\w+)",
    re.IGNORECASE,
)
_ASKS = re.compile(r"\b(?:do|did|would|will|should|shall|if|when|whether|unless)\s*$", re.IGNORECASE)
"""Right before "I need a new card", this only asks whether it does."""
_NEUTRAL = frozenset(
    {
        "question", "problem", "issue", "moment", "minute", "second", "bit", "favor", "favour", "hand",
        "way", "answer", "update", "confirmation", "email", "receipt", "refund", "reservation",
        "booking", "flight", "order", "number", "person", "human", "agent", "manager", "supervisor",
        "idea", "look", "quick", "little", "few", "help", "assistance", "hurry", "clarification",
        "explanation", "reply", "response", "solution", "copy", "list", "note", "reason", "date", "time"
    }
)  # fmt: skip
"""What anybody may ask for on the way."""


def elsewhere(heard: HeardLine, scenario: Scenario, persona: Persona) -> str | None:
    """asks for something that its goal does not hold"""
    known = {word[:5] for word in words_of(heard.known)}
    for match in _WANTS.finditer(heard.line):
        if match[0][:4].lower() == "and " and _WANTS.search(heard.line[: match.start()]) is None:
            continue  # goes on with what is not a wish
        if _ASKS.search(heard.line[: match.start()]):
            continue
        wanted = [word for word in words_of(match[1]) if len(word) > 2 and word not in COMMON_WORDS["en"]]
        if wanted and not any(word[:5] in known or word in _NEUTRAL for word in wanted):
            return match[0]
    return None
