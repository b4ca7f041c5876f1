"""Whether a caller whom a model played was worth hearing: read once the conversation has ended.

The rules hold each line against what the caller can know and against who has which part; few of them depend
on wording. What they find ends a trial as the simulator's: no agent is judged by a caller who left the part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from simulate.conversation.callers.facts import spoken_digits, squeezed, texts_of
from simulate.conversation.callers.machine_phrases import COURTESY
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation

Aspect = Literal["facts", "goal", "role", "persona"]
ASPECTS: tuple[Aspect, ...] = ("facts", "goal", "role", "persona")
"""Keeps to the facts, pursues the goal, stays in the role, speaks as the persona would."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One line that a caller of this persona and goal would not say."""

    aspect: Aspect
    fault: str
    turn: int
    evidence: str


@dataclass(slots=True)
class _Heard:
    """A line with what was said before it."""

    line: str
    turn: int
    before: str
    """What the agent said last."""
    known: str
    """All that persona, goal and conversation hold up to here, squeezed."""
    agent: Sequence[str]


def doubts(scenario: Scenario, persona: Persona, conversation: Conversation) -> list[Doubt]:
    """What is wrong with the improvised lines, in the order of the conversation."""
    found: list[Doubt] = []
    own: list[_Heard] = list(_lines(scenario, persona, conversation))
    for heard in own:
        for aspect, rule in _RULES:
            evidence = rule(heard, scenario, persona)
            if evidence is not None:
                found.append(Doubt(aspect, rule.__doc__ or "", heard.turn, evidence))
    found += _over_all(own, scenario, persona, conversation)
    return found


def fidelity(scenario: Scenario, persona: Persona, conversation: Conversation) -> dict[str, float] | None:
    """By aspect, the share of improvised lines without a doubt; None where no line was improvised."""
    lines = sum(1 for _ in _lines(scenario, persona, conversation))
    if not lines:
        return None
    wrong = {aspect: set[int]() for aspect in ASPECTS}
    for doubt in doubts(scenario, persona, conversation):
        wrong[doubt.aspect].add(doubt.turn)
    return {aspect: round(max(0.0, 1 - len(turns) / lines), 3) for aspect, turns in wrong.items()}


def _lines(scenario: Scenario, persona: Persona, conversation: Conversation) -> list[_Heard]:
    scripted = {scenario.opens_with, *(line.says for line in scenario.script)}
    own = [persona.name, persona.description, persona.instructions, *persona.traits, *texts_of(persona.knows)]
    own += [scenario.goal, scenario.description, *scripted]
    known = " ".join(text for text in own if text)
    found: list[_Heard] = []
    agent: list[str] = []
    for said in conversation.utterances:
        if said.speaker == "agent":
            agent.append(said.received)
            known += " " + said.received
            continue
        if said.kind == "speech" and said.text not in scripted:
            last = agent[-1] if agent else ""
            found.append(_Heard(said.text, said.turn, last, known, list(agent)))
            # what was invented once is not known for it
        else:
            known += " " + said.text
    return found


# --- facts -----------------------------------------------------------------------------------------

_TOKEN = re.compile(r"[\w@.+-]*\w")
_ID_BEFORE = re.compile(
    r"\b(?:order|booking|reservation|reference|ref|confirmation|ticket|case|account|customer|tracking|invoice|"
    r"policy|member|id|code|pnr|number|flight)\b(?:\s+(?:is|it's|number|no|code|id))*\W+$",
    re.IGNORECASE,
)
_MEASURE = re.compile(
    r"^\s*(?:%|percent|days?|weeks?|months?|years?|hours?|minutes?|mins?|o'clock|am\b|pm\b|times?|people)",
    re.I,
)


def _unknown_id(heard: _Heard, scenario: Scenario, persona: Persona) -> str | None:
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
    r"\b(?:paid|charged|cost|costs|price|billed|worth|fare|total)\b[^.?!]{0,20}$", re.IGNORECASE
)
"""Right before an amount, this states it as having been."""
_FIGURE = re.compile(
    r"(?:[$€£]\s*)(\d[\d,]*(?:\.\d+)?)|(\d[\d,]*(?:\.\d+)?)\s*(?:dollars|bucks|euros|pounds)\b", re.I
)


def _unknown_price(heard: _Heard, scenario: Scenario, persona: Persona) -> str | None:
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


def _unknown_term(heard: _Heard, scenario: Scenario, persona: Persona) -> str | None:
    """announces how long something takes, which only the other side can know"""
    match = _TERM.search(heard.line)
    if match is None or "?" in heard.line[match.end() :] or match[2] in re.findall(r"\d+", heard.known):
        return None
    return match[0]


# --- role ------------------------------------------------------------------------------------------

_FIRST_PERSON = re.compile(r"\b(?:i|i'm|i’m|i'd|i'll|i've|me|my|mine|we|us|our)\b", re.IGNORECASE)
_SERVED = re.compile(
    r"\bfor you\b|\byour (?:booking|order|card|account|refund|request|reservation|case)\b", re.I
)
_HOUSE = re.compile(
    r"\b(?:fly|shop|stay|bank|order|book|travel) with us\b"
    r"|\bour (?:records|policy|policies|system|website|airline)\b"
    r"|\byou would (?:like to )?(?:cancel|change|return|book|have)\b.*\?|\bshall you\b",
    re.IGNORECASE,
)


def _serves(heard: _Heard, scenario: Scenario, persona: Persona) -> str | None:
    """speaks as the one who serves"""
    for sentence in re.findall(r"[^.!?]+[.!?]*", heard.line):
        if (found := _HOUSE.search(sentence)) is not None:
            return found[0]
        if "?" in sentence or _FIRST_PERSON.search(sentence) or heard.before == "":
            continue
        if (found := _SERVED.search(sentence)) is not None and not re.search(
            r"\byou (?:can|could)\b", sentence
        ):
            return sentence.strip()
    return None


_REPORTED = re.compile(r"\b(?:if|that|whether|when|once|until|why|so|says?|said)\b", re.IGNORECASE)


def _announces(heard: _Heard, scenario: Scenario, persona: Persona) -> str | None:
    """says that what it wants is done, though nobody told it so"""
    found = re.search(
        r"\b(?:is|are|has been|have been|was) (?:now |already |all )?"
        r"(cancel\w*|refunded|booked|changed|rebooked|updated|processed|issued|shipped|reset)\b[^?]*$",
        heard.line,
        re.IGNORECASE,
    )
    if found is None or re.search(
        r"\b(?:if|that|whether|when|once|until|why|so|says?|said)\b", heard.line[: found.start()], re.I
    ):
        return None
    if found[1][:6].lower() in " ".join(heard.agent).lower() and "?" not in heard.before:
        return None
    if not re.search(r"\b(?:will arrive|arrive|you|your|now)\b", heard.line, re.I):
        return None
    return found[0]


_BOTH = re.compile(r"\?\s*(?:--|—|–|\n)\s*\w+|(?:--|—)\s*\w+[^?]*\?\s*(?:--|—)", re.IGNORECASE)


def _both_sides(heard: _Heard, scenario: Scenario, persona: Persona) -> str | None:
    """asks and answers for both sides"""
    found = _BOTH.search(heard.line)
    return None if found is None else found[0].strip()


_META = re.compile(
    r"\b(?:role-?play\w*|traits?\s*:|i know\s*:|my (?:profile|persona|goal|instructions|prompt|script)\b"
    r"|profile above"
    r"|as (?:per|given in) (?:my|the) (?:instructions|profile|prompt|persona|role)"
    r"|the (?:task|goal|scenario|conversation) is (?:complete|done|over|reached)"
    r"|the user (?:wants|asks|is)|let me (?:write|compose|draft)"
    r"|act as\b|first message|as instructed|simulat\w+"
    r"|in character|in this (?:scenario|simulation)|i am to (?:get|find|ask|cancel|make|call)|must find out)",
    re.IGNORECASE,
)


def _meta(heard: _Heard, scenario: Scenario, persona: Persona) -> str | None:
    """speaks of its task instead of carrying it out"""
    found = _META.search(heard.line)
    if found is not None:
        return None if found[0].lower() in heard.known.lower() else found[0]
    traits = [trait for trait in persona.traits if re.search(rf"\b{re.escape(trait)}\b", heard.line, re.I)]
    return " ".join(traits) if len(traits) >= 2 else None


# --- persona ---------------------------------------------------------------------------------------

_COMMON = {
    "en": "a an the i you it is to my me your was for have not that this with are of can what i'm "
    "please and in on at be do no yes so if or but we how when where why he she they there here "
    "just as by from up out will would could need want like get know hi hello ok okay thanks sure "
    "well all any one go does did has had been it's don't",
    "es": "el la los las que no es mi una un por para con está pero qué cuándo gracias quiero tengo "
    "hola yo ha se sí favor eso esto de en y cancele puede mucho usted me lo",
    "de": "der die das und ich ist nicht sie mein meine habe bitte ein eine zu auf mit wann war noch es "
    "ja nein den danke stornieren möchte kann für",
    "fr": "le la les je est pas vous mon ma une et que pour avec mais où c'est des du ne bonjour oui "
    "merci s'il plaît annuler veux voudrais ça",
    "it": "il la che non mio una per con sono ma quando grazie vorrei ho ciao di del ordine mia questo "
    "sì prego favore",
    "pt": "que não meu uma por para com está mas quando obrigado quero tenho olá eu foi minha do da os "
    "sim favor isso",
    "nl": "de het een ik is niet mijn en dat van met maar wanneer dank wil heb hallo voor wat mij nog "
    "ja graag",
}  # fmt: skip
_SETS = {code: frozenset(words.split()) for code, words in _COMMON.items()}


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text.lower())


_LANGUAGES = re.compile(r"bilingual|language|accent|spanish|german|french|italian", re.IGNORECASE)


def _other_language(heard: _Heard, scenario: Scenario, persona: Persona) -> str | None:
    """speaks a language that is not its own, or none at all"""
    own = _SETS.get(persona.speaks.language.partition("-")[0].partition("_")[0].lower())
    if own is None or re.search(
        r"bilingual|language|accent|spanish|german|french|italian", heard.known, re.I
    ):
        return None
    words = _words(heard.line)
    known = set(_words(heard.known))
    if len(words) < 2 or any(word in own for word in words):
        return None
    others = {code: sum(word in said for word in words) for code, said in _SETS.items() if said is not own}
    strange = sum(word not in known for word in words)
    if max(others.values()) >= 2 and max(others.values()) >= len(words) / 3:
        return heard.line
    return heard.line if len(words) >= 5 and strange >= len(words) - 1 else None


def _nothing(heard: _Heard, scenario: Scenario, persona: Persona) -> str | None:
    """says nothing"""
    return None if re.search(r"\w|[?!]|[^\x00-\x7f…]", heard.line) else repr(heard.line)


# --- goal ------------------------------------------------------------------------------------------

_WANTS = re.compile(
    r"\b(?:i (?:also )?(?:want|need|would like|demand|expect)|i'd (?:also )?like"
    r"|tell me|give me|sing me|and)"
    r" (?:also |to have )?(?:a|an|some|another)\s+((?:\w+\s+)?\w+)",
    re.IGNORECASE,
)
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


def _elsewhere(heard: _Heard, scenario: Scenario, persona: Persona) -> str | None:
    """asks for something that its goal does not hold"""
    known = {word[:5] for word in _words(heard.known)}
    for match in _WANTS.finditer(heard.line):
        wanted = [word for word in _words(match[1]) if len(word) > 2 and word not in _SETS["en"]]
        if wanted and not any(word[:5] in known or word in _NEUTRAL for word in wanted):
            return match[0]
    return None


Rule = Callable[[_Heard, Scenario, Persona], "str | None"]
_RULES: tuple[tuple[Aspect, Rule], ...] = (
    ("facts", _unknown_id),
    ("facts", _unknown_price),
    ("facts", _unknown_term),
    ("role", _serves),
    ("role", _announces),
    ("role", _both_sides),
    ("role", _meta),
    ("persona", _other_language),
    ("persona", _nothing),
    ("goal", _elsewhere),
)  # fmt: skip


def _over_all(
    own: Sequence[_Heard], scenario: Scenario, persona: Persona, conversation: Conversation
) -> list[Doubt]:
    found: list[Doubt] = []
    stuck = _goes_in_circles(own)
    if stuck is not None:
        found.append(Doubt("goal", "says the same in other words again and again", stuck.turn, stuck.line))
    withheld = _withheld(own, persona)
    if withheld is not None:
        found.append(Doubt("goal", "never says what it knows and is asked for", own[-1].turn, withheld))
    last = conversation.utterances[-1] if conversation.utterances else None
    heard = next((said.received for said in reversed(conversation.utterances) if said.speaker == "agent"), "")
    if conversation.ended_by == "caller" and own and last is not None:
        asked = re.search(r"[^.!?]*\?\W*$", heard if last.speaker == "agent" else own[-1].before)
        answered = last.speaker == "caller" and len(_content(last.text)) > 1
        if asked is not None and not COURTESY.search(asked[0]) and not answered:
            found.append(Doubt("goal", "hangs up on an open question", own[-1].turn, asked[0].strip()))
    return found


def _content(text: str) -> set[str]:
    polite = {"thank", "bye", "goodb", "great", "okay", "alrig", "good", "fine", "perfe"}
    return {word[:5] for word in _words(text) if word not in _SETS["en"]} - polite


def _goes_in_circles(own: Sequence[_Heard]) -> _Heard | None:
    """The fourth line in a row of the same words and numbers, and hardly one more."""
    said: set[str] = set()
    idle = 0
    for heard in own:
        content = _content(heard.line) | set(re.findall(r"\w*\d\w*", heard.line))
        same = content & said
        idle = idle + 1 if len(same) >= 2 and len(content - said) <= 1 else 0
        if idle >= 3 and not _repeats(heard.agent[-4:]):
            return heard
        said |= content
    return None


def _repeats(lines: Sequence[str]) -> bool:
    """Whether the agent goes in circles itself."""
    return len(lines) > 1 and len(set(lines)) <= len(lines) / 2


def _withheld(own: Sequence[_Heard], persona: Persona) -> str | None:
    """What the caller knows by its name, was asked for by that name twice, and never said."""
    said = squeezed(" ".join(heard.line for heard in own)).replace(" ", "")
    for name, value in persona.knows.items():
        held = squeezed(str(value)).replace(" ", "")
        words = set(_words(name.replace("_", " ")))
        if not words or not any(letter.isdigit() for letter in held) or held in said:
            continue
        asked = [heard.before for heard in own if words <= set(_words(heard.before)) and "?" in heard.before]
        if len(asked) >= 2 and len(own) >= 3:
            return asked[-1]
    return None
