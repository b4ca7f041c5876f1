"""Texts that say the same become the same, however a speech recognition writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.conversation.voice.normalise import normalise, says, word_errors

ALIKE = [
    [
        "order 4-4-1-7",
        "order four four one seven",
        "Order 4417.",
        "order 4 4, 1 7",
        "order double four one seven",
    ],
    ["one hundred and five", "105"],
    ["forty two", "42", "forty-two"],
    ["$42.50", "forty two dollars and fifty cents", "42 dollars 50 cents"],
    ["It's 5 p.m.", "it is five pm", "It is 5 PM"],
    ["12:30", "twelve thirty"],
    ["1,250 items", "one thousand two hundred fifty items"],
    ["A. B. 1 2", "a b one two"],
    ["oh four seven", "0-4-7", "zero four seven"],
    ["to-morrow", "tomorrow"],
    ["I can't", "I cannot"],
    ["Mm-hmm.", "mhm"],
    ["3.5 percent", "three point five percent", "3.5%"],
    ["on the 21st", "on the twenty-first"],
    ["O.K.", "okay", "ok"],
    ["triple seven", "777", "seven seven seven"],
]


@pytest.mark.parametrize("texts", ALIKE, ids=lambda texts: texts[0])
def test_one_form_for_what_is_the_same(texts: list[str]) -> None:
    assert len({normalise(text) for text in texts}) == 1, [normalise(text) for text in texts]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("4417", "4471"),
        ("forty", "fourteen"),
        ("a second", "2"),
        ("I have a question", "have 1 question"),
        ("$42.50", "$42.05"),
        ("5 am", "5 pm"),
        ("one hundred five", "one hundred fifty"),
    ],
)
def test_what_differs_stays_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("text", "wanted", "holds"),
    [
        ("My number is 4 4 1 7, thanks.", "4417", True),
        ("My number is forty four seventeen.", "4417", True),
        ("My number is double four one seven.", "four four one seven", True),
        ("My number is 44175.", "4417", False),
        ("My number is 5517.", "4417", False),
        ("It was refunded, $42.50 in all.", "refunded $42.50", True),
        ("It was refunded: $42.05 in all.", "refunded $42.50", False),
        ("We refunded forty two dollars and fifty cents.", "refunded $42.50", True),
        ("", "4417", False),
        ("anything", "", False),
    ],
)
def test_whether_something_is_said(text: str, wanted: str, holds: bool) -> None:
    assert says(text, wanted) is holds


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors", "words"),
    [
        ("a parcel never came", "a parcel never came", 0, 4),
        ("a parcel never came", "parcel never come", 2, 4),
        ("order 4417 please", "order four four one seven please", 0, 3),
        ("hello", "", 1, 1),
        ("", "hello there", 2, 0),
    ],
)
def test_word_errors(reference: str, hypothesis: str, errors: int, words: int) -> None:
    assert word_errors(reference, hypothesis) == (errors, words)


def test_word_errors_are_jiwers() -> None:
    jiwer = pytest.importorskip("jiwer")
    pairs = [
        ("where is my order please it never came", "where is order please it it never came back"),
        ("the quick brown fox", "a quick fox jumps"),
        ("one thing", "another thing entirely"),
    ]
    for reference, hypothesis in pairs:
        errors, words = word_errors(reference, hypothesis)
        expected = jiwer.wer(normalise(reference), normalise(hypothesis))
        assert errors / words == pytest.approx(expected)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_has_a_form_that_stays(text: str) -> None:
    once = normalise(text)
    assert once == once.lower() and "  " not in once


@given(st.integers(min_value=10_000, max_value=99_999_999))
def test_an_id_is_found_however_it_is_read_out(number: int) -> None:
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    spoken = " ".join(names[int(digit)] for digit in str(number))
    assert says(f"The order is {spoken}, thank you.", str(number))
    assert says(f"The order is {'-'.join(str(number))}.", spoken)
