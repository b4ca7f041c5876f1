"""LiveKit Agents: by span name. Its STT and TTS spans also carry ``gen_ai.request.model``, and third-party
processors stamp model kinds on them, so nothing else is to be trusted.

One model call is three spans: ``llm_node`` (what the developer may override) holds ``llm_request`` (the call)
holds one ``llm_request_run`` an attempt. Only ``llm_request`` is the LLM span; TTS is built alike.
"""

from __future__ import annotations

from typing import Any

from simulate.model.shapes import is_object
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.values import decoded, flag, integer, number
from simulate.trace.span import Kind, Message, Span, Trace, View


def _refine(span: Span, found: View) -> None:
    metrics = decoded(
        span.attributes.get("lk.llm_metrics") or span.attributes.get("lk.realtime_model_metrics")
    )
    if is_object(metrics):
        _from_metrics(metrics, found)
    spoken = decoded(span.attributes.get("lk.tts_metrics"))
    if is_object(spoken):
        told = spoken
        for member, key in (
            ("characters", "characters_count"),
            ("audio_seconds", "audio_duration"),
            ("time_to_first_byte", "ttfb"),
        ):
            if number(told.get(key)) is not None:
                found.voice.setdefault(member, told[key])
    if flag(span.attributes.get("lk.function_tool.is_error")):
        found.error = found.error or (str(found.tool_result) if found.tool_result else "the tool failed")
    if span.name == "user_turn" and "text" in found.voice:
        found.voice["transcript"] = found.voice.pop("text")


def _from_metrics(metrics: dict[str, Any], found: View) -> None:
    for name, key in (
        ("input_tokens", "prompt_tokens"),
        ("output_tokens", "completion_tokens"),
        ("cached_tokens", "prompt_cached_tokens"),
        ("cache_write_tokens", "cache_creation_tokens"),
        ("reasoning_tokens", "reasoning_tokens"),
        ("total_tokens", "total_tokens"),
    ):
        if getattr(found, name) is None:
            setattr(found, name, integer(metrics.get(key)))
    if found.time_to_first_token is None:
        first = number(metrics.get("ttft"))
        found.time_to_first_token = first if first is not None and first >= 0 else None


def _deltas(trace: Trace, found: dict[str, View]) -> None:
    """Full inputs of spans that recorded only what came new since another span
    (``RecordingOptions.input_delta``)."""
    spans = {span.span_id: span for span in trace.spans}
    whole: set[str] = set()
    for span in sorted(trace.spans, key=lambda span: span.start_ns):
        chain: list[Span] = []
        here: Span | None = span
        while here is not None and here.span_id not in whole and here not in chain:
            chain.append(here)
            here = spans.get(str(here.attributes.get("lk.input.base_span_id") or ""))
        for one in reversed(chain):
            whole.add(one.span_id)
            base = spans.get(str(one.attributes.get("lk.input.base_span_id") or ""))
            if base is not None:
                _rebuild(one, found[one.span_id], found[base.span_id])


def _rebuild(span: Span, one: View, base: View) -> None:
    dropped = integer(span.attributes.get("lk.input.dropped_from_base")) or 0
    before: list[Message] = list(base.input or ())
    kept = before[: len(before) - dropped] if dropped else before
    one.input = [*kept, *(one.input or ())]
    one.instructions = one.instructions if one.instructions is not None else base.instructions


DIALECT = Dialect(
    name="livekit",
    version="1.8",
    rank=40,
    scopes=("livekit-agents", "livekit.agents"),
    marks=("lk.",),
    names_first=True,
    names=(
        (r"agent_session$", Kind.CONVERSATION),
        (r"(user|agent)_turn$", Kind.TURN),
        (r"(llm_request|realtime_inference)$", Kind.LLM),
        (r"tts_request$", Kind.TTS),
        (r"stt_(request|node)$", Kind.STT),
        (r"function_tool$", Kind.TOOL),
        (r"update_agent$", Kind.HANDOFF),
        (r"(judge_evaluation|decision_model\.evaluate)$", Kind.EVALUATOR),
        (r"\w+_fallback_adapter$", Kind.GATEWAY),
        (r".", Kind.CHAIN),
    ),
    fields={
        "input": ("lk.pii.chat_ctx", "lk.chat_ctx"),
        "output": ("lk.pii.response.text", "lk.response.text"),
        "input_value": ("lk.pii.user_input", "lk.user_input"),
        "output_value": ("lk.pii.response.text", "lk.response.text"),
        "instructions": ("lk.pii.instructions", "lk.instructions"),
        "time_to_first_token": ("lk.response.ttft",),
        "tool_name": ("lk.function_tool.name",),
        "tool_call_id": ("lk.function_tool.id",),
        "tool_arguments": ("lk.pii.function_tool.arguments", "lk.function_tool.arguments"),
        "tool_result": ("lk.pii.function_tool.output", "lk.function_tool.output"),
        "agent_name": ("lk.agent_label", "lk.agent_name"),
        "handoff_from": ("lk.previous_agent_label",),
        "handoff_to": ("lk.agent_label",),
        "session_id": ("lk.pii.room_name", "lk.room_name"),
        "user_id": ("lk.pii.participant_identity", "lk.participant_identity"),
        "voice.transcript": ("lk.pii.user_transcript", "lk.user_transcript"),
        "voice.text": ("lk.pii.input_text", "lk.input_text", "lk.pii.response.text"),
        "voice.language": ("lk.eou.language",),
        "voice.interrupted": (("lk.interrupted", flag),),
        "voice.interruption_source": ("lk.interruption.source",),
        "voice.end_of_turn_delay": (("lk.end_of_turn_delay", number),),
        "voice.user_to_agent_latency": (("lk.e2e_latency", number),),
        "voice.time_to_first_byte": (("lk.response.ttfb", number),),
    },
    refine=_refine,
    context=_deltas,
)
