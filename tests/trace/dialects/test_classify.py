"""Which kind a span is, by the order: explicit attribute, operation, scope and name, other attributes."""

from __future__ import annotations

from typing import Any

import pytest

from simulate.trace.reading import TraceReading, dialects, version, view
from simulate.trace.reading.dialect import FIELDS
from simulate.trace.span import Event, Kind, Span, Trace


def span(name: str = "step", scope: str = "", **attributes: Any) -> Span:
    return Span(
        "1" * 32,
        "2" * 16,
        name,
        scope=scope,
        attributes={k.replace("__", "."): v for k, v in attributes.items()},
    )


@pytest.mark.parametrize(
    ("name", "scope", "attributes", "kind"),
    [
        ("x", "", {"fi.span.kind": "RETRIEVER"}, Kind.RETRIEVER),
        ("x", "", {"gen_ai.span.kind": "GUARDRAIL"}, Kind.GUARDRAIL),
        ("x", "", {"fi.span.kind": "VECTOR_DB"}, Kind.RETRIEVER),
        ("x", "", {"fi.span.kind": "TOOL", "gen_ai.operation.name": "chat"}, Kind.TOOL),
        ("x", "", {"openinference.span.kind": "RERANKER"}, Kind.RERANKER),
        ("x", "", {"traceloop.span.kind": "workflow"}, Kind.WORKFLOW),
        ("x", "", {"langfuse.observation.type": "GENERATION"}, Kind.LLM),
        ("x", "", {"langfuse.observation.type": "SPAN", "gen_ai.operation.name": "execute_tool"}, Kind.TOOL),
        ("x", "", {"langfuse.observation.type": "SPAN"}, Kind.CHAIN),
        ("x", "", {"langsmith.span.kind": "llm"}, Kind.LLM),
        ("x", "", {"ai.operationId": "ai.toolCall"}, Kind.TOOL),
        ("x", "", {"gen_ai.operation.name": "embeddings"}, Kind.EMBEDDING),
        ("x", "", {"gen_ai.operation.name": "invoke_workflow"}, Kind.WORKFLOW),
        ("tools/call refund", "", {}, Kind.TOOL),
        ("x", "", {"mcp.method.name": "resources/read"}, Kind.RETRIEVER),
        ("x", "", {"mcp.method.name": "tools/list"}, Kind.CHAIN),
        ("GET /orders", "", {}, Kind.CHAIN),
        ("GET /orders", "go.opentelemetry.io/contrib/x", {}, Kind.CHAIN),
        ("call_llm", "lost", {}, Kind.LLM),
        ("handoff to billing", "", {}, Kind.HANDOFF),
        ("update_agent", "livekit-agents", {"lk.agent_label": "billing"}, Kind.HANDOFF),
        ("x", "", {"gen_ai.request.model": "gpt-5"}, Kind.LLM),
        ("x", "", {"gen_ai.guardrail.name": "pii"}, Kind.GUARDRAIL),
        ("litellm_request", "litellm", {}, Kind.LLM),
        ("Received Proxy Server Request", "litellm", {}, Kind.GATEWAY),
        ("a2a.client.transports.jsonrpc.JsonRpcTransport.send_message", "a2a-python-sdk", {}, Kind.HANDOFF),
        ("a2a.server.events.event_queue.EventQueue.close", "lost", {}, Kind.CHAIN),
        ("something of mine", "my.app", {"my.attribute": 1}, Kind.UNKNOWN),
    ],
)
def test_kind(name: str, scope: str, attributes: dict[str, Any], kind: Kind) -> None:
    assert view(Span("1" * 32, "2" * 16, name, scope=scope, attributes=attributes)).kind is kind


@pytest.mark.parametrize(
    "name", ["llm_node", "llm_request_run", "tts_node", "eou_wait", "start_agent_activity"]
)
def test_livekit_goes_by_name_whatever_another_processor_stamped_on_it(name: str) -> None:
    stamped = {"gen_ai.span.kind": "LLM", "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}
    assert view(Span("1" * 32, "2" * 16, name, scope="livekit-agents", attributes=stamped)).kind is Kind.CHAIN


def test_pipecat_words_mean_nothing_elsewhere() -> None:
    attributes = {"input": "[]", "text": "hello", "transcript": "hello", "gen_ai.operation.name": "chat"}
    assert view(Span("1" * 32, "2" * 16, "llm", scope="my.app", attributes=attributes)).voice == {}
    assert (
        view(Span("1" * 32, "2" * 16, "stt", scope="pipecat", attributes=attributes)).voice["transcript"]
        == "hello"
    )


def test_a_span_may_mix_dialects() -> None:
    found = view(
        span(
            "ChatCompletion",
            "openinference.instrumentation.openai",
            openinference__span__kind="LLM",
            llm__model_name="gpt-4o",
            gen_ai__usage__input_tokens="12",
            llm__token_count__prompt=99,
            gen_ai__cost__total=0.25,
            user__id="u",
            feature__id="refunds",
            agent__trajectory__step=3,
        )
    )
    assert (found.kind, found.dialect) == (Kind.LLM, "openinference")
    assert (found.request_model, found.input_tokens, found.cost, found.user_id, found.step) == (
        "gpt-4o",
        12,
        0.25,
        "u",
        3,
    )
    assert found.tags == {"feature.id": "refunds"}


def test_scores_from_events_and_attributes_are_both_read() -> None:
    carrier = span(
        "agent.turn",
        gen_ai__evaluation__TaskCompletion=0.4,
        gen_ai__evaluation__Safe=True,
        evaluator__score__threshold=0.7,
    )
    carrier.events.append(
        Event(
            "gen_ai.evaluation.result",
            1,
            {
                "gen_ai.evaluation.name": "Groundedness",
                "gen_ai.evaluation.score.value": 0.9,
                "gen_ai.evaluation.score.label": "grounded",
                "gen_ai.evaluation.explanation": "quoted",
                "judge.model": "m",
            },
        )
    )
    found = {score.name: score for score in view(carrier).scores}
    assert found["TaskCompletion"].value == 0.4 and found["TaskCompletion"].threshold == 0.7
    assert found["Safe"].value == 1.0
    assert found["Groundedness"].label == "grounded" and found["Groundedness"].attributes == {
        "judge.model": "m"
    }


def test_gateway_and_handoff_and_guardrail() -> None:
    gateway = view(
        span(
            fi__span__kind="GATEWAY",
            gen_ai__gateway__strategy="least-latency",
            gen_ai__gateway__original_target="gpt-5",
            gen_ai__gateway__fallback="claude-opus-4-7",
            gen_ai__gateway__resolved_provider="anthropic",
            gen_ai__gateway__cache_hit="false",
        )
    )
    assert gateway.gateway == {
        "strategy": "least-latency",
        "original_target": "gpt-5",
        "fallback": "claude-opus-4-7",
        "resolved_provider": "anthropic",
        "cache_hit": False,
    }
    handoff = view(span("handoff", gen_ai__handoff__source="triage", gen_ai__handoff__target="billing"))
    assert (handoff.kind, handoff.handoff_from, handoff.handoff_to) == (Kind.HANDOFF, "triage", "billing")
    guard = view(span(gen_ai__guardrail__name="pii", gen_ai__guardrail__result="blocked"))
    assert guard.gateway["guardrails"] == [{"name": "pii", "result": "blocked"}]


def test_portkey_is_read_from_the_headers_that_an_http_client_captured() -> None:
    headers = {
        "http.request.method": "POST",
        "http.request.header.x-portkey-provider": ["openai"],
        "http.response.header.x-portkey-cache-status": ["SEMANTIC HIT"],
        "http.response.header.x-portkey-last-used-option-index": ["config.targets[1]"],
        "http.response.header.x-portkey-retry-attempt-count": ["1"],
    }
    found = view(Span("1" * 32, "2" * 16, "POST", attributes=headers))
    assert found.kind is Kind.CHAIN
    assert found.gateway == {
        "original_target": "openai",
        "cache_hit": True,
        "route": "config.targets[1]",
        "retries": "1",
    }


def test_unknown_is_none_and_not_zero() -> None:
    found = view(
        span(
            gen_ai__operation__name="chat",
            gen_ai__request__model="unknown",
            gen_ai__usage__input_tokens="many",
        )
    )
    assert found.request_model is None
    assert found.input_tokens is None
    assert found.cost is None


def test_livekit_input_deltas_are_put_together() -> None:
    def call(span_id: str, start: int, **attributes: Any) -> Span:
        return Span(
            "1" * 32, span_id, "llm_request", start_ns=start, scope="livekit-agents", attributes=attributes
        )

    def said(role: str, text: str) -> str:
        return f'[{{"role": "{role}", "parts": [{{"type": "text", "content": "{text}"}}]}}]'

    first = call(
        "a", 1, **{"gen_ai.input.messages": said("user", "one"), "gen_ai.system_instructions": "Be kind."}
    )
    second = call("b", 2, **{"gen_ai.input.messages": said("user", "two"), "lk.input.base_span_id": "a"})
    third = call(
        "c",
        3,
        **{
            "gen_ai.input.messages": said("user", "three"),
            "lk.input.base_span_id": "b",
            "lk.input.dropped_from_base": 1,
        },
    )
    found = TraceReading(Trace("1" * 32, [third, second, first])).views
    assert [message.text for message in found["b"].input or ()] == ["one", "two"]
    assert [message.text for message in found["c"].input or ()] == ["one", "three"]
    assert found["c"].instructions == "Be kind."


def test_tables_fill_only_fields_that_a_view_has() -> None:
    names = [name for dialect in dialects() for name in (*dialect.fields, *dialect.indexed)]
    assert {name.partition(".")[0] for name in names} <= FIELDS
    assert len({dialect.name for dialect in dialects()}) == len(dialects()) >= 15
    assert all(version(dialect.name) for dialect in dialects())
