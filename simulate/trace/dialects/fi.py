"""traceAI (fi-instrumentation-otel): the conventions' names, flattened messages, and kinds of its own."""

from __future__ import annotations

from simulate.trace.dialects.base import Dialect
from simulate.trace.dialects.seed import KINDS
from simulate.trace.span import Kind

DIALECT = Dialect(
    name="fi",
    version="1.1",
    rank=20,
    scopes=("traceai", "fi_instrumentation", "fi."),
    marks=("fi.",),
    kinds={"fi.span.kind": KINDS},
    fields={
        "input_tokens": ("gen_ai.usage.prompt_tokens",),
        "output_tokens": ("gen_ai.usage.completion_tokens",),
        "input": ("gen_ai.input.messages",),
        "output": ("gen_ai.output.messages",),
        "input_value": ("input.value", "fi.input.value", "raw.input"),
        "output_value": ("output.value", "fi.output.value", "raw.output"),
        "tool_name": ("gen_ai.tool.name", "tool.name"),
        "tool_arguments": ("gen_ai.tool.parameters", "tool.parameters"),
        "documents": ("retrieval.documents",),
        "prompt_name": ("gen_ai.prompt.template.name",),
        "prompt_version": ("gen_ai.prompt.template.version",),
        "voice.transcript": ("gen_ai.voice.transcript", "gen_ai.voice.stt.transcript"),
        "voice.text": ("gen_ai.voice.text", "gen_ai.voice.tts.text"),
        "voice.language": ("gen_ai.voice.language",),
        "voice.voice": ("gen_ai.voice.id", "gen_ai.voice.voice_id", "gen_ai.voice.tts.voice_id"),
        "voice.characters": ("gen_ai.voice.characters", "gen_ai.voice.tts.character_count"),
        "voice.audio_seconds": ("gen_ai.voice.audio_duration", "gen_ai.voice.audio.duration"),
        "voice.interrupted": ("gen_ai.voice.interrupted", "gen_ai.voice.turn.was_interrupted"),
        "voice.time_to_first_byte": ("gen_ai.voice.ttfb", "gen_ai.voice.latency.ttfb"),
    },
    indexed={
        "input": ("gen_ai.input.messages.",),
        "output": ("gen_ai.output.messages.",),
        "documents": ("retrieval.documents.", "gen_ai.retrieval.documents."),
        "tool_definitions": ("gen_ai.tool.definitions.", "gen_ai.tools."),
    },
    signs={"retrieval.documents": Kind.RETRIEVER},
)
