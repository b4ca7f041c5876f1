"""When two names mean one tool: one rule for checks, callers, pins, evaluators and diffs."""

from __future__ import annotations

import json
import pickle

import pytest

from simulate.trace.find import Query, TraceSearch
from simulate.trace.reading import ToolName, TraceReading
from simulate.trace.reading.tool_name import keys
from tests.trace.reading.conftest import Story


@pytest.mark.parametrize(
    "name", ["mcp__shop__refund", "shop.refund", "shop/refund", "shop:refund", "shop__refund"]
)
def test_a_bare_name_matches_a_qualified_one_however_it_is_written(name: str) -> None:
    assert ToolName("refund").matches(name) and ToolName(name).matches("refund")
    assert ToolName(name).matches("mcp__shop__refund")
    assert (ToolName(name).server, ToolName(name).bare) == ("shop", "refund")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("shop.refund", "bank.refund"),
        ("mcp__shop__refund", "mcp__bank__refund"),
        ("refund", "partial_refund"),
        ("refund", "Refund"),
        ("refund", ""),
        ("shop.refund", "shop.refunds"),
    ],
)
def test_other_tools_and_other_servers_tools_do_not_match(one: str, other: str) -> None:
    assert not ToolName(one).matches(other) and not ToolName(other).matches(one)


def test_what_apis_put_before_every_name_is_no_server() -> None:
    assert ToolName("functions.refund").server is None
    assert ToolName("functions.refund").matches("mcp__shop__refund")


@pytest.mark.parametrize("odd", ["", ".", "__", "__init__", "a.", "/x", "a__", "::", "mcp__", "x" * 10_000])
def test_odd_names_are_only_themselves(odd: str) -> None:
    assert ToolName(odd) == odd and ToolName(odd).matches(odd)
    assert not ToolName(odd).matches("refund")


def test_a_name_is_a_text_and_survives_a_copy() -> None:
    name = pickle.loads(pickle.dumps(ToolName("shop.refund")))
    assert (name, name.server, f"{name}") == ("shop.refund", "shop", "shop.refund")


def test_names_are_grouped_by_server_only_where_several_have_a_tool_of_that_name() -> None:
    assert keys(["refund", "mcp__shop__refund"]) == {"refund": "refund", "mcp__shop__refund": "refund"}
    both = keys(["shop.refund", "bank.refund", "mcp__shop__refund"])
    assert both["shop.refund"] == both["mcp__shop__refund"] != both["bank.refund"]


@pytest.mark.parametrize(
    ("asked", "ran", "kept"),
    [
        ("shop_refund", "shop.refund", "refund"),
        ("shop-refund", "shop_refund", "shop.refund"),
        ("mcp__shop__refund", "refund", "shop/refund"),
    ],
)
def test_one_call_whose_name_is_spelled_in_several_ways_is_one(asked: str, ran: str, kept: str) -> None:
    story = Story()
    story.chat((asked, "c1", {"order": "4711"}))
    told = {"gen_ai.tool.name": ran, "gen_ai.tool.call.result": "done"}
    story.add("run", "execute_tool").attributes.update(told)
    part = {"type": "tool_call", "id": "c1", "name": kept, "arguments": {"order": "4711"}}
    answer = "gen_ai.output.messages"
    story.root.attributes[answer] = json.dumps([{"role": "assistant", "parts": [part]}])
    reading = story.read()
    assert [(call.name, call.result) for call in reading.tool_calls] == [(ran, "done")]
    assert reading.tools_visible
    assert find_in(reading, ran) and find_in(reading, asked)
    story.root.attributes["gen_ai.output.messages"] = json.dumps(
        [{"role": "assistant", "parts": [part, part | {"id": "c2"}]}]
    )
    assert not story.read().tools_visible, "a second one is told by nobody else"


def find_in(reading: TraceReading, tool: str) -> bool:
    return bool(list(TraceSearch(Query(tool=tool)).among([reading.trace])))
