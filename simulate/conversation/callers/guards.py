"""The faults that simulated callers are known for, each found by rule in the words themselves.

A rule here must be quiet on what people really say: an alarm ends a run as the simulator's fault. So each
looks for something that a caller has no reason to say, and facts are only held against what the caller knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from simulate.conversation.callers.facts import Fact, Known, facts
from simulate.conversation.callers.language import wrong_language
from simulate.conversation.callers.machine_phrases import (
    ABOUT_THE_OTHER,
    AGENT,
    COURTESY,
    FAREWELL,
    MACHINE,
    NARRATED,
    OTHER_SIDE,
    QUOTED,
    QUOTING,
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One fault found. ``mend`` is what the model is told when it is asked again."""

    fault: str
    evidence: str
    mend: str


@dataclass(slots=True)
class Situation:
    """What a line is judged against."""

    known: Known = field(default_factory=Known)
    language: str = "en"
    mixes_languages: bool = False
    own: Sequence[str] = ()
    """The caller's lines so far."""
    agent: Sequence[str] = ()
    """The agent's, so far."""
    prompt: str = ""
    """The instructions' fixed text, which nobody should ever hear."""
    ending: bool = False
    """The caller hangs up with this line."""

    @property
    def asked(self) -> str:
        """What the agent said last."""
        return self.agent[-1] if self.agent else ""


def inspect(line: str, situation: Situation) -> Alarm | None:
    """The first fault found in a line, or None."""
    rules: tuple[Callable[[str, Situation], Alarm | None], ...] = (
        _empty, _out_of_character, _role_flip, _leak, _invention, _repetition, _endless, _language,
    )  # fmt: skip
    return next((alarm for rule in rules if (alarm := rule(line, situation)) is not None), None)


def _empty(line: str, situation: Situation) -> Alarm | None:
    if re.search(r"\w", line):
        return None
    # in a chat, "?!" or an emoji is an answer; nothing at all is none
    if line.strip() and situation.own:
        return None
    return Alarm("an empty answer", repr(line), "Say your next words.")


def _out_of_character(line: str, situation: Situation) -> Alarm | None:
    found = MACHINE.search(line)
    if found is None or ABOUT_THE_OTHER.search(line[: found.start()]):
        return None
    return Alarm(
        "speaks of being a machine, or declines to play", found[0], "You are this person. Say what they say."
    )


def _role_flip(line: str, situation: Situation) -> Alarm | None:
    mend = "You are the customer. Ask and answer as the customer; the other side does the work."
    both = OTHER_SIDE.search(line)
    if both:
        return Alarm("speaks for both sides", both[0].strip(), mend)
    narrated = NARRATED.match(line)
    if narrated:
        return Alarm("tells of the customer instead of being one", narrated[0].strip(), mend)
    found = AGENT.search(line)
    if found and not _reported(line, found):
        return Alarm("acts as the agent", found[0], mend)
    said, heard = _words_of(line), [_words_of(text) for text in situation.agent]
    if len(said.split()) >= 6 and any(_alike(said, text) for text in heard):
        return Alarm("says the agent's words", line, mend)
    return None


def _reported(line: str, found: re.Match[str]) -> bool:
    """Whether the words are told of somebody else."""
    before = QUOTING.search(line[: found.start()]) or _in_quotes(line, found.start())
    return bool(before or QUOTED.match(line[found.end() :]))


def _in_quotes(line: str, position: int) -> bool:
    return sum(line[:position].count(mark) for mark in '"“”«»') % 2 == 1


def _leak(line: str, situation: Situation) -> Alarm | None:
    """Seven words in a row of the instructions' own text."""
    words, prompt = _words_of(line).split(), f" {_words_of(situation.prompt)} "
    for start in range(len(words) - 6):
        run = " ".join(words[start : start + 7])
        if f" {run} " in prompt:
            return Alarm("reads out its instructions", run, "Say only what this person says.")
    return None


_PRICED = re.compile(
    r"\b(?:paid|charged|costs?|cost me|price (?:was|is|of)|total (?:was|is|of)|billed|debited)\b[^.?!]{0,15}$"
    r"|\b(?:order(?:ed)?|bought|purchased)\b[^.?!]{0,30}\bfor\s*$",
    re.I,
)
"""Right before an amount, this states it as having been."""
_CLAIMS = re.compile(r"\b(?:paid|charged|cost|costs|price|total|worth|billed?|bought it for|debited)\b", re.I)
_ABOUT = r"\b(?:about|around|roughly|almost|nearly|like|over|under|some|approximately|at least)"
_DATED = re.compile(
    r"\b(?:ordered|bought|purchased|delivered|born|birth|birthday|booked|placed|paid|arrived?|flight|departs?)\b",
    re.I,
)


def _invention(line: str, situation: Situation) -> Alarm | None:
    """A fact that the caller has from nowhere. Amounts and dates may be wished for: a date counts only where
    the caller states one as having been, and knows another; an amount where the caller says what was paid."""
    for fact in facts(line, situation.asked):
        if situation.known.has(fact) or not _stated(fact, line, situation):
            continue
        mend = (
            f"{fact.said!r} is not among what you know. Say only what you know, or that you do not know it."
        )
        return Alarm(f"invents {_AN[fact.kind]}", fact.said, mend)
    return None


_AN = {
    "id": "a number", "amount": "an amount", "email": "an e-mail address", "phone": "a phone number",
    "date": "a date", "name": "a name",
}  # fmt: skip


def _stated(fact: Fact, line: str, situation: Situation) -> bool:
    known = situation.known.values.get(fact.kind)
    match fact.kind:
        case "amount":
            roughly = re.search(rf"{_ABOUT}\s*{re.escape(fact.said)}", line, re.I)
            if roughly or known:
                return bool(_CLAIMS.search(line) and not roughly)
            before, _, after = line.partition(fact.said)
            return bool(_PRICED.search(before)) and re.match(r"[^.!?]*\?", after) is None
        case "date":
            return bool(known and _DATED.search(line))
        case "name":
            return bool(known)
        case _:
            return True


_AGAIN = re.compile(
    r"\b(?:repeat|again|pardon|once more|rephrase|clarify|what do you mean|say that|confirm|spell|wiederholen"
    r"|(?:didn'?t|did not) (?:quite )?(?:catch|get|understand|hear)|repetir|répéter)\b|\bsorry\s*\?",
    re.I,
)


def _repetition(line: str, situation: Situation) -> Alarm | None:
    """The same line twice, though the agent neither said the same twice nor asked to hear it again."""
    said = _words_of(line)
    stuck = len(situation.own) >= 3 and all(_words_of(text) == said for text in situation.own[-3:])
    if stuck and "?" not in situation.asked:
        return Alarm("repeats itself", f"four times: {line}", "Say something else, or end the conversation.")
    if len(said.split()) < 4 or _AGAIN.search(situation.asked):
        return None
    before = [_words_of(text) for text in situation.own[-4:]]
    if not any(_alike(said, text) for text in before):
        return None
    heard = [_words_of(text) for text in situation.agent[-5:]]
    if any(_alike(heard[-1], text) for text in heard[:-1]):
        return None
    return Alarm("repeats itself", line, "You have said this already. Go on, or end the conversation.")


def _endless(line: str, situation: Situation) -> Alarm | None:
    """The third goodbye in a row: nothing is left to say, and the call goes on."""
    last = [*situation.own[-2:], line]
    if situation.ending or len(last) < 3:
        return None
    if not all(FAREWELL.search(text) and "?" not in text and len(text) < 160 for text in last):
        return None
    return Alarm(
        "says goodbye for ever", " / ".join(last), "You have nothing left to say: end the conversation."
    )


def _language(line: str, situation: Situation) -> Alarm | None:
    if situation.mixes_languages:
        return None
    other = wrong_language(line, situation.language)
    if other is None:
        return None
    return Alarm("speaks another language", f"{other}: {line}", f"Speak {situation.language!r} only.")


def ended_too_soon(goal: str | None, situation: Situation) -> Alarm | None:
    """The call ends though what it was made for has not been tried: never spoken of, or never answered."""
    if goal is None:
        return None
    mend = "You have not tried yet to get what you want. Go on with the conversation."
    if not situation.own or not situation.agent:
        return Alarm("ends before the goal was tried", f"{len(situation.own)} lines said", mend)
    wanted = {word for word in re.findall(r"\w{4,}", goal.lower()) if word not in _STOP}
    said = " ".join(situation.own).lower()
    tried = any(word[:5] in said for word in wanted) or any(
        word in said for word in re.findall(r"\d{3,}", goal)
    )
    substantial = sum(len(text.split()) >= 4 for text in situation.own)
    if tried or substantial >= 2:
        return None
    return Alarm("ends before the goal was tried", f"said only: {' / '.join(situation.own)}", mend)


def left_open(situation: Situation) -> Alarm | None:
    """The caller hangs up without a word on a question that it was asked for the first time. Who has said
    three things may be tired of it."""
    question = re.search(r"[^.!?]*\?\W*$", situation.asked)
    if question is None or COURTESY.search(question[0]) or len(situation.own) >= 3:
        return None
    if any(_alike(_words_of(situation.asked), _words_of(text)) for text in situation.agent[:-1]):
        return None
    mend = "The other side has asked you something. Answer it, or say why you end the conversation."
    return Alarm("hangs up on a question", question[0].strip(), mend)


_STOP = frozenset(
    [
        "that",
        "this",
        "with",
        "from",
        "have",
        "want",
        "your",
        "their",
        "about",
        "what",
        "when",
        "they",
        "will",
        "does",
        "make",
        "into",
        "must",
        "only",
        "then",
        "after",
        "before",
        "find",
        "know",
        "tell",
        "says",
        "said",
    ]
)


def _words_of(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _alike(one: str, other: str) -> bool:
    if one == other:
        return True
    longest = max(len(one), len(other), 1)
    if abs(len(one) - len(other)) > longest * 0.08:
        return False
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= 0.94 and not _numbers_differ(
        one, other
    )


def _numbers_differ(one: str, other: str) -> bool:
    return re.findall(r"\d+", one) != re.findall(r"\d+", other)
