"""Amounts, numbers, dates and ids are found however a text writes or speaks them, and nothing else is."""

from __future__ import annotations

import pytest

from simulate.model.text_values import amounts, contains, dates, in_digits, names_id, numbers, sentences


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("You get $42.50 back.", [42.5]),
        ("42.5 dollars", [42.5]),
        ("that's forty-two fifty", [42.5]),
        ("forty-two dollars and fifty cents", [42.5]),
        ("forty two dollars fifty", [42.5]),
        ("-£2,310.55", [-2310.55]),
        ("minus five dollars", [-5]),
        ("the refund – $42.50 – is due", [42.5]),
        ("between $5-$10", [5, 10]),
        ("1.234,50 €", [1234.5]),
        ("€1 234,50", [1234.5]),
        ("CHF 1'000.50", [1000.5]),
        ("EUR 42,50", [42.5]),
        ("42 Euro 50", [42.5]),
        ("US$5k or $2 million", [5000, 2_000_000]),
        ("fifty cents", [0.5]),
        ("I refunded 42.50 to your card.", [42.5]),
        ("order 4417 has 3 items", []),
        ("version 5.2.11.3, at 12:30, at 42.50% interest", []),
        ("call 415 55 50", []),
    ],
)
def test_amounts(text: str, values: list[float]) -> None:
    assert [one.value for one in amounts(text)] == pytest.approx(values)


def test_a_currency_is_one_of_those_that_its_sign_may_mean() -> None:
    (dollars,) = amounts("$42.50")
    assert dollars.may_be("USD") and dollars.may_be("CAD") and not dollars.may_be("EUR")
    (pounds,) = amounts("42.50 pounds")
    assert pounds.may_be("GBP") and not pounds.may_be("USD")


@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("de", "zweiundvierzig Euro fünfzig", 42.5),
        ("fr", "quarante-deux euros", 42),
        ("es", "cuarenta y dos euros", 42),
    ],
)
def test_amounts_in_words_of_other_languages(language: str, text: str, value: float) -> None:
    assert [one.value for one in amounts(text, language)] == [value]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("December 1, 2026", [(2026, 12, 1)]),
        ("1. Dezember 2026", [(2026, 12, 1)]),
        ("le 1er décembre 2026", [(2026, 12, 1)]),
        ("1 de diciembre de 2026", [(2026, 12, 1)]),
        ("December first, twenty twenty-six", [(2026, 12, 1)]),
        ("the first of December", [(None, 12, 1)]),
        ("the twenty-fourth of December", [(None, 12, 24)]),
        ("2026-12-01T10:00 and 31/12/26", [(2026, 12, 1), (2026, 12, 31)]),
        ("on 24.12.2026", [(2026, 12, 24)]),
        ("5 Mar 10:30", [(None, 3, 5)]),
        ("on may 5", [(None, 5, 5)]),
        ("You may 5 times. March 2026. 1-2-3. Decide 1.", []),
    ],
)
def test_dates(text: str, days: list[tuple[int | None, int, int]]) -> None:
    assert [(one.year, one.month, one.day) for one in dates(text)] == days


@pytest.mark.parametrize(
    "text",
    [
        "KXW-QZT",
        "kxw qzt",
        "K. X. W. Q. Z. T.",
        "K as in kilo, X as in x-ray, W, Q, Z, T",
        "kilo x-ray whiskey quebec zulu tango",
        "id:KXW-QZT, thanks",
    ],
)
def test_an_id_in_any_spelling(text: str) -> None:
    assert names_id(text, "KXW-QZT")


@pytest.mark.parametrize("text", ["KXW-QZT-9", "AKXW-QZT", "KXW", "K X W Q Z T 9", "KXW-QZT/2", ""])
def test_another_id_is_not_it(text: str) -> None:
    assert not names_id(text, "KXW-QZT")


def test_an_id_of_digits() -> None:
    for text in ("order four four one seven", "double four one seven", "4-4-1-7", "forty-four seventeen"):
        assert names_id(text, "4417"), text
    assert not names_id("order 44178", "4417")


@pytest.mark.parametrize(
    ("text", "wanted", "holds"),
    [
        ("You get 42.5 dollars", "$42.50", True),
        ("forty-two fifty", "$42.50", True),
        ("We refund 42.5 dollars now", "refund $42.50", True),
        ("-£2,310.55", "£2,310.55", False),
        ("$142.50", "$42.50", False),
        ("$42.50", "$42", False),
        ("€42.50", "$42.50", False),
        ("It comes on 1 December", "December 1, 2026", True),
        ("It comes on 2 December", "December 1, 2026", False),
        ("arrives by 2026-12-01.", "by December 1", True),
        ("I  REFUND it", "i refund", True),
        ("order 4417", "441", True),
    ],
)
def test_a_text_contains_amounts_and_dates_by_value(text: str, wanted: str, holds: bool) -> None:
    assert contains(text, wanted) is holds


def test_numbers_have_their_units_and_both_ends_of_a_range_do() -> None:
    found = numbers("five to 7 business days, or 10%")
    assert [(one.value, one.of("day"), one.of("percent")) for one in found] == [
        (5, True, False),
        (7, True, False),
        (10, False, True),
    ]
    assert numbers("order #4417 in v2.1.3") == []


def test_digits_keep_their_lines() -> None:
    assert in_digits("two\ntwenty-two\n\nx") == "2\n22\n\nx"


def test_sentences() -> None:
    assert sentences("It takes approx. 5 days. “Fine.” We pay $4.20!\n- Done") == [
        "It takes approx. 5 days.",
        "“Fine.”",
        "We pay $4.20!",
        "- Done",
    ]
