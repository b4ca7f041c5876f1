"""``said`` with values, ``whenever:`` and JSON: holds, fails with its fact, and cannot be known."""

from __future__ import annotations

from typing import Any

import pytest

from simulate import Scenario
from simulate.model.transcript import Conversation, Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks import Evidence, check_all
from simulate.scoring.judge import Judgement
from simulate.trace.reading import TraceReading
from simulate.trace.span import Trace


async def verdict(expect: dict[str, Any], *said: str, judge: Any = None, **more: Any) -> Verdict:
    scenario = Scenario.model_validate({"name": "x", "opens_with": "x", "expect": [expect], **more})
    talk = Conversation("ab" * 16)
    talk.utterances = [Utterance("agent", text, turn, 0.0, 0.0) for turn, text in enumerate(said, 1)]
    (found,) = await check_all(
        scenario.expect, Evidence(scenario, talk, TraceReading(Trace("ab" * 16)), judge=judge)
    )
    return found


@pytest.mark.parametrize(
    ("said", "good", "bad"),
    [
        ({"amount": 42.5, "currency": "USD"}, "That is forty-two dollars fifty.", "That is €42.50."),
        ({"amount": 42.5}, "I return 42.50 to the card.", "I return -$42.50."),
        ({"amount": {"one_of": [10, 12.5]}}, "It costs $12.50.", "It costs $12."),
        ({"date": "2026-12-01"}, "It comes on December 1st.", "It comes on 2 December 2026."),
        ({"date": {"any": True}}, "By 24.12.2026.", "Soon."),
        ({"number": 7, "unit": "days"}, "Within seven working days.", "Within 7 weeks."),
        ({"number": {"about": 6, "within": 1}}, "It takes 5 days.", "It takes 3 days."),
        ({"date": "2026-12-01"}, "It comes on 1-Dec-2026.", "It comes on Jan-12-2026."),
        ({"number": 7, "unit": "days"}, "Within seven (7) days.", "Within 7 %."),
        ({"number": 7, "unit": "days"}, "In 7 Tagen.", "In 7 Wochen."),
        ({"number": 20, "unit": "percent"}, "You save twenty per cent.", "You save 20 dollars."),
        ({"number": 20, "unit": "per cent"}, "You save 20 %.", "You save 30 per cent."),
        ({"id": "4417"}, "Order four four one seven.", "It costs $44.17."),
        ({"id": "KXW-QZT"}, "Your code is K X W, Q Z T.", "Your code is KXW-QZT-1."),
        ({"contains": "$42.50"}, "You get 42.5 dollars.", "You get -$42.50."),
        ({"json": {"order": {"status": "lost"}}}, '{"order": {"status": "lost", "id": 1}}', '{"order": {}}'),
        ({"json": {"$.items[*].sku": "A"}}, 'Here:\n```json\n{"items": [{"sku": "A"}]}\n```', "no JSON"),
        ({"json": {"schema": {"required": ["id"]}}}, '{"id": 1}', '{"name": 1}'),
        ({"language": "de"}, "Gerne, ich storniere Ihre Bestellung.", "Sure, I will cancel your order now."),
    ],
)
async def test_a_value_is_found_and_another_one_fails(said: dict[str, Any], good: str, bad: str) -> None:
    assert (await verdict({"said": said}, good)).status == "passed"
    found = await verdict({"said": said}, bad)
    assert (found.status, found.side) == ("failed", "agent")
    assert bad in found.fact
    assert (await verdict({"not_said": said}, good)).status == "failed"
    assert (await verdict({"not_said": said}, bad)).status == "passed"


ON_THE_FIRST = {"date": "2026-12-01"}
OF_42 = {"amount": 42.5}


@pytest.mark.parametrize(
    ("said", "text", "status"),
    [
        (ON_THE_FIRST, "Not on 1 December, but on 3 December.", "failed"),
        (ON_THE_FIRST, "It won't arrive on December 1st.", "failed"),
        (ON_THE_FIRST, "It will not, as hoped, arrive on 1 December.", "failed"),
        (ON_THE_FIRST, "On 1 December we do not deliver.", "not_run"),
        (ON_THE_FIRST, "It comes no later than 1 December.", "passed"),
        (ON_THE_FIRST, "If it has not come by then, it comes on 1 December.", "passed"),
        (OF_42, "It is not 42.50.", "failed"),
        (OF_42, "You get $45.00 rather than $42.50.", "failed"),
        (OF_42, "You get $42.50 rather than $45.00.", "passed"),
        (OF_42, "No, it is $42.50.", "passed"),
        (OF_42, "Don't worry, you get $42.50 back.", "passed"),
        (OF_42, "I can't refund the $42.50 fee.", "not_run"),
        (OF_42, "We were unable to refund $42.50.", "not_run"),
        (ON_THE_FIRST, "Unfortunately December 1 is fully booked.", "not_run"),
        (OF_42, "It isn't $42.50 yet. You get $42.50.", "passed"),
        ({"number": 7, "unit": "days"}, "It does not take 7 days.", "failed"),
        ({"number": 7, "unit": "days"}, "It takes no more than 7 days.", "passed"),
        (OF_42, "You won't, I'm sorry to say after all this time, get $42.50.", "not_run"),
        (OF_42, "You get $42.50, and it won't take long.", "passed"),
        (OF_42, "$42.50 is what you asked for, but that is not possible.", "not_run"),
        (OF_42, "It would be wrong to say that you get $42.50.", "not_run"),
        (OF_42, "$42.50? No, it was $45.", "failed"),
        (OF_42, "Is it $42.50? No problem, you get it.", "passed"),
        (ON_THE_FIRST, "December 1st? That won't work.", "not_run"),
        (ON_THE_FIRST, "I wish I could say 1 December, but no.", "not_run"),
        (OF_42, "As you wished I refunded $42.50.", "passed"),
        (ON_THE_FIRST, "The delivery on 1 December (which we had promised) will not take place.", "not_run"),
        (ON_THE_FIRST, "It comes on 1 December, which suits you, not later.", "passed"),
        ({"id": "KXW-QZT"}, "It is KXW-QZA, not KXW-QZT.", "failed"),
        ({"id": "KXW-QZT"}, "I could not find KXW-QZT.", "passed"),
    ],
)
async def test_a_value_that_is_denied_is_not_said(said: dict[str, Any], text: str, status: str) -> None:
    assert (await verdict({"said": said}, text)).status == status
    opposite = {"passed": "failed", "failed": "passed", "not_run": "not_run"}[status]
    if "id" not in said:
        assert (await verdict({"not_said": said}, text)).status == opposite


@pytest.mark.parametrize(
    ("number", "unit", "text", "status"),
    [
        (7, "days", "It takes a week.", "passed"),
        (7, "days", "It takes two weeks.", "failed"),
        (7, "days", "We clean it once a week.", "failed"),
        (2, "days", "Within 48 hrs.", "passed"),
        (48, "hours", "Within two days.", "passed"),
        (2, "days", "We are open 48 hours a week.", "failed"),
        (30, "minutes", "It takes half an hour.", "passed"),
        (90, "minutes", "In an hour and a half.", "passed"),
        (24, "months", "It has a warranty of two years.", "passed"),
        (30, "days", "Within a month.", "not_run"),
        (5, "business days", "Within 5 business days.", "passed"),
        (5, "business days", "Within 5 days.", "failed"),
        (1, "week", "Within 5 working days.", "not_run"),
    ],
)
async def test_a_time_is_the_same_in_another_unit(number: int, unit: str, text: str, status: str) -> None:
    assert (await verdict({"said": {"number": number, "unit": unit}}, text)).status == status


@pytest.mark.parametrize("number", [{"one_of": [60, 90]}, {"schema": {"type": "number", "minimum": 60}}])
async def test_an_hour_is_exactly_sixty_minutes(number: Any) -> None:
    assert (
        await verdict({"said": {"number": number, "unit": "minutes"}}, "It takes one hour.")
    ).status == "passed"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("The refund takes two weeks.", "failed"),
        ("Your refund takes up to a week.", "passed"),
        ("Your refund takes one to two weeks.", "failed"),
        ("A refund takes 48 hours.", "not_run"),
        ("Ask for a refund within two weeks, and it takes 6 days.", "not_run"),
        ("Refunds are made once a week.", "passed"),
        ("Your refund in 3 days? No, it takes 6 days.", "passed"),
    ],
)
async def test_whenever_with_a_time_in_another_unit(text: str, status: str) -> None:
    assert (await verdict(DAYS, text)).status == status


async def test_an_id_that_must_not_be_named_must_not_be_denied_either() -> None:
    assert (await verdict({"not_said": {"id": "KXW-QZT"}}, "It is not KXW-QZT.")).status == "failed"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Nicht am 1. Dezember, sondern am 3. Dezember."),
        ("de", "Am 1. Dezember ist es nicht möglich."),
        ("fr", "Ce n'est pas le 1er décembre."),
        ("es", "No es el 1 de diciembre."),
        ("it", "Non il 1 dicembre."),
        ("pt", "Não é em 1 de dezembro."),
        ("nl", "Het komt niet op 1 december."),
    ],
)
async def test_a_denial_in_the_callers_language(language: str, text: str) -> None:
    persona = {"name": "Ida", "speaks": {"language": language}}
    assert (await verdict({"said": ON_THE_FIRST}, text, persona=persona)).status in ("failed", "not_run")


async def test_a_judge_that_finds_a_meaning_nowhere_decides_nothing_of_lines_that_it_was_not_shown() -> None:
    class Reads:
        async def means(self, statement: str, said: list[Utterance], calls: Any) -> Judgement:
            if statement.startswith("It says"):
                return Judgement("cannot tell", "because", [])
            return Judgement("no", "because", [])

    wanted = {**OF_42, "means": "it is a fee"}
    lines = ("You get $42.50 back.", "I can't refund the $42.50 fee.")
    for word, decided in (("said", "failed"), ("not_said", "passed")):
        assert (await verdict({word: wanted}, lines[0], judge=Reads())).status == decided
        assert (await verdict({word: wanted}, *lines, judge=Reads())).status == "not_run"


async def test_what_no_rule_can_tell_of_a_denial_the_judge_reads() -> None:
    class Reads:
        async def means(self, statement: str, said: list[Utterance], calls: Any) -> Judgement:
            assert "42.5" in statement
            return Judgement("yes", "it names the fee", ["the $42.50 fee"])

    found = await verdict({"said": OF_42}, "I can't refund the $42.50 fee.", judge=Reads())
    assert found.status == "passed"


async def test_whenever_leaves_out_what_is_denied() -> None:
    assert (await verdict(DAYS, "A refund takes 6 days, not 3 days.")).status == "passed"
    assert (await verdict(DAYS, "A refund takes 3 days, not 6 days.")).status == "failed"
    assert (await verdict(DAYS, "A refund never takes 10 days, only 5 days.")).status == "passed"


async def test_numbers_in_words_are_read_in_the_callers_language() -> None:
    persona = {"name": "Ida", "speaks": {"language": "de"}}
    said = {"said": {"amount": 42.5, "currency": "EUR"}}
    text = "Das macht zweiundvierzig Euro fünfzig."
    assert (await verdict(said, text, persona=persona)).status == "passed"
    assert (await verdict(said, text)).status == "failed"


async def test_a_language_that_cannot_be_told_neither_passes_nor_fails(monkeypatch: Any) -> None:
    monkeypatch.setattr("simulate.scoring.checks.text_parts.is_language", lambda text, code: None)
    for word in ("said", "not_said"):
        assert (await verdict({word: {"language": "de"}}, "Merci Danke Thanks")).status == "not_run"


DAYS = {
    "said": {"number": {"about": 6, "within": 1}, "unit": "days"},
    "whenever": {"contains": "refund", "number": {"any": True}, "unit": "days"},
}


async def test_whenever_a_refund_time_is_named_it_is_right() -> None:
    right = await verdict(DAYS, "Your refund takes 5–7 business days. We open at 9.", "Refund: six days.")
    assert right.status == "passed"
    for wrong in ("The refund takes 3 to 5 days.", "A refund in ten days."):
        found = await verdict(DAYS, "The refund takes 5 to 7 days.", wrong)
        assert (found.status, found.turn) == ("failed", 2)
        assert wrong in found.fact
    silent = await verdict(DAYS, "I refund it today. Delivery takes 10 days.")
    assert silent.status == "passed" and "never" in silent.fact


@pytest.mark.parametrize(
    ("expect", "problem"),
    [
        ({"said": {"currency": "USD"}}, "amount"),
        ({"said": {"number": "7"}}, "takes a number"),
        ({"said": {"date": "tomorrow"}}, "2026-12-01"),
        ({"said": {"amount": {"abut": 3}, "unit": "days"}}, "unit: goes with number"),
        ({"said": "It is nice", "whenever": {"contains": "x"}}, "no meaning"),
        ({"said": {"ammount": 3}}, "ammount"),
    ],
)
def test_what_makes_no_sense_is_refused(expect: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Scenario.model_validate({"name": "x", "opens_with": "x", "expect": [expect]})
