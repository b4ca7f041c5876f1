"""Every check on a conversation and tool calls made by hand: passes, fails, and says when it cannot know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks import Evidence, check_all
from simulate.trace.reading import ToolCall, TraceReading
from simulate.trace.span import Span, Trace

TALK = [
    ("caller", "My order 4417 is lost.", 1, 0.0),
    ("agent", "I am sorry. I refund $42.50 now.", 1, 0.8),
    ("caller", "Thanks!", 2, 2.0),
    ("agent", "You are welcome.", 2, 4.5),
]
USES = [
    ToolUse("lookup_order", {"order_id": "4417"}, {"status": "lost"}, turn=1, start=0.2),
    ToolUse(
        "issue_refund",
        {"order_id": "4417", "amount": 42.5, "tags": ["a", "b"]},
        {"ok": True},
        turn=1,
        start=0.4,
    ),
    ToolUse("send_mail", {"to": "x@example.org"}, turn=2, start=2.5),
]


def evidence(expect: dict[str, Any], **changes: Any) -> Evidence:
    conversation = Conversation("ab" * 16, ended_by="caller", end_reason="done")
    conversation.utterances = [
        Utterance(who, text, turn, start, start, first=start)  # type: ignore[arg-type]
        for who, text, turn, start in TALK
    ]
    scenario = Scenario(name="x", opens_with="x", expect=[expect])  # type: ignore[list-item]
    changes.setdefault("tool_calls", [ToolCall.of(use) for use in USES])
    return Evidence(scenario, conversation, TraceReading(Trace("ab" * 16)), **changes)


async def verdict(expect: dict[str, Any], **changes: Any) -> Verdict:
    found = evidence(expect, **changes)
    (result,) = await check_all(found.scenario.expect, found)
    return result


@pytest.mark.parametrize(
    "expect",
    [
        {"called": "lookup_order"},
        {"called": "issue_refund", "with": {"amount": 42.5}},
        {"called": "issue_refund", "with": {"amount": {"about": 42, "within": 1}}},
        {"called": "issue_refund", "with": {"order_id": {"matches": "^44"}, "amount": {"any": True}}},
        {"called": "issue_refund", "with": {"order_id": {"one_of": ["1", "4417"]}}},
        {
            "called": "issue_refund",
            "with": {"order_id": "4417", "amount": 42.5, "tags": ["a", "b"]},
            "exactly": True,
        },
        {
            "called": "issue_refund",
            "with": {"order_id": {"matches": "^4"}, "amount": {"about": 42.5}, "tags": {"any": True}},
            "exactly": True,
        },
        {"called": "issue_refund", "after": "lookup_order", "before": "send_mail", "times": 1, "in_turn": 1},
        {"called": "lookup_order", "times": {"at_most": 2}},
        {"called": "never", "times": 0},
        {"not_called": "offer_replacement"},
        {"not_called": "issue_refund", "with": {"amount": 1}},
        {"said": {"contains": "i REFUND   $42.50"}},
        {"said": {"matches": r"\$\d+\.\d\d"}, "in_turn": 1},
        {"not_said": {"contains": "replacement"}},
        {"not_said": {"contains": "refund"}, "in_turn": 2},
        {"ended_by": "caller"},
        {"replied_within": "2.5s"},
        {"replied_within": "1s", "percentile": 50},
        {"replied_within": "900ms", "in_turn": 1},
    ],
)
async def test_passes(expect: dict[str, Any]) -> None:
    assert (await verdict(expect)).status == "passed"


@pytest.mark.parametrize(
    ("expect", "fact"),
    [
        ({"called": "offer_replacement"}, "never called; the agent called lookup_order"),
        ({"called": "issue_refund", "with": {"amount": 40}}, r"\$\.amount"),
        ({"called": "issue_refund", "with": {"amount": "42.5"}}, "text|number"),
        ({"called": "issue_refund", "with": {"amount": 42.5}, "exactly": True}, "order_id|tags"),
        ({"called": "issue_refund", "times": 2}, "called 1 times"),
        ({"called": "issue_refund", "in_turn": 2}, "it was in turn 1"),
        (
            {"called": "lookup_order", "after": "issue_refund"},
            "was called before issue_refund",
        ),
        ({"called": "lookup_order", "after": "nothing"}, "nothing was never called"),
        (
            {"called": "send_mail", "before": "issue_refund"},
            "issue_refund.* before send_mail",
        ),
        ({"not_called": "issue_refund"}, "was called in turn 1"),
        ({"not_called": "issue_refund", "with": {"amount": 42.5}}, "was called in turn 1"),
        ({"said": {"contains": "replacement"}}, "never said so; its last words were: You are welcome"),
        ({"said": {"contains": "refund"}, "in_turn": 2}, "never said so"),
        ({"not_said": {"matches": "refund"}}, "it said: I am sorry"),
        ({"ended_by": "agent"}, r"ended by the caller \(done\)"),
        ({"replied_within": "1s"}, "slowest took 2500 ms, in turn 2"),
    ],
)
async def test_fails_and_says_what_happened(expect: dict[str, Any], fact: str) -> None:
    import re

    found = await verdict(expect)
    assert (found.status, found.side) == ("failed", "agent")
    assert re.search(fact, found.fact), found.fact


@pytest.mark.parametrize(
    ("expect", "changes", "reason"),
    [
        ({"said": "That the refund is on its way"}, {}, "no model is configured"),
        ({"not_said": "Anything rude"}, {}, "no model is configured"),
        ({"not_called": "x"}, {"no_tools_because": "content capture is off"}, "content capture is off"),
        ({"called": "x"}, {"no_tools_because": "blind", "tool_calls": []}, "blind"),
        ({"cost_below": 1}, {}, "cost is unknown"),
        ({"tokens_below": 10}, {}, "no model call"),
        ({"span": {"kind": "LLM"}}, {}, "no trace"),
    ],
)
async def test_what_cannot_be_known_is_not_run(
    expect: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    found = evidence(expect, **changes)
    (result,) = await check_all(found.scenario.expect, found)
    assert result.status == "not_run"
    assert reason in result.fact


def llm(tokens: int | None, model: str = "gpt-4.1-mini") -> Span:
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
    }
    if tokens is not None:
        attributes |= {"gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": tokens}
    return Span("ab" * 16, f"{tokens or 0:016x}", "chat", start_ns=1, end_ns=2, attributes=attributes)


async def amounts(expect: dict[str, Any], *spans: Span) -> Verdict:
    found = evidence(expect)
    found.reading = TraceReading(Trace("ab" * 16, list(spans)))
    (result,) = await check_all(found.scenario.expect, found)
    return result


async def test_tokens_cost_and_spans_are_read_from_the_trace() -> None:
    assert (await amounts({"tokens_below": 2001}, llm(1000))).status == "passed"
    assert (await amounts({"tokens_below": 2000}, llm(1000))).status == "failed"
    for word in ({"tokens_below": 10}, {"cost_below": 1e-6}):
        breached = await amounts(word, llm(300), llm(1000), llm(2))
        assert breached.status == "failed" and breached.span_id == llm(1000).span_id, "where most of it went"
    assert (await amounts({"tokens_below": 2001}, llm(1000), llm(None))).status == "not_run"
    assert (await amounts({"cost_below": 0.01}, llm(1000))).status == "passed"
    assert (await amounts({"cost_below": 0.001}, llm(1000))).status == "failed"
    assert (await amounts({"cost_below": 1}, llm(1000, "no-such-model"))).status == "not_run"
    assert (await amounts({"span": {"kind": "LLM"}, "times": 2}, llm(1), llm(2))).status == "passed"
    assert (await amounts({"span": {"kind": "TOOL"}}, llm(1))).status == "failed"


OWN = """
def agrees(evidence, **arguments):
    return arguments.get("answer")

def asserts(evidence):
    assert evidence.conversation.turns == 3, "three turns were due"

async def breaks(evidence):
    raise KeyError("mine")
"""


@pytest.mark.parametrize(
    ("function", "args", "status"),
    [
        ("agrees", {}, "passed"),
        ("agrees", {"answer": True}, "passed"),
        ("agrees", {"answer": False}, "failed"),
        ("agrees", {"answer": "too rude"}, "failed"),
        ("agrees", {"answer": 7}, "error"),
        ("asserts", {}, "failed"),
        ("breaks", {}, "error"),
    ],
)
async def test_functions_of_ones_own(
    function: str, args: dict[str, Any], status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checks_of_ones_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = await verdict({"python": f"checks_of_ones_own:{function}", "args": args})
    assert found.status == status
    if status == "error":
        assert found.side == "harness"
