"""``only_writes``: exactly these successful writes; reads, and writes that failed, are ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.trace import get_tracer

from simulate import tool
from simulate.errors import FileProblems
from simulate.evaluators import Reference, TrajectoryScore
from simulate.model.loading.project import Project
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, ToolUse
from simulate.model.verdict import Verdict
from simulate.run import run
from simulate.scoring.checks import Evidence, check_all
from simulate.trace.reading import ToolCall, TraceReading
from simulate.trace.span import Span, Trace

READ = ToolUse("lookup_order", {"order_id": "4417"}, {"status": "lost"})
REFUND = ToolUse("issue_refund", {"order_id": "4417", "amount": 42.5}, {"ok": True})
SECOND = ToolUse("issue_refund", {"order_id": "4417", "amount": 12.5}, {"ok": True})
MAIL = ToolUse("send_mail", {"to": "x@example.org"}, "sent")
UNANSWERED = ToolUse("issue_refund", {}, result_known=False)
WRITES = ["issue_refund", "send_mail"]


async def verdict(expect: dict[str, Any], uses: list[ToolUse], **changes: Any) -> Verdict:
    scenario = Scenario.model_validate({"name": "x", "opens_with": "x", "expect": [expect]})
    changes.setdefault("writes", WRITES)
    changes.setdefault("reading", TraceReading(Trace("ab" * 16)))
    calls = [ToolCall.of(use) for use in uses]
    found = Evidence(scenario, Conversation("ab" * 16), tool_calls=calls, **changes)
    (result,) = await check_all(scenario.expect, found)
    return result


def given(amount: Any) -> dict[str, Any]:
    return {"name": "issue_refund", "arguments": {"amount": amount}}


@pytest.mark.parametrize(
    ("expect", "uses"),
    [
        ({"only_writes": ["issue_refund"]}, [READ, REFUND, READ]),
        ({"only_writes": [given({"about": 42, "within": 1})]}, [REFUND]),
        ({"only_writes": ["send_mail", given(42.5)]}, [REFUND, MAIL]),
        ({"only_writes": [given({"any": True}), given(42.5)]}, [REFUND, SECOND]),
        ({"only_writes": [given(42.5), "send_mail"], "in_order": True}, [REFUND, READ, MAIL]),
        ({"only_writes": []}, [READ]),
        ({"only_writes": []}, [ToolUse("issue_refund", {}, error="declined")]),
        ({"only_writes": []}, [ToolUse("issue_refund", {}, {"status": "failed"})]),
        ({"only_writes": ["issue_refund"]}, [ToolUse("issue_refund", {}, "Error: try again"), REFUND]),
    ],
)
async def test_passes(expect: dict[str, Any], uses: list[ToolUse]) -> None:
    result = await verdict(expect, uses)
    assert result.status == "passed", result.fact


@pytest.mark.parametrize(
    ("expect", "uses", "fact"),
    [
        ({"only_writes": [given(42.5)]}, [REFUND, SECOND], "12.5"),
        ({"only_writes": ["issue_refund"]}, [REFUND, MAIL], "send_mail"),
        ({"only_writes": ["issue_refund", "send_mail"]}, [REFUND], "send_mail was never called"),
        ({"only_writes": ["issue_refund"]}, [ToolUse("issue_refund", {}, error="declined")], "declined"),
        ({"only_writes": []}, [REFUND], "issue_refund"),
        ({"only_writes": ["send_mail", "issue_refund"], "in_order": True}, [REFUND, MAIL], "order"),
        # an unknown does not save what is wrong either way
        ({"only_writes": []}, [REFUND, ToolUse("send_mail", {}, result_known=False)], "issue_refund"),
    ],
)
async def test_fails_with_the_deed(expect: dict[str, Any], uses: list[ToolUse], fact: str) -> None:
    result = await verdict(expect, uses)
    assert (result.status, result.side) == ("failed", "agent")
    assert fact in result.fact


@pytest.mark.parametrize(
    ("expect", "uses", "changes", "fact"),
    [
        (
            {"only_writes": ["issue_refund"]},
            [UNANSWERED],
            {},
            "succeeded",
        ),
        ({"only_writes": []}, [ToolUse("send_mail", {}, ran=None)], {}, "whether it ran"),
        (
            {"only_writes": [given(42.5)]},
            [ToolUse("issue_refund", {}, "ok", arguments_known=False)],
            {},
            "arguments",
        ),
        ({"only_writes": []}, [ToolUse("close_account", {}, "ok")], {"writes": None}, "close_account"),
        ({"only_writes": []}, [], {"no_tools_because": "no spans came"}, "no spans came"),
        ({"only_writes": ["issue_refund"]}, [], {"no_tools_because": "no spans came"}, "no spans came"),
    ],
)
async def test_what_is_unknown_neither_passes_nor_fails(
    expect: dict[str, Any], uses: list[ToolUse], changes: dict[str, Any], fact: str
) -> None:
    result = await verdict(expect, uses, **changes)
    assert result.status == "not_run", result.fact
    assert fact in result.fact


async def test_of_two_agents_with_a_tool_of_one_name_each_has_its_own_mark() -> None:
    @tool(name="archive", write=True)
    def wipe() -> str:
        return "ok"

    @tool(name="archive")
    def look() -> str:
        return "ok"

    def unmarked() -> str:
        with get_tracer("agent").start_as_current_span("archive") as span:
            span.set_attribute("gen_ai.operation.name", "execute_tool")
            span.set_attribute("gen_ai.tool.name", "archive")
            span.set_attribute("gen_ai.tool.call.arguments", "{}")
            span.set_attribute("gen_ai.tool.call.result", "ok")
        return "ok"

    async def status(act: Callable[[], str]) -> str:
        def agent(message: str) -> str:
            return act()

        given: dict[str, Any] = {"name": "x", "opens_with": "x", "expect": [{"only_writes": []}]}
        return (await run(Scenario.model_validate(given), agent)).status

    found = [await status(act) for act in (wipe, look, unmarked)]
    assert found == ["failed", "passed", "not_run"]


async def test_mcp_annotations_tell_what_writes() -> None:
    definitions = (
        '[{"name": "read_file", "annotations": {"readOnlyHint": true}},'
        ' {"name": "write_file", "annotations": {"readOnlyHint": false}}]'
    )
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.tool.definitions": definitions}
    trace = Trace("ab" * 16, [Span("ab" * 16, "1" * 16, "chat", attributes=attributes)])
    for name, status in (("read_file", "passed"), ("write_file", "failed")):
        result = await verdict(
            {"only_writes": []}, [ToolUse(name, {}, "ok")], writes=None, reading=TraceReading(trace)
        )
        assert result.status == status, result.fact


def test_trajectory_score_looks_at_the_writes_alone() -> None:
    steps: list[dict[str, Any]] = [
        {"name": "lookup_order", "arguments": {}, "result": "lost"},
        {"name": "issue_refund", "arguments": {"amount": 42.5}, "result": "Error: try again"},
        {"name": "issue_refund", "arguments": {"amount": 42.5}, "result": {"ok": True}},
    ]
    reference = Reference.model_validate({"tools": [given(42.5)], "order": "writes", "writes": WRITES})
    assert TrajectoryScore().evaluate(steps, reference=reference).value == 1.0
    assert TrajectoryScore().evaluate([*steps, steps[-1]], reference=reference).value == 0.0
    unknown = TrajectoryScore().evaluate([*steps, {"name": "send_mail"}], reference=reference)
    assert unknown.status == "not_run"


async def test_scores_take_the_list_of_the_scenario() -> None:
    expect = {
        "scores": {"TrajectoryScore": 1},
        "reference": {"tools": [given(42.5)], "order": "writes"},
    }
    assert (await verdict(expect, [READ, REFUND])).status == "passed"
    assert (await verdict(expect, [READ, REFUND, MAIL])).status == "failed"
    unlisted = ToolUse("a_tool_that_nobody_marked", {}, "ok")
    assert (await verdict(expect, [unlisted, REFUND], writes=None)).status == "not_run"


def test_a_project_lists_what_writes(tmp_path: Any) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.simulate]\nwrites = ["issue_refund"]\n')
    assert Project.find(tmp_path).writes == ["issue_refund"]


def test_a_misspelt_word_is_told_with_the_nearest(tmp_path: Any) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("name: x\nopens_with: Hello\nexpect:\n  - only_write: [refund]\n")
    with pytest.raises(FileProblems, match="only_writes"):
        Scenario.load(file)
