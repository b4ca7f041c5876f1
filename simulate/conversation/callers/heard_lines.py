"""The improvised lines of a caller, each with what was known when it was said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simulate.conversation.callers.facts import texts_of
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation

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
COMMON_WORDS = {code: frozenset(words.split()) for code, words in _COMMON.items()}
"""By language, words that hardly a sentence lacks."""


@dataclass(slots=True)
class HeardLine:
    """A line with what was said before it."""

    line: str
    turn: int
    before: str
    """What the agent said last."""
    known: str
    """All that persona, goal and conversation hold up to here, squeezed."""
    agent: Sequence[str]


def lines_of(scenario: Scenario, persona: Persona, conversation: Conversation) -> list[HeardLine]:
    scripted = {scenario.opens_with, *(line.says for line in scenario.script)}
    own = [persona.name, persona.description, persona.instructions, *persona.traits, *texts_of(persona.knows)]
    own += [scenario.goal, scenario.description, *scripted]
    known = " ".join(text for text in own if text)
    found: list[HeardLine] = []
    agent: list[str] = []
    for said in conversation.utterances:
        if said.speaker == "agent":
            agent.append(said.received)
            known += " " + said.received
            continue
        if said.kind == "speech" and said.text not in scripted:
            last = agent[-1] if agent else ""
            found.append(HeardLine(said.text, said.turn, last, known, list(agent)))
            # what was invented once is not known for it
        else:
            known += " " + said.text
    return found


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case; the letters of an id are none."""
    return re.findall(r"(?<!\w)[^\W\d_]+(?:['’][^\W\d_]+)?(?!\w)", text.lower())
