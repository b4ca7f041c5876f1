"""What the agent's voice was asked to say, what was audible of it, and what the caller understood."""

from __future__ import annotations

import pytest

from simulate.conversation.voice.spoken import place_spoken
from simulate.model.transcript import Utterance


def placed(heard: list[str], spoken: list[str]) -> tuple[list[Utterance], list[str]]:
    said = [Utterance("agent", text, turn, turn, turn + 0.5) for turn, text in enumerate(heard)]
    return said, place_spoken(said, spoken)


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


def test_what_was_cut_off_is_not_counted() -> None:
    said, notes = placed(
        ["Welcome to the house. The house was", "A ticket costs $12."],
        ["Welcome to the house.", "The house was built in eighteen twelve.", "It strikes every hour.",
         "A ticket costs twelve dollars."],
    )  # fmt: skip
    assert said[0].text == "Welcome to the house. The house was"
    assert said[0].spoken == "Welcome to the house. The house was built in eighteen twelve."
    assert (said[1].text, said[1].spoken) == ("A ticket costs $12.", "A ticket costs twelve dollars.")
    assert notes == [], "both say the same"


def test_without_spans_of_speech_nothing_changes() -> None:
    (one,), notes = placed(["You're books."], [])
    assert (one.text, one.heard, one.spoken, notes) == ("You're books.", None, None, [])
