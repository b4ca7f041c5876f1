"""`trace show` tells a person with a minute all that matters: on the terminal and on the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulate.interfaces.cli.main import main
from simulate.interfaces.render.trace_about import trace_about
from simulate.interfaces.render.waterfall import waterfall
from simulate.trace.files.reader import read
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.find import summary
from simulate.trace.overview import overview
from simulate.trace.span import Event, Span, Trace

NOON = 1_796_040_000 * 10**9
S = 10**9
TRACE = "ab" * 16


def span(
    number: int, name: str, parent: int | None, begins: float, ends: float, about: dict[str, Any], **more: Any
) -> Span:
    above = None if parent is None else f"{parent:016x}"
    times = NOON + int(begins * S), NOON + int(ends * S)
    return Span(TRACE, f"{number:016x}", name, above, *times, about, **more)


def chat(tokens: tuple[int, int], step: int) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
        "agent.trajectory.step": step,
    }


def agent(name: str) -> dict[str, Any]:
    return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}


def score(name: str, value: float) -> Event:
    given = {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": value}
    return Event("gen_ai.evaluation.result", NOON, given | {"evaluator.score.threshold": 0.7})


@pytest.fixture
def trace() -> Trace:
    """A triage agent hands over to billing, whose MCP tool fails; the gateway fell back."""
    ids = {
        "user.id": "u-7731", "session.id": "s-42", "tenant.id": "acme", "feature.id": "refunds",
        "prompt.version": "v2.3.1", "experiment.id": "exp-9", "cohort.name": "billing",
    }  # fmt: skip
    chunks = [
        {"id": "policy-2024", "content": "Refunds within 30 days.", "score": 0.82},
        {"id": "policy-2026", "content": "Refunds within 14 days.", "score": 0.79},
    ]
    scores = [score("Groundedness", 0.4), score("Relevancy", 0.9)]
    spans = [
        span(1, "triage", None, 0, 9, agent("triage") | ids),
        span(2, "pre-guardrail", 1, 0, 0.1, {
            "gen_ai.guardrail.name": "PromptInjection", "gen_ai.guardrail.verdict": "pass",
        }),
        span(3, "retrieve policy", 1, 0.2, 1, {
            "fi.span.kind": "RETRIEVER", "gen_ai.retrieval.query.text": "refunds",
            "gen_ai.retrieval.documents": json.dumps(chunks), "agent.trajectory.step": 1,
        }),
        span(4, "gateway", 1, 1, 4, {
            "gen_ai.gateway.strategy": "least-latency", "gen_ai.gateway.original_target": "gpt-5",
            "gen_ai.gateway.fallback": "claude-opus-4-7", "gen_ai.gateway.resolved_provider": "anthropic",
            "gen_ai.gateway.cache_hit": False,
        }),
        span(5, "chat", 4, 1, 3, chat((1800, 12_000), 2), events=scores),
        span(6, "handoff", 1, 4, 4.1, {
            "gen_ai.handoff.source": "triage", "gen_ai.handoff.target": "billing",
            "gen_ai.handoff.payload": '{"order": "4417"}',
        }),
        span(7, "billing", 1, 4.2, 9, agent("billing")),
        span(8, "tools/call issue_refund", 7, 5, 6, {
            "mcp.method.name": "tools/call", "mcp.tool.name": "issue_refund", "mcp.server.name": "invoices",
            "mcp.tool.arguments": '{"amount": 42.5}', "mcp.tool.result": '{"ok": false}',
        }, status="error", status_message="invoice is locked"),
        span(9, "chat", 7, 6, 8, chat((900, 300), 1)),
    ]  # fmt: skip
    return Trace(TRACE, spans)


def test_each_agent_s_calls_cost_and_failures_are_its_own(trace: Trace) -> None:
    triage, billing = overview(trace).roles
    assert (triage.name, triage.calls, triage.tools, triage.failures, triage.steps) == ("triage", 1, 0, 0, 2)
    assert (billing.name, billing.calls, billing.tools, billing.failures, billing.steps) == (
        "billing",
        1,
        1,
        1,
        1,
    )
    assert triage.dollars == pytest.approx(0.1245) and billing.dollars == pytest.approx(0.00525)


def test_a_price_that_is_not_known_makes_no_agent_cheap(trace: Trace) -> None:
    trace.spans[-1].attributes["gen_ai.request.model"] = "nobody-prices-this"
    assert [role.dollars is None for role in overview(trace).roles] == [False, True]


def test_the_terminal_tells_who_when_what_and_by_whom(
    trace: Trace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_otlp_jsonl(tmp_path / "t.jsonl", trace)
    assert main(["trace", "show", str(tmp_path / "t.jsonl"), "--content", "--width", "120"]) == 0
    told = capsys.readouterr().out
    for fact in (
        "user u-7731", "session s-42", "tenant acme", "feature refunds", "prompt v2.3.1", "experiment exp-9",
        "cohort billing", "models gpt-4o", "$0.1298", "✗ Groundedness 0.4, needs 0.7",
        "✓ Relevancy 0.9, needs 0.7",
        "PromptInjection: pass", "asked for gpt-5, fell back to claude-opus-4-7, answered by anthropic",
        "cache miss", "by least-latency", "triage → billing", '{"order": "4417"}', "MCP server invoices",
        '{"amount": 42.5}', '{"ok": false}', "[policy-2024 0.82] Refunds within 30 days.",
        "[policy-2026 0.79] Refunds within 14 days.", "step 2", "invoice is locked",
    ):  # fmt: skip
        assert fact in told, fact
    began = next(line for line in told.splitlines() if line.startswith("began "))
    assert began.split()[1].startswith("2026-11-30") and began.split()[3], "the day, and the zone"
    assert all(len(line) <= 120 for line in told.splitlines())


def test_the_page_has_the_same(trace: Trace) -> None:
    about = trace_about(trace)
    assert about["tags"]["user"] == ["u-7731"] and about["models"] == ["gpt-4o"]
    assert [(each["name"], each["passed"], each["span"]) for each in about["verdicts"]] == [
        ("Groundedness", False, f"{5:016x}"),
        ("Relevancy", True, f"{5:016x}"),
    ]
    rows = {row["name"]: row for row in waterfall(trace)["spans"]}
    assert "fell back to claude-opus-4-7" in rows["gateway"]["decided"]
    assert rows["handoff"]["decided"] == "triage → billing" and rows["handoff"]["input_value"] == {
        "order": "4417"
    }
    assert rows["tools/call issue_refund"]["tags"] == {"mcp.server": "invoices"}


def test_ordinals_of_a_transcript_without_times_are_no_moments(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hm"}]
    file.write_text(json.dumps({"messages": said}))
    (trace,) = read(file)
    assert overview(trace).began_ns is None and summary(trace).start_ns is None
