"""Outcomes and traces of an order-support agent in realistic shape, made from a seed."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from simulate.model.outcome import Outcome, Reliability, RunRecord
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.model.verdict import Verdict
from simulate.trace.span import Event, Kind, Message, Score, Span, Trace, View

SCENARIOS = [
    ("Refund for a parcel that never came", ["refund", "smoke"]),
    ("Change of address after dispatch", ["address"]),
    ("Where is my order", ["smoke"]),
    ("Angry caller wants the manager", ["escalation", "persona"]),
    ("Two orders in one conversation", ["memory"]),
]
TALK = [
    ("Hi, my order never turned up.", "I'm sorry to hear that. Could you tell me the order number?"),
    (
        "It's 4417, I ordered it three weeks ago.",
        "Thank you. Order 4417, children's boots for $42.50: the carrier marked it as lost.",
    ),
    (
        "So what now? I need the money back.",
        "I can offer a replacement, which would reach you by Friday, or a refund of $42.50 to your card.",
    ),
    (
        "No replacement. Refund please.",
        "I have issued the refund of $42.50. It reaches your card within 3 to 5 working days.",
    ),
    (
        "Fine. And I get a mail about that?",
        "Yes, a confirmation goes to your address on file. Is there anything else I can do for you?",
    ),
    ("No, that's all. Bye.", "Thank you for your patience. Goodbye!"),
]
SECOND = 1_000_000_000
START = 1_763_890_000 * SECOND


def make_trace(seed: int, turns: int, *, failing: bool = False) -> Trace:
    draw = random.Random(seed)
    trace_id = f"{draw.getrandbits(128):032x}"
    spans: list[Span] = []

    def span(
        name: str, parent: Span | None, at: float, lasts: float | None, kind: str, **attributes: Any
    ) -> Span:
        made = Span(
            trace_id,
            f"{draw.getrandbits(64):016x}",
            name,
            parent.span_id if parent else None,
            START + int(at * SECOND),
            None if lasts is None else START + int((at + lasts) * SECOND),
            {"test.kind": kind, **attributes},
            resource={"service.name": "order-support", "service.version": "2.4.1"},
            scope="opentelemetry.instrumentation.openai_v2",
            scope_version="2.3b0",
        )
        spans.append(made)
        return made

    root = span("conversation", None, 0, turns * 4.0, "CONVERSATION")
    history: list[dict[str, Any]] = [
        {
            "role": "system",
            "parts": [
                {
                    "type": "text",
                    "content": "You are the order support of Quillfeather Shoes. Look orders up first.",
                }
            ],
        }
    ]
    for turn in range(turns):
        at = turn * 4.0 + 0.4
        wait = 0.9 + draw.random()
        user, answer = TALK[turn % len(TALK)]
        history.append({"role": "user", "parts": [{"type": "text", "content": user}]})
        top = span(f"turn {turn + 1}", root, at, wait + 1, "TURN")
        agent = span(
            "invoke_agent order-support", top, at + 0.01, wait + 0.97, "AGENT", agent="order-support"
        )
        first = span(
            "chat gpt-4.1-mini",
            agent,
            at + 0.02,
            wait * 0.5,
            "LLM",
            messages=json.dumps(history),
            tokens=[400 + 60 * turn, 24],
            first=wait * 0.2,
            answer=answer,
        )
        if turn in (1, 3):
            name = "lookup_order" if turn == 1 else "issue_refund"
            arguments = (
                {"order_id": "4417"}
                if turn == 1
                else {"order_id": "4417", "amount": 425.0 if failing else 42.5}
            )
            call = span(
                f"execute_tool {name}",
                agent,
                at + 0.02 + wait * 0.5,
                0.21,
                "TOOL",
                tool=name,
                arguments=json.dumps(arguments),
                result=json.dumps(
                    {
                        "status": "lost",
                        "total": 42.5,
                        "items": [{"sku": "KB-31", "name": "Rain boots, size 31", "quantity": 1}],
                    }
                    if turn == 1
                    else {"ok": True}
                ),
            )
            if failing and turn == 3:
                call.status, call.status_message = "error", "amount exceeds the order's total"
            span(
                "chat gpt-4.1-mini",
                agent,
                at + wait * 0.5 + 0.25,
                wait * 0.4,
                "LLM",
                messages=json.dumps(history),
                tokens=[470 + 60 * turn, 41],
                first=0.2,
                answer=answer,
            )
        if turn == 2:
            look = span(
                "retrieve policies", agent, at + wait * 0.55, 0.08, "RETRIEVER", query="refund after loss"
            )
            look.events.append(Event("cache.miss", look.start_ns + 1000, {"index": "policies-2026"}))
            span("guardrail pii", agent, at + wait * 0.9, 0.03, "GUARDRAIL")
        first.events.append(Event("gen_ai.choice", first.end_ns or 0, {"index": 0}))
        history.append({"role": "assistant", "parts": [{"type": "text", "content": answer}]})
    return Trace(trace_id, spans, source="trace.otlp.jsonl")


def plain_view(span: Span) -> View:
    """What a dialect's mapper would say of the spans above."""
    held = span.attributes
    view = View(Kind(held["test.kind"]), "test", operation=span.name.split(" ")[0])
    if view.kind is Kind.LLM:
        view.provider, view.request_model, view.response_model = (
            "openai",
            "gpt-4.1-mini",
            "gpt-4.1-mini-2025-04-14",
        )
        view.input_tokens, view.output_tokens = held["tokens"]
        view.cost, view.time_to_first_token = 0.00021, held["first"]
        view.input = [Message(entry["role"], entry["parts"]) for entry in json.loads(held["messages"])]
        view.output = [Message("assistant", [{"type": "text", "content": held["answer"]}], "stop")]
        view.finish_reasons = ["stop"]
        view.scores = [Score("Groundedness", 0.62, "weak", "The arrival time stands in no tool result.", 0.8)]
    if view.kind is Kind.TOOL:
        view.tool_name, view.tool_arguments, view.tool_result = (
            held["tool"],
            json.loads(held["arguments"]),
            json.loads(held["result"]),
        )
        view.error = span.status_message
    if view.kind is Kind.RETRIEVER:
        view.query = held["query"]
        view.documents = [
            {
                "id": "policy-7",
                "score": 0.83,
                "content": "A parcel that the carrier reports as lost is refunded in full.",
            }
        ]
    return view


def plain_views(trace: Trace) -> dict[str, View]:
    return {span.span_id: plain_view(span) for span in trace.spans}


def make_outcome(seed: int, *, status: str | None = None, turns: int | None = None) -> tuple[Outcome, Trace]:
    draw = random.Random(seed)
    scenario, tags = SCENARIOS[seed % len(SCENARIOS)]
    status = status or draw.choices(["passed", "failed", "error", "not_run"], [80, 12, 6, 2])[0]
    turns = turns or draw.randint(4, 6)
    trace = make_trace(seed, turns, failing=status == "failed")
    talk = Conversation(
        trace.trace_id, ended_by="caller", end_reason="said goodbye", started_ns=START, duration=turns * 4.0
    )
    for turn in range(turns):
        user, answer = TALK[turn % len(TALK)]
        agent = next(span for span in trace.spans if span.name == f"turn {turn + 1}")
        began = (agent.start_ns - START) / SECOND
        talk.utterances.append(Utterance("caller", user, turn + 1, turn * 4.0, turn * 4.0 + 0.4))
        talk.utterances.append(
            Utterance(
                "agent",
                answer,
                turn + 1,
                began + 1.2,
                began + (agent.duration or 0),
                first=began + 0.9 + draw.random() / 2,
                span_id=agent.span_id,
            )
        )
    tools = [
        ToolUse(
            view.tool_name or "",
            view.tool_arguments,
            view.tool_result,
            view.error,
            int(turn),
            (span.start_ns - START) / SECOND,
            ((span.end_ns or 0) - START) / SECOND,
            span.span_id,
        )
        for span, turn in zip(
            [one for one in trace.spans if one.attributes["test.kind"] == "TOOL"], (2, 4), strict=False
        )
        for view in [plain_view(span)]
    ]
    outcome = Outcome(
        scenario,
        "python:fixtures.agents.support:agent",
        status,
        talk,
        trial=seed // 50 + 1,
        tags=tags,
        seed=seed,
        tool_uses=tools,
        trace_id=trace.trace_id,
    )  # type: ignore[arg-type]
    outcome.case = f"order {4400 + seed % 50}"
    outcome.source = "scenarios/refund.yaml:12"
    outcome.started = "2026-11-20T09:41:07.113Z"
    outcome.folder = f".simulate/runs/2026-11-20-0941/refund[{outcome.case}]-{outcome.trial}"
    outcome.persona = {
        "name": "Dolores Quint",
        "traits": ["hurried", "polite"],
        "knows": {"order": "4417", "phone": "(555) 010-4417"},
    }
    outcome.measures = {
        "turns": turns,
        "duration_seconds": talk.duration,
        "reply_p50_seconds": 1.1,
        "reply_p95_seconds": 1.1 + draw.random(),
        "input_tokens": 4100 + seed,
        "output_tokens": 312,
        "cost_usd": 0.0019 + seed / 1e6,
        "time_to_first_token": None,
    }
    outcome.verdicts = verdicts(outcome, status, trace)
    if status != "passed":
        outcome.reason = next(verdict.fact for verdict in outcome.verdicts if verdict.status == status)
        outcome.side = {"failed": "agent", "error": "simulator", "not_run": "harness"}[status]  # type: ignore[assignment]
    if status == "failed":
        outcome.notes = ["the tool offer_replacement is pinned and the agent never offered it"]
    return outcome, trace


def verdicts(outcome: Outcome, status: str, trace: Trace) -> list[Verdict]:
    tool = [use for use in outcome.tool_uses if use.name == "issue_refund"] or outcome.tool_uses
    found = [
        Verdict(
            "called",
            "lookup_order with order_id “4417”",
            "passed",
            "called once, in turn 2",
            turn=2,
            span_id=outcome.tool_uses[0].span_id,
        ),
        Verdict(
            "replied_within",
            "replies within 2.5 s, in every turn",
            "passed",
            "the slowest reply came after 1.4 s, in turn 3",
            turn=3,
        ),
    ]
    if status == "failed":
        found.insert(
            1,
            Verdict(
                "called",
                "issue_refund with amount 42.50, after lookup_order",
                "failed",
                "issue_refund was called with amount 425.00",
                turn=4,
                span_id=tool[-1].span_id,
                expected={"order_id": "4417", "amount": 42.5},
                actual={"order_id": "4417", "amount": 425.0},
                evidence=['execute_tool issue_refund {"order_id": "4417", "amount": 425.0}'],
                hint="If the amount may be anything, write amount: {any: true} under with:.",
            ),
        )
        found.append(
            Verdict(
                "scores",
                "Groundedness of at least 0.8",
                "failed",
                "0.62: the arrival time stands in no tool result",
                side="agent",
                turn=4,
                span_id=trace.spans[2].span_id,
                score=0.62,
                threshold=0.8,
                evidence=["It reaches your card within 3 to 5 working days."],
            )
        )
    if status == "error":
        found.append(
            Verdict(
                "simulator",
                "the caller stays in its role",
                "error",
                "the caller's model began to speak as the agent, twice",
                side="simulator",
                turn=3,
                evidence=["How can I help you today?"],
                hint="A stronger model under [tool.simulate.models.caller] helps; the agent is not to blame.",
            )
        )
    if status == "not_run":
        found.append(
            Verdict(
                "cost_below",
                "costs less than $0.01",
                "not_run",
                "the trace carries no price and no model that has one",
                side="harness",
                hint="Name the model on the span (gen_ai.response.model).",
            )
        )
    return found


def make_run(outcomes: list[Outcome]) -> RunRecord:
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    return RunRecord(
        "2026-11-20-0941-7f3a",
        "2026-11-20T09:41:05Z",
        "python:fixtures.agents.support:agent",
        7,
        ["simulate", "run", "scenarios/", "--trials", "4"],
        "2026-11-20T09:44:19Z",
        {"simulate-agents": "0.1.0"},
        counts,
        [Reliability("Where is my order", None, 20, 18, 4, 0.63, 0.41, 0.81, method="Clopper–Pearson")],
        ["Where is my order"],
    )


HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 "
    "\x00 \x9b2J \u202eesrever\u202c [bold]markup[/bold] \u2028 👩‍👩‍👧‍👦 مرحبا\r\n" + "z̴̡͙̈́a̴͇̿l̷̰̐g̵͖̈́o̷͕͂ "
)


def make_hostile() -> tuple[Outcome, Trace]:
    outcome, trace = make_outcome(2, status="failed")
    outcome.scenario = "Hostile " + HOSTILE
    outcome.case = '"><svg onload=document.title="owned">'
    outcome.reason = HOSTILE
    outcome.tags = [HOSTILE, "<b>tag</b>"]
    outcome.notes = [HOSTILE]
    outcome.persona = {HOSTILE: HOSTILE, "__proto__": {"polluted": True}}
    outcome.conversation.utterances[1].text = HOSTILE
    outcome.conversation.utterances[3].text = "A" * 1_000_000
    outcome.conversation.utterances[5].text = "\ud800 half a pair"
    outcome.tool_uses[0].name = HOSTILE
    outcome.tool_uses[0].arguments = {HOSTILE: [HOSTILE] * 3}
    outcome.tool_uses[0].result = HOSTILE * 1000
    for verdict in outcome.verdicts:
        verdict.fact = verdict.expectation = verdict.hint = HOSTILE
        verdict.evidence = [HOSTILE]
    for span in trace.spans:
        span.name = HOSTILE + span.name
        span.attributes["hostile"] = HOSTILE
        span.attributes["authorization"] = "Bearer sk-very-secret"
    trace.spans[3].attributes["answer"] = HOSTILE
    trace.notes.append(HOSTILE)
    return outcome, trace


@pytest.fixture
def make() -> SimpleNamespace:
    return SimpleNamespace(
        outcome=make_outcome,
        trace=make_trace,
        run=make_run,
        hostile=make_hostile,
        views=plain_views,
        HOSTILE=HOSTILE,
    )


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., str]:
    """Opens a page in a real headless Chromium and gives the document as it stands after its scripts ran."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium to look at pages with: apt-get install chromium")

    def dump(page: Path, fragment: str = "", *, width: int = 1400) -> str:
        done = subprocess.run(
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--window-size={width},900",
                "--virtual-time-budget=3000",
                "--dump-dom",
                page.as_uri() + fragment,
            ],
            capture_output=True,
            timeout=90,
            check=True,
        )
        return done.stdout.decode("utf-8", "replace")

    return dump
