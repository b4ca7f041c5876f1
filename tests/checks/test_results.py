"""``returned:`` and calls before or after another one, by what it gave back and when it ended."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from simulate import Scenario
from simulate.model.transcript import Conversation, ToolUse
from simulate.model.verdict import Verdict
from simulate.scoring.checks import Evidence, check_all
from simulate.trace.reading import ToolCall, TraceReading
from simulate.trace.span import Trace


def use(name: str, result: Any = None, at: float = 0.0, ends: float | None = None, **more: Any) -> ToolUse:
    return ToolUse(name, {}, result, turn=1, start=at, end=at + 0.1 if ends is None else ends, **more)


async def verdict(expect: dict[str, Any], *uses: ToolUse) -> Verdict:
    scenario = Scenario.model_validate({"name": "x", "opens_with": "x", "expect": [expect]})
    conversation = Conversation("ab" * 16)
    calls = [ToolCall.of(each) for each in uses]
    (found,) = await check_all(
        scenario.expect, Evidence(scenario, conversation, TraceReading(Trace("ab" * 16)), calls)
    )
    return found


ORDER = {"status": "lost", "items": [{"sku": "A1", "price": 20}, {"sku": "B2", "price": 22.5}]}


@pytest.mark.parametrize(
    "returned",
    [
        {"status": "lost"},
        {"$.items[1].price": 22.5},
        {"$.items[*].sku": "B2", "status": {"one_of": ["lost", "late"]}},
        {"$..price": {"about": 20}},
        {"schema": {"type": "object", "required": ["status"]}},
        {"items": {"schema": {"type": "array", "minItems": 2}}},
    ],
)
@pytest.mark.parametrize(
    "given",
    [
        ORDER,
        orjson.dumps(ORDER).decode(),
        {"content": [{"type": "text", "text": orjson.dumps(ORDER).decode()}]},
        {"content": [], "structuredContent": ORDER},
    ],
    ids=["object", "text", "mcp", "structured"],
)
async def test_a_result_is_compared_as_its_caller_reads_it(returned: Any, given: Any) -> None:
    assert (
        await verdict({"called": "lookup", "returned": returned}, use("lookup", given))
    ).status == "passed"


@pytest.mark.parametrize(
    ("returned", "call", "fact"),
    [
        ({"status": "late"}, use("lookup", ORDER), "$.status"),
        ({"$.items[*].sku": "C3"}, use("lookup", ORDER), '"A1"'),
        ({"$.total": 1}, use("lookup", ORDER), "nothing is there"),
        ({"schema": {"required": ["total"]}}, use("lookup", ORDER), "total"),
        ({"status": "lost"}, use("lookup", error="timed out"), "timed out"),
        ({"status": "lost"}, use("lookup"), "null"),
    ],
)
async def test_another_result_fails_with_its_first_difference(
    returned: Any, call: ToolUse, fact: str
) -> None:
    found = await verdict({"called": "lookup", "returned": returned}, call)
    assert (found.status, found.side) == ("failed", "agent")
    assert fact in found.fact


async def test_a_result_that_nobody_recorded_neither_passes_nor_fails() -> None:
    unknown = use("verify", result_known=False)
    transfer = use("transfer", at=1.0)
    for expect in (
        {"called": "verify", "returned": {"verified": True}},
        {"not_called": "verify", "returned": {"verified": False}},
        {"called": "transfer", "after": {"called": "verify", "returned": {"verified": True}}},
    ):
        assert (await verdict(expect, unknown, transfer)).status == "not_run", expect


async def test_after_a_verification_that_succeeded() -> None:
    after = {"called": "transfer", "after": {"called": "verify", "returned": {"verified": True}}}
    failed, good = use("verify", {"verified": False}), use("verify", {"verified": True}, at=0.5)
    found = await verdict(after, failed, use("transfer", at=1.0))
    assert found.status == "failed" and "$.verified" in found.fact
    assert (await verdict(after, failed, good, use("transfer", at=1.0))).status == "passed"
    assert (await verdict(after, failed, use("transfer", at=0.3), good)).status == "failed"
    assert (await verdict(after, use("transfer"))).status == "failed"


async def test_before_counts_only_the_calls_that_are_meant() -> None:
    before = {"called": "warn", "before": {"called": "charge", "returned": {"ok": True}}}
    declined, charged = use("charge", {"ok": False}), use("charge", {"ok": True}, at=2.0)
    assert (await verdict(before, declined, use("warn", at=1.0), charged)).status == "passed"
    assert (await verdict(before, declined, charged, use("warn", at=3.0))).status == "failed"
    early_and_unknown = use("charge", result_known=False)
    assert (await verdict(before, early_and_unknown, use("warn", at=1.0))).status == "not_run"


async def test_what_overlaps_is_told_as_such() -> None:
    freeze, order = use("freeze_card", ends=0.05), use("order_card", at=0.002, ends=0.02)
    for expect in (
        {"called": "order_card", "after": "freeze_card"},
        {"called": "freeze_card", "before": "order_card"},
    ):
        found = await verdict(expect, freeze, order)
        assert found.status == "failed" and "overlap" in found.fact and "48 ms" in found.fact


async def test_a_forbidden_result() -> None:
    never = {"not_called": "refund", "returned": {"ok": True}}
    assert (await verdict(never, use("refund", {"ok": False}))).status == "passed"
    assert (await verdict(never, use("refund", {"ok": True}))).status == "failed"


@pytest.mark.parametrize(
    ("expect", "problem"),
    [
        ({"called": "x", "returned": {"$.a[?(@.b)]": 1}}, "not a JSON path"),
        ({"called": "x", "returned": {"a": {"schema": {"type": "objekt"}}}}, "not a JSON Schema"),
        ({"called": "x", "returned": {"schema": {"$ref": "http://127.0.0.1:9/a"}}}, "nothing is fetched"),
        ({"called": "x", "after": {"caled": "y"}}, "caled"),
    ],
)
def test_what_could_never_hold_is_refused_before_anything_runs(expect: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Scenario.model_validate({"name": "x", "opens_with": "x", "expect": [expect]})


async def test_an_argument_named_schema_is_compared_as_it_is() -> None:
    query = ToolUse("query", {"schema": "public"}, turn=1, start=0.0)
    assert (await verdict({"called": "query", "with": {"schema": "public"}}, query)).status == "passed"
    assert (await verdict({"called": "query", "with": {"schema": "private"}}, query)).status == "failed"
