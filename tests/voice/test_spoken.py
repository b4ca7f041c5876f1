"""What the agent's voice was asked to say, what was audible of it, and what the caller understood."""

from __future__ import annotations

from typing import Any

import pytest

from simulate.conversation.voice.entities import differ, entity_share, names_in
from simulate.conversation.voice.spoken import place_spoken
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks import Evidence, check_all
from simulate.scoring.judge import Judge, Judgement, Question
from simulate.trace.reading import TraceReading
from simulate.trace.span import Trace


def placed(heard: list[str], spoken: list[str]) -> tuple[list[Utterance], list[str]]:
    said = [Utterance("agent", text, turn, turn, turn + 0.5) for turn, text in enumerate(heard)]
    return said, place_spoken(said, spoken)


async def judged(expect: dict[str, Any], *said: Utterance, judge: Any = None) -> Verdict:
    scenario = Scenario.model_validate(
        {"name": "x", "medium": "voice", "opens_with": "x", "expect": [expect]}
    )
    talk = Conversation("ab" * 16, "voice", list(said))
    evidence = Evidence(scenario, talk, TraceReading(Trace("ab" * 16)), judge=judge)
    (found,) = await check_all(scenario.expect, evidence)
    return found


def test_a_line_that_only_our_ear_missed_was_said() -> None:
    said, notes = placed(
        ["You're books. Your code is 482."], ["You are booked.", "Your code is four eight two."]
    )
    (one,) = said
    assert one.text == one.spoken == "You are booked. Your code is four eight two."
    assert one.heard == one.received == "You're books. Your code is 482."
    assert len(notes) == 1 and "books" in notes[0] and "booked" in notes[0]


WRONG = {
    "other digits": ("Your code is 428.", "Your code is four eight two.", "482"),
    "no negation": ("You are entitled to a refund.", "You are not entitled to a refund.", "not"),
    "another sentence": ("Goodbye then, my dear friend.", "Your table is confirmed for seven.", "confirmed"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_was_not_audible_was_not_said(kind: str) -> None:
    heard, spoken, missing = WRONG[kind]
    (one,), notes = placed([heard], [spoken])
    assert missing not in one.text and notes == []
    assert one.spoken in (spoken, None), "what it was asked to say is kept"


def test_a_right_sentence_beside_a_wrong_one() -> None:
    (one,), _ = placed(["You're books. Your code is 428."], ["You are booked. Your code is 482."])
    assert one.text == "You are booked. your code is 428"
    assert one.spoken == "You are booked. Your code is 482."


MATTERS = {
    "a number": ("It costs fifty dollars a month.", "It costs fifteen dollars a month."),
    "a letter": ("Your seat is in row B.", "Your seat is in row D."),
    "a spelled name": ("That is spelled B, E, N.", "That is spelled B, E, M."),
    "a day": ("We will come on tuesday morning.", "We will come on Thursday morning."),
    "a month": ("It arrives on the third of June.", "It arrives on the 3rd of July."),
    "half of the day": ("Your flight leaves at 9 a.m. tomorrow.", "Your flight leaves at 9 PM tomorrow."),
    "a currency": ("That makes forty dollars in all.", "That makes forty euros in all."),
    "a name": ("Your nurse is Maria Lopez today.", "Your nurse is Mario Lopez today."),
    "the first word": ("Marta is going to call you back.", "Mark is going to call you back."),
    "a prefix": ("That room is unavailable tonight.", "That room is available tonight."),
    "a negation": ("You can not cancel it any more.", "You can now cancel it any more."),
}


@pytest.mark.parametrize("kind", MATTERS)
def test_what_matters_is_never_forgiven_by_its_sound(kind: str) -> None:
    spoken, heard = MATTERS[kind]
    (one,), notes = placed([heard], [spoken])
    assert one.text != spoken and one.doubt == spoken and notes == []


def test_a_lost_verb_is_forgiven() -> None:
    (one,), _ = placed(["Sorry that you had to wait so long."], ["I'm sorry that you had to wait so long."])
    assert (one.text, one.doubt) == ("I'm sorry that you had to wait so long.", None)


def test_two_spellings_of_one_name_are_the_same() -> None:
    for heard in ("Your adviser is Mister Meyer.", "Your advisor is Mr. Maier."):
        (one,), _ = placed([heard], ["Your adviser is Mr. Meier."])
        assert (one.text, one.doubt) == ("Your adviser is Mr. Meier.", None)


@pytest.mark.parametrize(
    ("kind", "wanted"), [("a name", "Maria"), ("a number", "fifty"), ("a number", "fifteen")]
)
async def test_a_check_decides_nothing_that_is_in_doubt(kind: str, wanted: str) -> None:
    spoken, heard = MATTERS[kind]
    (one,), _ = placed([heard], [spoken])
    for word in ("said", "not_said"):
        verdict = await judged({word: {"contains": wanted}}, one)
        assert verdict.status == "not_run" and heard[:9].lower() in verdict.fact.lower(), verdict
    whenever = {"said": {"contains": "lopez"}, "whenever": {"contains": wanted}}
    assert (await judged(whenever, one)).status == ("passed" if kind == "a name" else "not_run")
    rest = "your nurse" if kind == "a name" else "a month"
    assert (await judged({"said": {"contains": rest}}, one)).status == "passed", "both agree on it"


class Reads(Judge):
    """A judge that says yes to lines that hold a word."""

    def __init__(self, word: str) -> None:
        self.word = word

    async def classify(self, question: Question, *_: Any, **__: Any) -> Judgement:
        said = str(next(iter(question.material.values())))
        return Judgement("yes" if self.word in said else "no", "because", [])


async def test_a_judge_reads_what_was_audible_and_decides_nothing_that_is_in_doubt() -> None:
    (one,), _ = placed(["You're books. It is on Monday."], ["You are booked. It is on Monday."])
    meaning = {"said": "the booking is made"}
    assert (await judged(meaning, one, judge=Reads("booked"))).status == "passed"
    (one,), _ = placed(["Your nurse is Maria Lopez today."], ["Your nurse is Mario Lopez today."])
    for word in ("said", "not_said"):
        for name in ("mario", "maria"):
            found = await judged({word: "the nurse is " + name}, one, judge=Reads(f"{name[1:]} "))
            assert found.status == "not_run" and "Mario" in found.fact, found
    assert (await judged({"said": "who comes"}, one, judge=Reads("opez"))).status == "passed"


def test_entities_that_came_over() -> None:
    said = ["My order is B D 4417, for Ines Duarte.", "No, not on Tuesday."]
    assert entity_share(said, ["my order is BD 4417 for Inez do art", "no not on Thursday"]) == (3, 6)
    assert entity_share(
        said, ["My order is B, D, four four one seven for Ines Duarte. No, not on Tuesday"]
    ) == (6, 6)
    assert entity_share(["Well, thank you."], ["thanks"]) == (0, 0)


def test_what_was_cut_off_is_not_counted() -> None:
    said, notes = placed(
        ["Welcome to the house. The house was", "A ticket costs $12."],
        ["Welcome to the house.", "The house was built in eighteen twelve.", "It strikes every hour.",
         "A ticket costs twelve dollars."],
    )  # fmt: skip
    assert said[0].text == "Welcome to the house. The house was"
    assert said[0].spoken == "Welcome to the house. The house was built in eighteen twelve."
    assert (said[1].text, said[1].heard) == ("A ticket costs twelve dollars.", "A ticket costs $12.")
    assert notes == [], "both say the same"


def test_without_spans_of_speech_nothing_changes() -> None:
    (one,), notes = placed(["You're books."], [])
    assert (one.text, one.heard, one.spoken, notes) == ("You're books.", None, None, [])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ich habe die Bestellung für Herrn Meier an Ihre neue Adresse geschickt.", {"herrn", "meier"}),
        ("Guten Tag, hier ist Jonas Weber. Die Rechnungsnummer ist nicht bekannt.", {"jonas", "weber"}),
        ("Ihr Termin ist am Montag, und die Erstattung kommt im Januar.", set[str]()),
        ("Please send it to Anna in Berlin.", {"anna", "berlin"}),
    ],
)
def test_a_german_noun_is_no_name(text: str, names: set[str]) -> None:
    assert {name for name in names_in(text) if name not in ("guten", "tag")} == names


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("ich habe es nicht gebucht", "ich habe es gebucht"),
        ("der termin ist am montag", "der termin ist am freitag"),
        ("es dauert drei tage", "es dauert drei jahre"),
        ("no está reservado sin pago", "no está reservado con pago"),
    ],
)
def test_what_matters_does_so_in_other_languages(said: str, heard: str) -> None:
    assert differ(said.split(), heard.split(), set())
