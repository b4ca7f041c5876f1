"""traceAI (fi-instrumentation-otel): the conventions' names, flattened messages, and kinds of its own."""

from __future__ import annotations

from typing import Any

from simulate.model.shapes import is_object, object_of
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.parts import not_a_schema
from simulate.trace.reading.usage import take_usage
from simulate.trace.reading.values import decoded, milliseconds, number
from simulate.trace.span import Kind, Span, View
from simulate.trace.vendors.openinference import take_parameters, unwrap_tools
from simulate.trace.vendors.simulate_conventions import KINDS


def _refine(span: Span, found: View) -> None:
    unwrap_tools(found)
    answer: Any = found.output_value
    if found.kind is Kind.LLM and is_object(answer):
        usage = answer.get("usage")  # of the provider's answer: it tells the cache's part
        take_usage(object_of(usage), found)
    parameters = decoded(span.attributes.get("gen_ai.request.parameters"))
    if is_object(parameters):
        found.parameters.pop("parameters", None)
        take_parameters(parameters, found)


DIALECT = Dialect(
    name="fi",
    version="1.1",
    rank=20,
    scopes=("traceai", "fi_instrumentation", "fi."),
    marks=("fi.",),
    kinds={"fi.span.kind": KINDS},
    fields={
        "provider": ("ls_provider",),
        "input_tokens": ("gen_ai.usage.prompt_tokens",),
        "output_tokens": ("gen_ai.usage.completion_tokens",),
        "input": ("gen_ai.input.messages",),
        "output": ("gen_ai.output.messages",),
        "input_value": ("input.value", "fi.input.value", "raw.input"),
        "output_value": ("output.value", "fi.output.value", "raw.output"),
        "tool_name": ("gen_ai.tool.name", "tool.name"),
        "tool_arguments": (("gen_ai.tool.parameters", not_a_schema),),
        "documents": ("retrieval.documents",),
        "prompt_name": ("gen_ai.prompt.template.name",),
        "prompt_version": ("gen_ai.prompt.template.version",),
        "cached_tokens": ("gen_ai.usage.cache_read_tokens", "gen_ai.usage.input_tokens.cache_read"),
        "cache_write_tokens": ("gen_ai.usage.cache_write_tokens", "gen_ai.usage.input_tokens.cache_write"),
        "reasoning_tokens": ("gen_ai.usage.output_tokens.reasoning",),
        "input_audio_tokens": ("gen_ai.usage.input_tokens.audio",),
        "output_audio_tokens": ("gen_ai.usage.output_tokens.audio",),
        "query": ("gen_ai.retrieval.query", "gen_ai.reranker.query"),
        "conversation_id": ("gen_ai.voice.call_id",),
        "handoff_to": ("gen_ai.a2a.agent.card.name",),
        "voice.transcript": ("gen_ai.voice.transcript", "gen_ai.audio.transcript", "audio.transcript"),
        "voice.language": ("gen_ai.voice.stt.language", "gen_ai.audio.language"),
        "voice.voice": ("gen_ai.voice.tts.voice_id",),
        "voice.audio_seconds": (("gen_ai.audio.duration_secs", number),),
        "voice.time_to_first_byte": (("gen_ai.voice.latency.ttfb_ms", milliseconds),),
        "tags.simulator": ("gen_ai.simulator.is_simulator_trace", "fi.simulator.is_simulator_trace"),
    },
    indexed={
        "input": ("gen_ai.input.messages.",),
        "output": ("gen_ai.output.messages.",),
        "documents": (
            "retrieval.documents.",
            "gen_ai.retrieval.documents.",
            "gen_ai.reranker.output_documents.",
        ),
        "tool_definitions": ("gen_ai.tool.definitions.", "gen_ai.tools."),
    },
    signs={"retrieval.documents": Kind.RETRIEVER},
    refine=_refine,
)
