"""Every recorded file, ours and others', is read with no span that a person would know and we do not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from simulate.trace.cost import cost_of
from simulate.trace.diff import compare
from simulate.trace.files.reader import read
from simulate.trace.find import may_have_failed
from simulate.trace.overview import fails
from simulate.trace.reading import TraceReading, Unknown
from simulate.trace.span import Kind

ROOT = Path(__file__).parents[3]
FIXTURES = sorted((ROOT / "fixtures" / "traces").glob("*.otlp.jsonl"))
SHARED = ROOT.parent / "shared" / "traces"
OTHERS = sorted(path for path in SHARED.glob("*") if path.suffix in {".json", ".jsonl"})
shared = pytest.mark.skipif(not OTHERS, reason="../shared/traces is not here")


@pytest.mark.parametrize("path", [*FIXTURES, *OTHERS], ids=lambda path: path.name[:40])
def test_no_span_is_unknown_and_whatever_failed_is_found_by_looking(path: Path) -> None:
    every = [each for trace in read(path) for each in TraceReading(trace)]
    assert not Counter(span.name for span, view in every if view.kind is Kind.UNKNOWN)
    assert [span.name for span, view in every if fails(span, view) and not may_have_failed(span)] == []


@pytest.mark.parametrize("path", [*FIXTURES, *OTHERS], ids=lambda path: path.name[:40])
def test_raw_attributes_stay_as_they_came(path: Path) -> None:
    for trace, untouched in zip(read(path), read(path), strict=True):
        str(TraceReading(trace).tool_calls)
        cost_of(trace)
        assert trace.spans == untouched.spans


COUNTS = {
    "01_jaeger_kagent_helm_run_a.json": (2, ["helm_list_releases"]),
    "02_jaeger_kagent_helm_run_b.json": (1, []),
    "03_tempo_v1_batches_kagent.json": (2, ["helm_list_releases"]),
    "04_langfuse_ui_claude_agent_sdk.json": (4, ["mcp__weather__get_weather"] * 2),
    "05_langfuse_ui_pydantic_ai_tools.json": (
        4,
        ["get_pun_suggestion", "get_dad_joke_suggestion", "get_one_liner_suggestion"],
    ),
    "06_langfuse_ui_langgraph.json": (2, ["Web-Search"]),
    "11_livekit_1.8.9_native_fakes.otlp.jsonl": (3, ["get_weather"]),
    "12_pipecat_1.14.0_native_fakes.otlp.jsonl": (3, ["get_weather"]),
}


@shared
@pytest.mark.parametrize("name", COUNTS)
def test_calls_of_others_traces_are_counted_once(name: str) -> None:
    (trace,) = read(SHARED / name)
    models, tools = COUNTS[name]
    assert len(TraceReading(trace).llm_calls) == models
    assert [use.name for use in TraceReading(trace).tool_calls] == tools
    assert TraceReading(trace).evidence.tools


@shared
def test_trials_of_tau_bench_call_the_tools_that_their_messages_ask_for() -> None:
    import json

    path = SHARED / "08_taubench_airline_tasks1_5_x4trials.json"
    asked = [
        [call["function"]["name"] for message in trial["traj"] for call in message.get("tool_calls") or ()]
        for trial in json.loads(path.read_text())
    ]
    assert [[use.name for use in TraceReading(trace).tool_calls] for trace in read(path)] == asked


@shared
def test_livekit_tells_what_its_tool_got_and_gave() -> None:
    (trace,) = read(SHARED / "11_livekit_1.8.9_native_fakes.otlp.jsonl")
    (use,) = TraceReading(trace).tool_calls
    assert use.arguments == {"location": "Tokyo"}
    assert use.result == "The weather in Tokyo is sunny today."
    assert use.call_id == "call_1"
    seen = TraceReading(trace).views
    turns = [seen[span.span_id].voice for span in trace if span.name == "agent_turn"]
    assert [turn["interrupted"] for turn in turns] == [True, False]
    assert turns[0]["interruption_source"] == "audio_activity"
    assert turns[0]["user_to_agent_latency"] == pytest.approx(0.7457809)
    heard = [seen[span.span_id].voice["transcript"] for span in trace if span.name == "user_turn"]
    assert heard == ["What's the weather in Tokyo?", "Stop, tell me a story."]
    spoken = [seen[span.span_id] for span in trace if span.name == "tts_request"]
    assert [view.voice["characters"] for view in spoken] == [33, 36, 17]


@shared
def test_pipecat_tool_call_comes_from_the_next_input() -> None:
    (trace,) = read(SHARED / "12_pipecat_1.14.0_native_fakes.otlp.jsonl")
    (use,) = TraceReading(trace).tool_calls
    assert use.arguments == {"location": "Tokyo"}
    assert use.result == {"weather": "sunny", "location": "Tokyo"}
    conversation = next(view for view in TraceReading(trace).views.values() if view.kind is Kind.CONVERSATION)
    assert (conversation.user_id, conversation.prompt_version) == ("u-1", "v2.3.1")


@shared
def test_vercel_counts_the_inner_call_only() -> None:
    kinds = Counter(
        view.kind
        for trace in read(SHARED / "07_vercel_ai_sdk_v6_spans.json")
        for view in TraceReading(trace).views.values()
    )
    assert kinds[Kind.LLM] == 4
    assert kinds[Kind.EMBEDDING] == 1


RECORDED = {
    "openinference_openai": 4,
    "otel_openai_v2": 4,
    "otel_openai_v2_no_content": 4,
    "openllmetry_openai": 4,
    "traceai_openai_client": 4,
    "langfuse_sdk": 4,
    "vercel_ai": 4,
    "langgraph_agent": 4,
    "pydantic_ai_agent": 6,
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_agents_made_these_calls(name: str) -> None:
    traces = read(ROOT / "fixtures" / "traces" / f"{name}.otlp.jsonl")
    calls = [view for trace in traces for _, view in TraceReading(trace).llm_calls]
    assert len(calls) == RECORDED[name]
    failed = [view for view in calls if view.error is not None]
    assert [view.request_model for view in failed] == ["no-such-model"]
    assert all(view.input_tokens and view.output_tokens for view in calls if view.error is None)
    assert all(view.provider in ("openai", None) for view in calls)
    if name == "otel_openai_v2_no_content":
        return
    uses = [use for trace in traces for use in TraceReading(trace).tool_calls if use.name == "get_order"]
    assert [use.arguments for use in uses] == [{"order_id": "4711"}]
    assert [use.result for use in uses] == [{"order_id": "4711", "status": "shipped", "eta": "Tuesday"}]
    stated = [view for view in calls if view.error is None]
    assert all(view.input and view.output for view in stated)
    assert any("30 days" in message.text for view in stated for message in view.output or ())


@pytest.mark.parametrize(
    "name", ["openinference_openai", "traceai_openai_client", "langfuse_sdk", "langgraph_agent"]
)
def test_retrieved_documents_are_read(name: str) -> None:
    found = [
        view
        for trace in read(ROOT / "fixtures" / "traces" / f"{name}.otlp.jsonl")
        for view in TraceReading(trace).views.values()
        if view.kind is Kind.RETRIEVER
    ]
    assert [view.query for view in found] == ["refund policy"]
    assert [one["content"] for one in found[0].documents or ()] == [
        "Refunds are possible within 30 days.",
        "Broken goods are replaced.",
    ]


def test_users_sessions_and_prompt_versions_are_read() -> None:
    for name in ("openinference_openai", "vercel_ai"):
        views_of_all = [
            view
            for trace in read(ROOT / "fixtures" / "traces" / f"{name}.otlp.jsonl")
            for view in TraceReading(trace).views.values()
        ]
        assert {view.user_id for view in views_of_all} == {"user-1"}
        assert {view.session_id for view in views_of_all} == {"session-1"}
        assert {view.prompt_version for view in views_of_all} == {"v3"}


FOUND = {"order_id": "4711", "status": "shipped", "eta": "Tuesday"}


def test_livekit_session_in_text() -> None:
    (trace,) = read(ROOT / "fixtures" / "traces" / "livekit_agents_session.otlp.jsonl")
    calls = TraceReading(trace).llm_calls
    assert [span.name for span, _ in calls] == ["llm_request"] * 6
    assert [view.request_model for _, view in calls] == ["gpt-4o-mini"] * 5 + ["no-such-model"]
    assert [view.error is None for _, view in calls] == [True] * 5 + [False]
    assert all(view.time_to_first_token for _, view in calls[:5])
    order, policy = TraceReading(trace).tool_calls
    assert (order.name, order.arguments, order.result, order.error) == (
        "get_order", {"order_id": "4711"}, FOUND, None,
    )  # fmt: skip
    assert (policy.name, policy.error) == ("search_policy", "the policies are being rewritten")
    handoffs = [view for view in TraceReading(trace).views.values() if view.kind is Kind.HANDOFF]
    assert [(one.handoff_from, one.handoff_to) for one in handoffs] == [
        ("shop", "billing"),
        ("billing", "broken"),
    ]


def test_pipecat_pipeline_in_text() -> None:
    talk, broken = read(ROOT / "fixtures" / "traces" / "pipecat_bot.otlp.jsonl")
    assert len(TraceReading(talk).llm_calls) == 3
    (use,) = TraceReading(talk).tool_calls
    assert (use.name, use.arguments, use.result) == ("get_order", {"order_id": "4711"}, FOUND)
    ((_, failed),) = TraceReading(broken).llm_calls
    assert failed.request_model == "no-such-model" and "NotFoundError" in (failed.error or "")
    assert cost_of(broken).dollars == 0.0  # a call that was refused is not paid


def test_adk_tells_a_tool_a_stream_and_an_error() -> None:
    tool, stream, broken = read(ROOT / "fixtures" / "traces" / "google_adk.otlp.jsonl")
    (use,) = TraceReading(tool).tool_calls
    assert (use.arguments, use.result) == ({"order_id": "4711"}, FOUND)
    assert cost_of(tool).dollars is not None
    ((_, streamed),) = TraceReading(stream).llm_calls
    # the span holds each piece of the stream, and then the whole
    assert [one.text for one in streamed.output or ()] == ["Refunds are possible within 30 days of delivery."]
    ((_, failed),) = TraceReading(broken).llm_calls
    assert "NotFoundError" in (failed.error or "")


def test_crew_tells_a_tool_a_stream_and_an_error() -> None:
    tool, stream, broken = read(ROOT / "fixtures" / "traces" / "crewai_crew.otlp.jsonl")
    assert [(use.name, use.arguments) for use in TraceReading(tool).tool_calls] == [
        ("get_order", {"order_id": "4711"})
    ]
    assert len(TraceReading(tool).llm_calls) == 2
    ((_, streamed),) = TraceReading(stream).llm_calls
    assert "30 days" in (streamed.output or [])[0].text and streamed.output_tokens
    ((_, failed),) = TraceReading(broken).llm_calls
    assert failed.request_model == "no-such-model" and "NotFoundError" in (failed.error or "")


def test_litellm_tells_cost_route_and_a_tool_call() -> None:
    traces = read(ROOT / "fixtures" / "traces" / "litellm_proxy.otlp.jsonl")
    seen = [view for trace in traces for _, view in TraceReading(trace).llm_calls]
    assert len(seen) == 5
    assert {view.gateway.get("original_target") for view in seen} == {None, "main", "spare"}
    assert all(view.cost for view in seen if view.error is None)
    uses = [use for trace in traces for use in TraceReading(trace).tool_calls]
    assert [(use.name, use.arguments) for use in uses] == [("get_order", {"order_id": "4711"})]


def test_mcp_tool_spans_tell_names_but_no_arguments() -> None:
    uses = [
        use
        for trace in read(ROOT / "fixtures" / "traces" / "mcp_sdk.otlp.jsonl")
        for use in TraceReading(trace).tool_calls
    ]
    assert [(use.name, not isinstance(use.arguments, Unknown), use.error is not None) for use in uses] == [
        ("get_order", False, False),
        ("cancel_order", False, True),
    ]


def test_a2a_client_hands_over_once_a_message() -> None:
    handoffs = [
        span.name.rpartition(".")[2]
        for trace in read(ROOT / "fixtures" / "traces" / "a2a_sdk.otlp.jsonl")
        for span in trace
        if TraceReading(trace).views[span.span_id].kind is Kind.HANDOFF
    ]
    assert sorted(handoffs) == ["send_message", "send_message", "send_message_streaming"]


def test_content_that_was_not_captured_is_said_and_not_guessed() -> None:
    (first, *_) = read(ROOT / "fixtures" / "traces" / "otel_openai_v2_no_content.otlp.jsonl")
    evidence = TraceReading(first).evidence
    assert not evidence.content and "content capture is off" in evidence.content.why_not
    assert not evidence.tools and "no TOOL spans" in evidence.tools.why_not
    assert TraceReading(first).tool_calls == []


def test_fixtures_hold_nothing_of_the_machine_that_recorded_them() -> None:
    for path in FIXTURES:
        text = path.read_text()
        assert path.stat().st_size <= 60_000
        for hint in (
            "/root/",
            "/home/",
            "/tmp/",
            "site-packages/",
            '"host.name',
            '"process.',
            "sk-not-a-key",
        ):
            assert hint not in text, (path.name, hint)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name[:40])
def test_a_recording_is_as_itself(path: Path) -> None:
    for trace in read(path):
        assert compare(trace, trace).changes == []
