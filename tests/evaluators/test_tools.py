"""Tools, ways, circles and handoffs: every value is worked out by hand from the formula in the docstring."""

import json
from typing import Any

import pytest

from simulate.scoring.evaluators import Result, evaluate
from simulate.trace.span import Trace


async def one(trace: Trace, name: str, reference: dict[str, Any] | None = None) -> Result:
    (result,) = await evaluate(trace, [name], reference=reference)
    return result


@pytest.mark.parametrize(
    ("expected", "called", "value"),
    [
        (["a", "b"], ["a", "b"], 1.0),
        (["a", "b"], ["b", "a"], 1.0),
        (["a", "b"], ["a"], 2 / 3),
        (["a"], ["a", "b"], 2 / 3),
        (["a"], ["b"], 0.0),
        (["a", "a"], ["a"], 2 / 3),
        ([], ["a"], 0.0),
        (["a"], ["a", "a", "a"], 0.5),
    ],
)
async def test_tool_selection_is_f1_over_names(
    build: Any, expected: list[str], called: list[str], value: float
) -> None:
    for name in called:
        build.calls(name, {})
    build.asks("hi").says("done")
    result = await one(build.trace, "ToolSelectionAccuracy", {"tools": expected})
    assert result.status == "scored"
    assert result.value == pytest.approx(value)
    assert result.passed is (value == 1.0)


async def test_the_span_of_a_selection_is_the_call_that_lost(build: Any) -> None:
    build.calls("a", {})
    extra = build.calls("wrong", {})
    build.calls("b", {})
    result = await one(build.trace, "ToolSelectionAccuracy", {"tools": ["a", "b"]})
    assert result.span_id == extra.span_id
    assert "extra: wrong" in result.explanation


async def test_nothing_expected_and_nothing_called_is_no_score(build: Any) -> None:
    build.asks("hi").says("hello")
    for name in ("ToolSelectionAccuracy", "TrajectoryScore"):
        result = await one(build.trace, name, {"tools": []})
        assert (result.status, result.value, result.passed) == ("not_run", None, None)


async def test_a_call_that_only_a_history_tells_leaves_no_score(build: Any) -> None:
    build.asks("please refund it")
    asked = {"type": "tool_call", "id": "c1", "name": "refund", "arguments": {}}
    answered = {"type": "tool_call_response", "id": "c1", "response": "done"}
    build.history += [{"role": "assistant", "parts": [asked]}, {"role": "tool", "parts": [answered]}]
    build.calls("lookup", {})
    build.says("it is refunded")
    for name in ("ToolSelectionAccuracy", "TrajectoryScore", "StepEfficiency"):
        result = await one(build.trace, name, {"tools": ["lookup"]})
        assert result.status == "not_run", name
        assert "refund" in result.explanation


async def test_a_trace_without_content_says_nothing_about_tools(build: Any) -> None:
    build.add("chat m", "LLM", **{"gen_ai.operation.name": "chat"})
    for name in (
        "ToolSelectionAccuracy",
        "ArgumentCorrectness",
        "TrajectoryScore",
        "StepEfficiency",
        "TaskCompletion",
    ):
        result = await one(build.trace, name, {"tools": [{"name": "a", "arguments": {}}], "goal": "g"})
        assert result.status == "not_run", name
        assert "content capture is off" in result.explanation, name


@pytest.mark.parametrize(
    ("expected", "given", "value"),
    [
        ({"id": "4417"}, {"id": "4417", "note": "x"}, 1.0),
        ({"id": "4417"}, {"id": 4417}, 0.0),
        ({"id": "4417"}, {}, 0.0),
        ({"amount": {"about": 42.5, "within": 0.01}}, {"amount": 42.501}, 1.0),
        ({"amount": {"about": 42.5, "within": 0.01}}, {"amount": 43}, 0.0),
    ],
)
async def test_arguments(build: Any, expected: dict[str, Any], given: dict[str, Any], value: float) -> None:
    build.calls("refund", given)
    result = await one(
        build.trace, "ArgumentCorrectness", {"tools": [{"name": "refund", "arguments": expected}]}
    )
    assert result.value == value


async def test_arguments_pair_calls_so_that_the_right_one_is_not_taken_twice(build: Any) -> None:
    build.calls("look", {"id": "2"})
    wrong = build.calls("look", {"id": "3"})
    reference = {
        "tools": [{"name": "look", "arguments": {"id": "1"}}, {"name": "look", "arguments": {"id": "2"}}]
    }
    result = await one(build.trace, "ArgumentCorrectness", reference)
    assert result.value == 0.5
    assert result.span_id == wrong.span_id


async def test_arguments_that_the_trace_hides_are_not_wrong(build: Any) -> None:
    build.calls("refund")
    reference = {"tools": [{"name": "refund", "arguments": {"id": "1"}}], "goal": "g"}
    for name in ("ArgumentCorrectness", "TrajectoryScore", "TaskCompletion"):
        result = await one(build.trace, name, reference)
        assert result.status == "not_run"
        assert "does not tell the arguments of refund" in result.explanation


async def test_arguments_of_tools_never_called_are_not_scored(build: Any) -> None:
    build.calls("other", {})
    result = await one(
        build.trace, "ArgumentCorrectness", {"tools": [{"name": "refund", "arguments": {"id": "1"}}]}
    )
    assert result.status == "not_run"


WAYS = [
    # order, expected, called, value
    ("exact", "ab", "ab", 1), ("exact", "ab", "ba", 0), ("exact", "ab", "abc", 0), ("exact", "ab", "a", 0),
    ("in_order", "ab", "xaxbx", 1), ("in_order", "ab", "ba", 0), ("in_order", "aa", "a", 0),
    ("any_order", "ab", "bxa", 1), ("any_order", "ab", "axx", 0), ("any_order", "aa", "a", 0),
    ("superset", "ab", "bxa", 1), ("superset", "ab", "b", 0),
    ("subset", "ab", "b", 1), ("subset", "ab", "bc", 0), ("subset", "ab", "aa", 0), ("subset", "ab", "", 1),
]  # fmt: skip


@pytest.mark.parametrize(("order", "expected", "called", "value"), WAYS)
async def test_ways(build: Any, order: str, expected: str, called: str, value: int) -> None:
    for name in called:
        build.calls(name, {})
    build.asks("hi").says("done")
    result = await one(build.trace, "TrajectoryScore", {"tools": list(expected), "order": order})
    assert result.value == value
    assert result.label == f"{order} {'match' if value else 'mismatch'}"


async def test_a_way_holds_arguments_where_the_reference_names_some(build: Any) -> None:
    build.calls("look", {"id": "1"})
    tools: list[Any] = [{"name": "look", "arguments": {"id": "2"}}]
    assert (await one(build.trace, "TrajectoryScore", {"tools": tools})).value == 0
    assert (await one(build.trace, "TrajectoryScore", {"tools": ["look"]})).value == 1


async def test_steps(build: Any) -> None:
    for _ in range(3):
        build.calls("look", {"id": "1"}, result={"status": "lost"})
    build.calls("refund", {"id": "1"})
    assert (await one(build.trace, "StepEfficiency", {"tools": ["look", "refund"]})).value == 0.5
    result = await one(build.trace, "StepEfficiency")
    assert result.value == 0.5
    assert result.explanation == "2 of 4 calls repeat the one before and got the same result"


async def test_looking_again_after_a_change_is_no_repetition(build: Any) -> None:
    build.calls("look", {"id": "1"}, result={"status": "lost"})
    build.calls("refund", {"id": "1"})
    build.calls("look", {"id": "1"}, result={"status": "lost"})
    assert (await one(build.trace, "StepEfficiency")).value == 1.0


async def test_no_steps_are_no_score(build: Any) -> None:
    build.asks("hi").says("hello")
    for name in ("StepEfficiency", "LoopDetection"):
        assert (await one(build.trace, name)).status == "not_run"


async def test_a_circle_of_two_tools_is_found(build: Any) -> None:
    for _ in range(4):
        build.calls("a", {"x": 1})
        third = build.calls("b", {"x": 2})
    result = await one(build.trace, "LoopDetection")
    assert (result.value, result.label, result.passed) == (0.5, "loop", False)
    assert "came 4 times in a row" in result.explanation
    assert result.span_id is not None
    assert result.span_id < third.span_id


async def test_polling_that_brings_something_new_and_two_retries_are_no_circle(build: Any) -> None:
    for step in range(5):
        build.calls("status", {"id": 1}, result={"done": step})
    assert (await one(build.trace, "LoopDetection")).value == 1.0
    for _ in range(3):
        build.calls("pay", {"id": 1}, error="timeout")
    assert (await one(build.trace, "LoopDetection")).value == 1.0
    build.calls("pay", {"id": 1}, error="timeout")
    result = await one(build.trace, "LoopDetection")
    assert result.value == pytest.approx(1 - 2 / 9)


async def test_saying_the_same_thing_is_a_circle(build: Any) -> None:
    for at in range(4):
        build.asks(f"question {at}").says("I am sorry, I did not get that.")
    result = await one(build.trace, "LoopDetection")
    assert result.value == 0.5
    assert "I am sorry" in result.explanation


def handoff(build: Any, to: str, payload: str | None = None, source: str = "front") -> Any:
    told = {} if payload is None else {"gen_ai.handoff.payload": payload}
    return build.add(
        "handoff", "HANDOFF", **{"gen_ai.handoff.source": source, "gen_ai.handoff.target": to, **told}
    )


async def test_handoffs(build: Any) -> None:
    handoff(build, "billing", '{"order": "4417"}')
    right = {"handoffs": [{"from": "front", "to": "billing", "payload": {"order": "4417"}}]}
    assert (await one(build.trace, "HandoffCorrectness", right)).value == 1.0
    lost = {"handoffs": [{"to": "billing", "payload": {"order": "4417", "reason": {"any": True}}}]}
    result = await one(build.trace, "HandoffCorrectness", lost)
    assert result.value == 0.0
    assert "reason" in result.explanation
    extra = handoff(build, "sales")
    result = await one(build.trace, "HandoffCorrectness", {"handoffs": [{"to": "billing"}]})
    assert (result.value, result.span_id) == (0.5, extra.span_id)
    assert (
        await one(build.trace, "HandoffCorrectness", {"handoffs": [{"to": "claims"}, {"to": "sales"}]})
    ).value == 0.5


async def test_handoffs_that_no_span_could_tell_are_not_scored(build: Any) -> None:
    trace = Trace("t", [build.add("chat m", "LLM")])
    result = await one(trace, "HandoffCorrectness", {"handoffs": [{"to": "billing"}]})
    assert result.status == "not_run"
    assert (await one(build.trace, "HandoffCorrectness", {"handoffs": []})).status == "not_run"


async def test_a_handoff_that_was_due_and_never_came_is_wrong(build: Any) -> None:
    result = await one(build.trace, "HandoffCorrectness", {"handoffs": [{"to": "billing"}]})
    assert (result.status, result.value) == ("scored", 0.0)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("StepEfficiency", {}),
        ("LoopDetection", {}),
        ("TaskCompletion", {"goal": "x", "state": {"get_status": {"open": True}}}),
        ("PromptInjection", {"injected": {"tools": [{"name": "get_status", "arguments": {"to": "evil"}}]}}),
    ],
)
async def test_what_nobody_recorded_neither_passes_nor_fails(
    build: Any, name: str, reference: dict[str, Any]
) -> None:
    """Three calls whose arguments and results are unknown may be equal or not, right or wrong."""
    for _ in range(3):
        del build.calls("get_status").attributes["gen_ai.tool.call.result"]
    (result,) = await evaluate(build.trace, [name], reference=reference)
    assert result.status == "not_run", result.explanation


async def test_a_call_that_may_or_may_not_have_run_is_not_counted_either_way(build: Any) -> None:
    asked = {"type": "tool_call", "id": "c1", "name": "refund", "arguments": {}}
    build.says("", **{"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [asked]}])})
    (result,) = await evaluate(build.trace, ["ToolSelectionAccuracy"], reference={"tools": ["refund"]})
    assert result.status == "not_run" and "nothing shows whether it ran" in result.explanation
