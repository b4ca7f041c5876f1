"""Evaluators score the steps of an agent that runs, where there is no trace yet."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from simulate.errors import InputError
from simulate.evaluators import (
    ArgumentCorrectness,
    LoopDetection,
    Reference,
    TaskCompletion,
    ToolSelectionAccuracy,
    TrajectoryScore,
)

REFUND = {"name": "issue_refund", "arguments": {"amount": 42.5}, "result": {"ok": True}}


def test_the_turn_of_a_running_agent_carries_its_scores() -> None:
    """A turn as its author would write it: scores go onto the span at once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("prod-support-agent")
    trajectory = SimpleNamespace(user_id="u-7", steps=[REFUND])
    with tracer.start_as_current_span("agent.turn") as span:
        selected = ToolSelectionAccuracy().evaluate(trajectory=trajectory.steps, expected_tool="issue_refund")
        completed = TaskCompletion().evaluate(trajectory=trajectory.steps, final_output="Refunded.")
        assert selected.value is not None
        span.set_attribute("gen_ai.evaluation.ToolSelectionAccuracy", selected.value)
    (ended,) = exporter.get_finished_spans()
    assert ended.attributes is not None
    assert ended.attributes["gen_ai.evaluation.ToolSelectionAccuracy"] == 1.0
    assert (completed.status, completed.value) == ("not_run", None)  # no model judges here


def test_a_turn_that_writes_every_score_as_it_stands() -> None:
    """The turn that the seed shows, word for word but for the import."""
    tracer = TracerProvider().get_tracer("prod-support-agent")
    tool_eval, task_eval = ToolSelectionAccuracy(), TaskCompletion()

    def run_turn(user_q: str, expected_tool: str, trajectory: Any, final_answer: str) -> str:
        with tracer.start_as_current_span("agent.turn") as span:
            span.set_attribute("prompt.version", "v2.3.1")
            span.set_attribute("cohort.name", "billing")
            span.set_attribute("user.id", trajectory.user_id)
            t: Any = tool_eval.evaluate(trajectory=trajectory.steps, expected_tool=expected_tool)
            c: Any = task_eval.evaluate(trajectory=trajectory.steps, final_output=final_answer)
            span.set_attribute("gen_ai.evaluation.ToolSelectionAccuracy", t.value)
            span.set_attribute("gen_ai.evaluation.TaskCompletion", c.value)
            return final_answer

    trajectory = SimpleNamespace(user_id="u-7", steps=[REFUND])
    assert run_turn("Refund me", "issue_refund", trajectory, "Refunded.") == "Refunded."


async def test_inside_a_running_loop_too() -> None:
    result = ToolSelectionAccuracy().evaluate(["lookup_order"], expected_tool="issue_refund")
    assert (result.status, result.value) == ("scored", 0.0)


@dataclass
class Step:
    tool: str
    args: dict[str, Any]


MESSAGES = [
    {"role": "user", "content": "Refund me, please."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c", "function": {"name": "issue_refund", "arguments": '{"amount": 42.5}'}},
            {"id": "c", "function": {"name": "issue_refund", "arguments": '{"amount": 1}'}},
        ],
    },
    {"role": "tool", "tool_call_id": "c", "content": '{"ok": true}'},
    {"role": "tool", "tool_call_id": "c", "content": '{"ok": false}'},
]


@pytest.mark.parametrize("step", [REFUND, Step("issue_refund", {"amount": 42.5}), MESSAGES[1]])
def test_a_step_may_be_a_mapping_an_object_or_a_message(step: Any) -> None:
    right = {"name": "issue_refund", "arguments": {"amount": 42.5}}
    assert ArgumentCorrectness().evaluate([step], expected_tools=[right]).value == 1.0
    wrong = {"name": "issue_refund", "arguments": {"amount": 43}}
    assert ArgumentCorrectness().evaluate([step], expected_tools=[wrong]).value == 0.0


def test_each_answer_goes_to_a_call_of_its_own_where_ids_repeat() -> None:
    reference = Reference.model_validate({"state": {"issue_refund": {"ok": False}}})
    done = TaskCompletion().evaluate(MESSAGES, reference=reference)
    assert done.value == 1.0, done.explanation


def test_what_a_bare_name_does_not_tell_is_unknown() -> None:
    result = ArgumentCorrectness().evaluate(
        ["issue_refund"], expected_tools=[{"name": "issue_refund", "arguments": {"amount": 42.5}}]
    )
    assert (result.status, result.value) == ("not_run", None)
    assert "arguments" in result.explanation


def test_no_tool_is_expected_and_one_was_called() -> None:
    assert ToolSelectionAccuracy().evaluate(["issue_refund"], expected_tools=[]).value == 0.0
    assert LoopDetection().evaluate([REFUND] * 6).value != 1.0
    assert TrajectoryScore().evaluate(["a", "b"], expected_tools=["b", "a"]).value == 0.0


@pytest.mark.parametrize("order", ["exact", "in_order", "any_order", "superset", "subset"])
def test_where_no_call_is_right_any_call_is_wrong(order: str) -> None:
    reference = Reference.model_validate({"tools": [], "order": order})
    result = TrajectoryScore().evaluate(["issue_refund"], reference=reference)
    assert (result.value, result.passed) == (0.0, False)


def test_a_step_that_is_none_is_refused_with_its_number() -> None:
    with pytest.raises(InputError, match="step 2 names no tool"):
        ToolSelectionAccuracy().evaluate(["a", {"arguments": {}}], expected_tool="a")
