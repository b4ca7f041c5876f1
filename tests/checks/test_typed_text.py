"""``said`` with values, ``whenever:`` and JSON: holds, fails with its fact, and cannot be known."""

from __future__ import annotations

from typing import Any

import pytest

from simulate import Scenario
from simulate.model.transcript import Conversation, Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks import Evidence, check_all
from simulate.trace.reading import TraceReading
from simulate.trace.span import Trace


async def verdict(expect: dict[str, Any], *said: str, **more: Any) -> Verdict:
    scenario = Scenario.model_validate({"name": "x", "opens_with": "x", "expect": [expect], **more})
    talk = Conversation("ab" * 16)
    talk.utterances = [Utterance("agent", text, turn, 0.0, 0.0) for turn, text in enumerate(said, 1)]
    (found,) = await check_all(scenario.expect, Evidence(scenario, talk, TraceReading(Trace("ab" * 16))))
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
        ({"said": {"amount": {"abut": 3}, "unit": "days"}}, "unit: stands beside number"),
        ({"said": "It is nice", "whenever": {"contains": "x"}}, "no meaning"),
        ({"said": {"ammount": 3}}, "ammount"),
    ],
)
def test_what_makes_no_sense_is_refused(expect: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Scenario.model_validate({"name": "x", "opens_with": "x", "expect": [expect]})
