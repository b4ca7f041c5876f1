"""When two names mean one tool: one rule for checks, callers, pins, evaluators and diffs."""

from __future__ import annotations

import pickle

import pytest

from simulate.trace.reading import ToolName
from simulate.trace.reading.tool_name import keys


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
