"""One run told in several dialects is one behaviour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulate.trace.diff import Diff, compare
from simulate.trace.files import reader
from simulate.trace.span import Span, Trace

SHARED = Path(__file__).parents[3] / "shared/traces"
shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared traces are not beside the checkout")


def told(scene: Any, seed: int = 0, tool: str = "get_weather") -> Trace:
    story = scene(seed).caller("What is the weather in Bonn?")
    story.tool(tool, {"sky": "clear"}, city="Bonn")
    story.model("The sky over Bonn is clear.")
    return story.trace


def openinference(trace: Trace) -> Trace:
    """The same spans as OpenInference writes them."""
    spans: list[Span] = []
    for span in trace:
        raw, found = span.attributes, dict[str, Any]()
        operation = raw["gen_ai.operation.name"]
        if operation == "chat":
            found["openinference.span.kind"] = "LLM"
            found["llm.model_name"] = raw["gen_ai.request.model"]
            found["llm.token_count.prompt"] = raw["gen_ai.usage.input_tokens"]
            found["llm.token_count.completion"] = raw["gen_ai.usage.output_tokens"]
            for side, key in (("input", "gen_ai.input.messages"), ("output", "gen_ai.output.messages")):
                for number, message in enumerate(json.loads(raw[key])):
                    _message(found, f"llm.{side}_messages.{number}.message", message)
        elif operation == "execute_tool":
            found["openinference.span.kind"] = "TOOL"
            found["tool.name"] = raw["gen_ai.tool.name"]
            found["input.value"] = raw["gen_ai.tool.call.arguments"]
            found["output.value"] = raw["gen_ai.tool.call.result"]
        else:
            found["openinference.span.kind"] = "AGENT"
        spans.append(
            Span(
                "f" * 32,
                span.span_id,
                span.name,
                span.parent_id,
                span.start_ns,
                span.end_ns,
                attributes=found,
            )
        )
    return Trace("f" * 32, spans)


def _message(found: dict[str, Any], root: str, message: dict[str, Any]) -> None:
    found[f"{root}.role"] = message["role"]
    calls = 0
    for part in message["parts"]:
        if part["type"] == "text":
            found[f"{root}.content"] = part["content"]
        else:
            call = f"{root}.tool_calls.{calls}.tool_call"
            found[f"{call}.id"] = part["id"]
            found[f"{call}.function.name"] = part["name"]
            found[f"{call}.function.arguments"] = json.dumps(part["arguments"])
            calls += 1


def agree(diff: Diff) -> None:
    assert diff.of("behaviour") == []
    assert diff.of("content") == []


def test_openinference_and_the_conventions_agree(scene: Any) -> None:
    agree(compare(told(scene), openinference(told(scene))))
    agree(compare(openinference(told(scene)), told(scene, 3)))
    assert not compare(told(scene), openinference(told(scene, 1, "get_forecast"))).same


def test_a_langfuse_export_and_the_spans_that_it_was_sent_agree(scene: Any, tmp_path: Path) -> None:
    trace = told(scene)
    observations = [
        {
            "id": span.span_id,
            "traceId": trace.trace_id,
            "parentObservationId": span.parent_id,
            "type": "GENERATION" if span.attributes["gen_ai.operation.name"] == "chat" else "SPAN",
            "name": span.name,
            "startTime": _iso(span.start_ns),
            "endTime": _iso(span.end_ns or span.start_ns),
            "input": None,
            "output": None,
            "metadata": {"attributes": span.attributes, "scope": {"name": span.scope}},
        }
        for span in trace
    ]
    about = {"id": trace.trace_id, "timestamp": _iso(trace.spans[0].start_ns)}
    document = {"trace": about, "observations": observations}
    file = tmp_path / "langfuse.json"
    file.write_text(json.dumps(document))
    agree(compare(trace, reader.read(file)[0]))


def _iso(moment: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(moment / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_calls_that_only_the_messages_tell_are_calls(scene: Any) -> None:
    """An instrumentation of the model's client alone has no tool spans; its messages tell the calls."""
    whole, clients = told(scene), told(scene, 1)
    clients.spans = [span for span in clients if span.attributes["gen_ai.operation.name"] != "execute_tool"]
    agree(compare(whole, clients))


@shared
def test_the_tool_that_was_not_called_is_the_first_line() -> None:
    one = reader.read(SHARED / "01_jaeger_kagent_helm_run_a.json")[0]
    other = reader.read(SHARED / "02_jaeger_kagent_helm_run_b.json")[0]
    diff = compare(one, other)
    lines = diff.summary().splitlines()
    assert lines[0] == "behaviour  the tool helm_list_releases was not called"
    assert len(lines) <= 10
    assert compare(other, one).changes[0].sentence == (
        "the tool helm_list_releases was called, which was not expected"
    )


@shared
@pytest.mark.parametrize(
    "name",
    [
        "01_jaeger_kagent_helm_run_a.json",
        "03_tempo_v1_batches_kagent.json",
        "04_langfuse_ui_claude_agent_sdk.json",
        "05_langfuse_ui_pydantic_ai_tools.json",
        "06_langfuse_ui_langgraph.json",
        "07_vercel_ai_sdk_v6_spans.json",
        "10_voiceobs_live_voice_pipeline.jsonl",
        "11_livekit_1.8.9_native_fakes.otlp.jsonl",
        "12_pipecat_1.14.0_native_fakes.otlp.jsonl",
    ],
)
def test_a_real_trace_against_itself_is_empty(name: str) -> None:
    for one, other in zip(reader.read(SHARED / name), reader.read(SHARED / name), strict=True):
        assert compare(one, other).changes == []
        one.spans.reverse()
        assert compare(one, other).changes == []


@shared
def test_voice_is_compared_as_voice() -> None:
    livekit = reader.read(SHARED / "11_livekit_1.8.9_native_fakes.otlp.jsonl")[0]
    pipecat = reader.read(SHARED / "12_pipecat_1.14.0_native_fakes.otlp.jsonl")[0]
    diff = compare(livekit, pipecat)
    sentences = [change.sentence for change in diff.changes]
    assert sentences[0] == "the agent was interrupted in turn 2 instead of turn 1"
    assert (
        "the caller was understood as “Tell me a story.” instead of “Stop, tell me a story.” in turn 2"
        in sentences
    )
    assert not any(
        change.path.startswith("tools.") and change.category == "behaviour" for change in diff.changes
    )


@shared
def test_a_slower_voice_turn_is_a_matter_of_latency() -> None:
    name = "11_livekit_1.8.9_native_fakes.otlp.jsonl"
    one, other = reader.read(SHARED / name)[0], reader.read(SHARED / name)[0]
    for span in other:
        if "lk.e2e_latency" in span.attributes:
            span.attributes["lk.e2e_latency"] = 3.2
            span.attributes["lk.interrupted"] = False
    diff = compare(one, other)
    assert [change.sentence for change in diff.changes] == [
        "the agent was not interrupted; expected in turn 1",
        "the caller waited 3.2 s instead of 733 ms (median)",
    ]


@shared
@pytest.mark.parametrize("name", ["04_langfuse_ui_claude_agent_sdk", "05_langfuse_ui_pydantic_ai_tools"])
def test_a_real_langfuse_export_agrees_with_the_spans_it_was_sent(name: str) -> None:
    """The export holds the attributes as they came, under ``metadata.attributes``."""
    file = SHARED / f"{name}.json"
    export = reader.read(file)[0]
    spans: list[Span] = []
    for observation in json.loads(file.read_text())["observations"]:
        told = export.get(observation["id"])
        assert told is not None
        held = observation["metadata"] or {}
        raw = (json.loads(held) if isinstance(held, str) else held).get("attributes") or {}
        sent = {
            key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in raw.items()
        }
        spans.append(
            Span(
                told.trace_id, told.span_id, told.name, told.parent_id, told.start_ns, told.end_ns,
                attributes=sent, scope=told.scope,
            )
        )  # fmt: skip
    agree(compare(Trace(export.trace_id, spans), export))
    agree(compare(export, Trace(export.trace_id, spans)))
