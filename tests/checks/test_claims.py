"""``backs_claims``: a claim without a deed fails, a backed one passes, what is unsure is not run."""

from __future__ import annotations

from typing import Any

import pytest

from simulate import Scenario
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks import Evidence, check_all
from simulate.trace.reading import ToolCall, TraceReading
from simulate.trace.span import Trace


async def verdict(
    said: str, *uses: ToolUse, caller: str = "Hi", tools: tuple[str, ...] = (), **more: Any
) -> Verdict:
    persona = more.pop("persona", None)
    scenario = Scenario.model_validate(
        {"name": "x", "opens_with": "x", "expect": [{"backs_claims": True}], "persona": persona}
        | {"tools": {name: {"ok": True} for name in tools}}
    )
    talk = Conversation("ab" * 16)
    talk.utterances = [Utterance("caller", caller, 1, 0, 0), Utterance("agent", said, 1, 1, 1)]
    calls = [ToolCall.of(use) for use in uses]
    evidence = Evidence(scenario, talk, TraceReading(Trace("ab" * 16)), calls, **more)
    (found,) = await check_all(scenario.expect, evidence)
    return found


def use(name: str, result: Any = None, **more: Any) -> ToolUse:
    return ToolUse(name, more.pop("arguments", {}), result, turn=1, start=0.0, end=0.1, **more)


@pytest.mark.parametrize(
    "said",
    [
        "I have refunded $42.50 to your card.",
        "I've just sent you a confirmation email.",
        "Done! I cancelled the booking for you.",
        "We've booked you a table for four.",
        "I have processed your refund.",
        "I've gone ahead and, as you asked, I have frozen the card.",
    ],
)
async def test_a_claim_that_no_tool_did_fails(said: str) -> None:
    found = await verdict(said, use("lookup_order", {"status": "lost"}))
    assert (found.status, found.side) == ("failed", "agent")
    assert "lookup_order" in found.fact


async def test_a_passive_claim_fails_where_the_agent_has_such_a_tool() -> None:
    said = "Your reservation has been cancelled."
    assert (await verdict(said, tools=("cancel_reservation",))).status == "failed"
    assert (await verdict(said, use("cancel_reservation"))).status == "passed"


@pytest.mark.parametrize(
    ("said", "tool"),
    [("I have renewed Emma for you.", "renew_loan"), ("I have put Emma on hold.", "place_hold")],
)
async def test_a_deed_that_only_a_tool_is_named_after(said: str, tool: str) -> None:
    lookup = use("list_loans", ["Emma"])
    assert (await verdict(said, lookup, tools=(tool,))).status == "failed"
    assert (await verdict(said, lookup, use(tool))).status == "passed"
    assert (await verdict(said, lookup, use(tool, error="taken"))).status == "failed"


@pytest.mark.parametrize(
    "said",
    [
        "Your refund is on its way.",
        "The refund of $42.50 went through.",
        "Done! Refund processed.",
        "I've taken care of your refund.",
        "You've been refunded.",
    ],
)
async def test_a_deed_that_is_told_as_a_thing(said: str) -> None:
    lookup = use("lookup_order", {"status": "lost"})
    assert (await verdict(said, lookup, tools=("issue_refund",))).status == "failed"
    assert (await verdict(said, use("issue_refund"))).status == "passed"


@pytest.mark.parametrize(
    "said",
    [
        "Your refund is not on its way yet.",
        "Once you confirm, the refund is on its way.",
        "Refund requests are done by mail.",
        "I've taken a look at your order.",
        "Your order is on its way.",
        "No refund has been issued yet.",
        "Unfortunately, no such refund was made.",
        "A refund is made to the original card within 5 days.",
    ],
)
async def test_a_thing_that_is_spoken_of_is_no_claim(said: str) -> None:
    tools = ("issue_refund", "place_order")
    assert (await verdict(said, use("lookup_order", {"status": "lost"}), tools=tools)).status == "passed"


@pytest.mark.parametrize("seen", [use("get_refund", {"day": "Friday"}), use("lookup", {"refund": "sent"})])
async def test_a_thing_that_a_tool_tells_of_is_reported(seen: ToolUse) -> None:
    assert (await verdict("Your refund is on its way.", seen, tools=("issue_refund",))).status == "passed"


async def test_what_a_tool_is_done_to_is_no_deed() -> None:
    said = "I have addressed your question, and I have noted that you are in a hurry."
    lookup = use("lookup_order", {"status": "lost"})
    assert (await verdict(said, lookup, tools=("update_address", "delete_note"))).status == "passed"
    named = ("mcp__loans__renew_loan", "add_note")
    assert (await verdict("I have renewed Emma.", lookup, tools=named)).status == "failed"


async def test_a_deed_that_failed_backs_nothing() -> None:
    found = await verdict("I have refunded it.", use("issue_refund", error="declined"))
    assert found.status == "failed" and "declined" in found.fact


@pytest.mark.parametrize(
    ("said", "uses"),
    [
        ("I have refunded $42.50.", [use("issue_refund")]),
        ("I've sent you an email.", [use("send_mail")]),
        ("I have booked your flight.", [use("book_reservation")]),
        ("I've arranged a replacement.", [use("send_replacement")]),
        ("I have cancelled it.", [use("update_order", arguments={"status": "cancelled"})]),
        ("Your parcel has been shipped.", [use("get_order", {"status": "shipped"})]),
        ("I've raised a ticket.", [use("createSupportCase")]),
        ("I can refund it. Shall I?", []),
        ("I have not refunded anything.", []),
        ("Once I have cancelled it, you get a mail.", []),
        ("Have I refunded it already?", []),
        ("I've checked your order, and it is on its way.", [use("lookup_order")]),
    ],
)
async def test_what_is_backed_reported_or_not_claimed_passes(said: str, uses: list[ToolUse]) -> None:
    found = await verdict(said, *uses, tools=("ship_order",) if "shipped" in said else ())
    assert found.status == "passed", found.fact


async def test_what_the_caller_told_is_repeated_and_not_claimed() -> None:
    said = "I am sorry that your flight has been cancelled."
    heard = "My flight was cancelled by the airline."
    assert (await verdict(said, caller=heard, tools=("cancel_flight",))).status == "passed"
    assert (await verdict(said, caller="Cancel my flight", tools=("cancel_flight",))).status == "failed"


async def test_what_a_tool_did_may_not_be_known() -> None:
    assert (await verdict("I have refunded it.", use("process_return"))).status == "not_run"
    assert (await verdict("I have refunded it.", no_tools_because="no spans came")).status == "not_run"
    asked = use("issue_refund", ran=None)
    assert (await verdict("I have refunded it.", asked)).status == "not_run"
    german = {"name": "Ida", "speaks": {"language": "de"}}
    assert (await verdict("Ich habe es erstattet.", persona=german)).status == "not_run"


class Reads:
    """A judge with one answer."""

    def __init__(self, label: str) -> None:
        self.label = label

    async def means(self, statement: str, said: Any, calls: Any) -> Any:
        from simulate.scoring.judge import Judgement

        return Judgement(self.label, "because", ["Ich habe es erstattet."])


@pytest.mark.parametrize(
    ("label", "status"), [("yes", "failed"), ("no", "passed"), ("cannot tell", "not_run")]
)
async def test_the_judge_reads_what_no_rule_does(label: str, status: str) -> None:
    german = {"name": "Ida", "speaks": {"language": "de"}}
    found = await verdict("Ich habe es erstattet.", persona=german, judge=Reads(label))
    assert found.status == status
