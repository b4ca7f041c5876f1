"""OpenTelemetry's GenAI semantic conventions, with the older names that instrumentations still write."""

from __future__ import annotations

from typing import Any

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.messages import incoming, messages, outgoing
from simulate.trace.reading.parts import arguments_of
from simulate.trace.reading.values import decoded, loose, nested
from simulate.trace.span import Event, Kind, Message, Span, View

OPERATIONS = {
    "chat": Kind.LLM,
    "text_completion": Kind.LLM,
    "completion": Kind.LLM,
    "generate_content": Kind.LLM,
    "responses": Kind.LLM,
    "embeddings": Kind.EMBEDDING,
    "embedding": Kind.EMBEDDING,
    "execute_tool": Kind.TOOL,
    "invoke_agent": Kind.AGENT,
    "create_agent": Kind.AGENT,
    "invoke_workflow": Kind.WORKFLOW,
    "plan": Kind.CHAIN,
    "retrieval": Kind.RETRIEVER,
    "search_memory": Kind.RETRIEVER,
    "rerank": Kind.RERANKER,
    "guardrail": Kind.GUARDRAIL,
    "evaluate": Kind.EVALUATOR,
    "handoff": Kind.HANDOFF,
    "chain": Kind.CHAIN,
    "stt": Kind.STT,
    "speech_to_text": Kind.STT,
    "transcription": Kind.STT,
    "tts": Kind.TTS,
    "text_to_speech": Kind.TTS,
    "speech": Kind.TTS,
}


def _share(name: str) -> tuple[str, str]:
    return f"gen_ai.usage.{name}_tokens", f"gen_ai.usage.details.{name}_tokens"


FIELDS: dict[str, tuple[Any, ...]] = {
    "operation": ("gen_ai.operation.name",),
    "provider": ("gen_ai.provider.name", "gen_ai.system"),
    "request_model": ("gen_ai.request.model",),
    "response_model": ("gen_ai.response.model",),
    "input_tokens": ("gen_ai.usage.input_tokens",),
    "output_tokens": ("gen_ai.usage.output_tokens",),
    "cached_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        *_share("cache_read"),
        "gen_ai.usage.cache_read_input_tokens",
    ),
    "cache_write_tokens": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        *_share("cache_write"),
        "gen_ai.usage.cache_creation_input_tokens",
    ),
    "reasoning_tokens": ("gen_ai.usage.reasoning.output_tokens", *_share("reasoning")),
    "input_audio_tokens": ("gen_ai.usage.audio.input_tokens", *_share("input_audio")),
    "output_audio_tokens": ("gen_ai.usage.audio.output_tokens", *_share("output_audio")),
    "total_tokens": ("gen_ai.usage.total_tokens",),
    "cost": ("gen_ai.usage.cost",),
    "time_to_first_token": (
        "gen_ai.server.time_to_first_token",
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.client.operation.time_to_first_chunk",
    ),
    "finish_reasons": ("gen_ai.response.finish_reasons",),
    "response_id": ("gen_ai.response.id",),
    "instructions": ("gen_ai.system_instructions",),
    "input": ("gen_ai.input.messages",),
    "output": ("gen_ai.output.messages",),
    "tool_definitions": ("gen_ai.tool.definitions",),
    "tool_name": ("gen_ai.tool.name",),
    "tool_call_id": ("gen_ai.tool.call.id",),
    "tool_arguments": ("gen_ai.tool.call.arguments",),
    "tool_result": ("gen_ai.tool.call.result",),
    "documents": ("gen_ai.retrieval.documents",),
    "query": ("gen_ai.retrieval.query.text", "gen_ai.memory.query.text"),
    "agent_name": ("gen_ai.agent.name",),
    "conversation_id": ("gen_ai.conversation.id",),
    "prompt_name": ("gen_ai.prompt.name",),
    "prompt_version": ("gen_ai.prompt.version",),
    "voice.voice": ("gen_ai.request.voice",),
}

_ROLES = {"gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.tool.message": "tool"}


def _refine(span: Span, found: View) -> None:
    """Messages that older instrumentations put into span events, one an event."""
    if span.events and found.kind is Kind.TOOL:
        _tool_events(span, found)
    if not span.events or found.kind not in (Kind.LLM, Kind.AGENT):
        return
    said: list[Message] = []
    answered: list[Message] = []
    for event in span.events:
        attributes = event.attributes
        if event.name == "gen_ai.client.inference.operation.details":
            found.input = found.input or incoming(attributes.get("gen_ai.input.messages"))
            found.output = found.output or outgoing(attributes.get("gen_ai.output.messages"))
        elif event.name == "gen_ai.content.prompt":
            said.extend(incoming(attributes.get("gen_ai.prompt")) or ())
        elif event.name == "gen_ai.content.completion":
            answered.extend(outgoing(attributes.get("gen_ai.completion")) or ())
        elif event.name == "gen_ai.choice":
            answered.extend(outgoing(_body(event)) or ())
        elif event.name.startswith("gen_ai.") and event.name.endswith(".message"):
            said.extend(messages(_body(event), _ROLES.get(event.name, "assistant")) or ())
    if said:
        found.input = found.input or said
    if answered:
        found.output = found.output or answered


def _body(event: Event) -> Any:
    """What an event tells: in attributes of its own, or, as Azure's libraries write it, in one JSON text."""
    whole = event.attributes.get("gen_ai.event.content")
    return nested(event.attributes.items()) if whole is None else decoded(whole)


def _tool_events(span: Span, found: View) -> None:
    """Strands tells what a tool got and gave in events of its span."""
    for event in span.events:
        given = event.attributes.get("content")
        if event.name == "gen_ai.tool.message" and found.tool_arguments is None and given is not None:
            found.tool_arguments = arguments_of(given)
        elif event.name == "gen_ai.choice" and found.tool_result is None:
            told = outgoing(_body(event)) or ()
            found.tool_result = loose("".join(message.text for message in told))


DIALECT = Dialect(
    name="genai",
    version="semantic-conventions-genai 2026",
    rank=10,
    operations=OPERATIONS,
    any_names=(
        (r"(chat|completion|text_completion|generate_content) \S+$", Kind.LLM),
        (r"embeddings \S+$", Kind.EMBEDDING),
        (r"execute_tool \S+", Kind.TOOL),
        (r"invoke_agent\b", Kind.AGENT),
    ),
    fields=FIELDS,
    prefixed={"gen_ai.request.": "parameters"},
    signs={
        "gen_ai.tool.name": Kind.TOOL,
        "gen_ai.retrieval.documents": Kind.RETRIEVER,
        "gen_ai.input.messages": Kind.LLM,
        "gen_ai.output.messages": Kind.LLM,
        "gen_ai.response.model": Kind.LLM,
        "gen_ai.request.model": Kind.LLM,
        "gen_ai.agent.name": Kind.AGENT,
        "gen_ai.workflow.name": Kind.WORKFLOW,
    },
    refine=_refine,
    everywhere=True,
)
