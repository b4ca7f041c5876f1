"""The filter language: one meaning from YAML, from the command line and from Python."""

from __future__ import annotations

from typing import Any

import pytest

from simulate.errors import InputError
from simulate.trace.filter import parse
from simulate.trace.filter_terms import parse_short
from simulate.trace.span import Span, Trace

MS = 10**6
NOON = 1_780_000_000_000_000_000


def made(key: str, name: str, kind: str, parent: str | None, ms: int, **more: Any) -> Span:
    attributes = {"gen_ai.span.kind": kind} | more.pop("attributes", {})
    return Span("t", key, name, parent, NOON, NOON + ms * MS, attributes, **more)


TRACE = Trace(
    "t",
    [
        made("r", "support", "AGENT", None, 3000, resource={"service.name": "desk"}),
        made("l", "chat", "LLM", "r", 1200, attributes={"gen_ai.request.model": "gpt-5-mini"}),
        made(
            "t1",
            "execute_tool issue_refund",
            "TOOL",
            "r",
            40,
            attributes={
                "gen_ai.tool.name": "issue_refund",
                "gen_ai.tool.call.arguments": '{"amount": 42.5, "order": "A-1"}',
            },
        ),
        made("t2", "execute_tool lookup", "TOOL", "l", 20, status="error", status_message="gone"),
    ],
)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"kind": "TOOL"}, ["t2", "t1"]),
        ({"kind": ["llm", "agent"]}, ["r", "l"]),
        ({"name": "chat"}, ["l"]),
        ({"name": {"matches": "refund|look"}}, ["t2", "t1"]),
        ({"attribute": {"gen_ai.tool.name": "issue_refund"}}, ["t1"]),
        ({"attribute": {"tool_name": {"contains": "REFUND"}}}, ["t1"]),
        ({"attribute": {"gen_ai.tool.call.arguments": {"amount": {"about": 42.51, "within": 0.01}}}}, ["t1"]),
        ({"attribute": {"request_model": {"contains": "gpt-5"}}}, ["l"]),
        ({"attribute": {"service.name": "desk"}}, ["r"]),
        ({"duration": {"above": "1s"}}, ["r", "l"]),
        ({"duration": {"above": "30ms", "below": "2s"}}, ["l", "t1"]),
        ({"error": True}, ["t2"]),
        ({"error": False, "kind": "TOOL"}, ["t1"]),
        ({"under": {"kind": "LLM"}}, ["t2"]),
        ({"has_descendant": {"error": True}}, ["r", "l"]),
        ({"near": {"name": "chat"}}, ["r", "l", "t2", "t1"]),
        ({"kind": "TOOL", "near": {"error": True}}, ["t2", "t1"]),
        ("kind=TOOL and near:name=lookup", []),
        ("has_descendant:error", ["r", "l"]),
        ("!has_descendant:error", ["t2", "t1"]),
        ({"attribute": {"gen_ai.request.model": {"above": 1}}}, []),
        ({"under": {"kind": "AGENT"}}, ["l", "t2", "t1"]),
        ({"has_child": {"error": True}}, ["l"]),
        ({"and": [{"kind": "TOOL"}, {"not": {"error": True}}]}, ["t1"]),
        ({"or": [{"name": "chat"}, {"name": "support"}]}, ["r", "l"]),
        ("kind=TOOL name~refund", ["t1"]),
        ("kind=LLM,AGENT duration>2s", ["r"]),
        ("error", ["t2"]),
        ("!error kind=TOOL", ["t1"]),
        ("name!=chat duration>1s", ["r"]),
        ("gen_ai.tool.name", ["t1"]),
    ],
)
def test_what_a_filter_finds(query: Any, found: list[str]) -> None:
    assert [span.span_id for span in parse(query).find(TRACE)] == found


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"knid": "TOOL"}, "did you mean kind"),
        ({"kind": "TOLL"}, "did you mean TOOL"),
        ({"and": [{"naem": "x"}]}, r"filter\.and\[0\].*did you mean name"),
        ({"duration": {"over": "1s"}}, "not a bound"),
        ({"duration": {"above": 5}}, "needs a unit"),
        ({"name": {"matches": "("}}, "not a regular expression"),
        ({"error": "yes"}, "true or false"),
        ({}, "every span"),
        ("", "every span"),
        ("name>5", "only numbers are compared"),
        ("output_tokens>many", "not a number"),
        ("kind", "needs a value"),
        ([], "is an object"),
    ],
)
def test_a_wrong_filter_is_refused_before_anything_runs(query: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"(?s){message}"):
        parse(query)


def test_the_short_form_is_the_same_language() -> None:
    assert parse_short("kind=TOOL 'name~issue refund'") == {
        "and": [{"kind": ["TOOL"]}, {"name": {"matches": "issue refund"}}]
    }


def test_numbers_of_any_attribute_and_field_are_compared() -> None:
    """The retriever whose neighbour spent many tokens: what is looked for when an answer took too long."""
    trace = Trace(
        "t",
        [
            made("a", "agent", "AGENT", None, 9000),
            made("x", "search", "RETRIEVER", "a", 10, attributes={"shop.hits": "12"}),
            made("l", "chat", "LLM", "a", 8000, attributes={"gen_ai.usage.output_tokens": 18_000}),
            made("b", "agent", "AGENT", "a", 900),
            made("y", "search", "RETRIEVER", "b", 10, attributes={"shop.hits": True}),
            made("m", "chat", "LLM", "b", 800, attributes={"gen_ai.usage.output_tokens": 90}),
        ],
    )
    assert [span.span_id for span in parse("kind=RETRIEVER and near:output_tokens>10000").find(trace)] == [
        "x"
    ]
    assert [span.span_id for span in parse("output_tokens<100").find(trace)] == ["m"]
    assert [span.span_id for span in parse("shop.hits>11.5").find(trace)] == ["x"]  # true is no number
    assert [span.span_id for span in parse("!output_tokens>100 kind=LLM").find(trace)] == ["m"]
