"""What a run tells without names: never taken for what was asked for where it is something else."""

from __future__ import annotations

from typing import Any

import pytest

from simulate import Scenario
from simulate.model.transcript import Conversation
from simulate.scoring.checks import Evidence, check_all
from simulate.trace.reading import ToolCall, Unknown
from tests.trace.reading.conftest import Story

ASKED_ONE = {"q": "y"}
ASKED_TWO = {"order": "4417", "amount": 5}
IN_ORDER: dict[str, Any] = {"args": ["4417", 5], "kwargs": {}}


def call_of(story: Story, asked: dict[str, Any], told: Any) -> ToolCall:
    story.chat(("refund", "c1", asked))
    story.tool("refund", "c1", told)
    (call,) = story.read().tool_calls
    return call


SAME: list[tuple[dict[str, Any], Any]] = [
    (ASKED_ONE, "y"),
    ({"n": 7}, "7"),
    ({"now": True}, "true"),
    ({"ids": [1, 2]}, [1, 2]),
    (ASKED_TWO, ["4417", 5]),
    (ASKED_TWO, IN_ORDER),
    (ASKED_TWO, {"args": ["4417"], "kwargs": {"amount": 5}}),
    (ASKED_TWO, {"input": ASKED_TWO}),
    ({"input": "y"}, {"input": "y"}),
]


@pytest.mark.parametrize(("asked", "told"), SAME)
def test_the_same_values_without_names_are_the_arguments_asked_for(
    story: Story, asked: dict[str, Any], told: Any
) -> None:
    call = call_of(story, asked, told)
    assert call.arguments == asked and not call.differs


@pytest.mark.parametrize(
    ("asked", "told", "ran"),
    [
        (ASKED_ONE, "x", {"q": "x"}),
        ({"n": 7}, 8, {"n": 8}),
        ({"code": "7"}, 8, {"code": "8"}),
        (ASKED_ONE, {"args": ["x"], "kwargs": {}}, {"q": "x"}),
        (ASKED_ONE, {"input": {"q": "x"}}, {"q": "x"}),
        ({"input": "y"}, {"input": "x"}, {"input": "x"}),
        ({"input": "y", "top": 3}, {"input": "x"}, {"input": "x"}),
        (ASKED_TWO, {"args": ["4418"], "kwargs": {"amount": 5}}, {"order": "4418", "amount": 5}),
    ],
)
def test_one_other_value_is_what_it_ran_with(
    story: Story, asked: dict[str, Any], told: Any, ran: dict[str, Any]
) -> None:
    call = call_of(story, asked, told)
    assert call.arguments == ran and call.differs


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (ASKED_ONE, "q is y"),
        ({"n": 7}, "number 8"),
        ({"q": "Where is my parcel?"}, "Where is my…"),
        (ASKED_TWO, "4418"),
        (ASKED_TWO, "order 4418, amount 5"),
        (ASKED_TWO, {"args": ["4418", 5], "kwargs": {}}),
        (ASKED_TWO, {"args": [5, "4417"], "kwargs": {}}),
        (ASKED_TWO, {"input": {"text": "4418"}}),
        ({"ids": [1, 2]}, [1, 3]),
    ],
)
def test_what_cannot_be_put_to_names_is_unknown_and_never_what_was_asked_for(
    story: Story, asked: dict[str, Any], told: Any
) -> None:
    call = call_of(story, asked, told)
    assert isinstance(call.arguments, Unknown) and "0000000000000003" in call.arguments.why


@pytest.mark.parametrize(
    ("told", "asked_for_it", "statuses"),
    [
        ("x", True, ["failed", "passed", "failed"]),
        ("y", True, ["passed", "failed", "passed"]),
        ("q is y", True, ["not_run"] * 3),
        ("x", False, ["failed", "passed", "not_run"]),
        ("y", False, ["not_run", "not_run", "passed"]),
        ("q is y", False, ["not_run", "not_run", "passed"]),
    ],
)
async def test_verdicts_rest_on_what_ran(
    story: Story, told: str, asked_for_it: bool, statuses: list[str]
) -> None:
    """``called`` and ``not_called`` with what was asked for, and ``not_called`` with something else."""
    if asked_for_it:
        story.chat(("refund", "c1", ASKED_ONE))
    story.tool("refund", "c1", told)
    reading = story.read()
    words = [("called", ASKED_ONE), ("not_called", ASKED_ONE), ("not_called", {"q": "x"})]
    expect = [{word: "refund", "with": arguments} for word, arguments in words]
    scenario = Scenario.model_validate({"name": "n", "opens_with": "Hi", "expect": expect})
    found = await check_all(
        scenario.expect, Evidence(scenario, Conversation("a" * 32), reading, reading.tool_calls)
    )
    assert [verdict.status for verdict in found] == statuses


def test_a_server_that_runs_other_arguments_than_its_client_sent_is_what_ran(story: Story) -> None:
    client = story.tool("refund", None, ASKED_TWO)
    client.end_ns = (client.end_ns or 0) + 10**9
    story.tool("shop.refund", None, {"order": "4418"}, under=client, scope="server")
    (call,) = story.read().tool_calls
    assert call.arguments == {"order": "4418"}
