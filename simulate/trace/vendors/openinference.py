"""OpenInference (Arize, Phoenix): its own kinds, flattened messages, ``llm.token_count``."""

from __future__ import annotations

from typing import Any, cast

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.messages import not_a_schema
from simulate.trace.reading.values import decoded, known
from simulate.trace.span import Kind, Span, View

_KINDS: dict[str, Kind | None] = {
    "llm": Kind.LLM,
    "chain": Kind.CHAIN,
    "agent": Kind.AGENT,
    "tool": Kind.TOOL,
    "retriever": Kind.RETRIEVER,
    "embedding": Kind.EMBEDDING,
    "reranker": Kind.RERANKER,
    "guardrail": Kind.GUARDRAIL,
    "evaluator": Kind.EVALUATOR,
    "prompt": Kind.CHAIN,
    "audio": None,
    "unknown": None,
}


def unwrap_tools(found: View) -> None:
    """Tool definitions as such, out of what the flattened attributes wrap round them."""
    if found.tool_definitions is not None:
        found.tool_definitions = [_tool(definition) for definition in found.tool_definitions]


def _tool(definition: Any) -> Any:
    """``{"tool": {"json_schema": "…"}}`` as the definition itself."""
    if not isinstance(definition, dict):
        return definition
    held = cast("dict[str, Any]", definition)
    inner = cast("dict[str, Any]", held.get("tool", held))
    return decoded(inner["json_schema"]) if "json_schema" in inner else inner


def take_parameters(given: dict[str, Any], found: View) -> None:
    """The request's parameters; its model too, where the span ended before an answer named one."""
    found.request_model = found.request_model or known(given.get("model"))
    for name, value in given.items():
        if name not in ("messages", "tools", "input", "model"):
            found.parameters.setdefault(name, value)


def _refine(span: Span, found: View) -> None:
    unwrap_tools(found)
    parameters = decoded(span.attributes.get("llm.invocation_parameters"))
    if isinstance(parameters, dict):
        take_parameters(cast("dict[str, Any]", parameters), found)


DIALECT = Dialect(
    name="openinference",
    version="0.1.30",
    rank=30,
    scopes=("openinference.",),
    marks=(
        "openinference.",
        "llm.input_messages",
        "llm.output_messages",
        "llm.token_count",
        "llm.model_name",
    ),
    kinds={"openinference.span.kind": _KINDS},
    fields={
        "provider": ("llm.provider", "llm.system"),
        "request_model": ("llm.model_name", "embedding.model_name", "reranker.model_name"),
        "input_tokens": ("llm.token_count.prompt",),
        "output_tokens": ("llm.token_count.completion",),
        "cached_tokens": ("llm.token_count.prompt_details.cache_read",),
        "cache_write_tokens": ("llm.token_count.prompt_details.cache_write",),
        "input_audio_tokens": ("llm.token_count.prompt_details.audio",),
        "output_audio_tokens": ("llm.token_count.completion_details.audio",),
        "reasoning_tokens": ("llm.token_count.completion_details.reasoning",),
        "cost": ("llm.cost.total",),
        "finish_reasons": ("llm.finish_reason",),
        "input_value": ("input.value",),
        "output_value": ("output.value",),
        "tool_name": ("tool.name", "tool_call.function.name"),
        "tool_call_id": ("tool.id", "tool_call.id"),
        "tool_arguments": ("tool_call.function.arguments", ("tool.parameters", not_a_schema)),
        "documents": ("retrieval.documents",),
        "query": ("reranker.query",),
        "agent_name": ("agent.name",),
        "session_id": ("session.id",),
        "user_id": ("user.id",),
        "prompt_name": ("llm.prompt_template.name",),
        "prompt_version": ("llm.prompt_template.version",),
        "voice.transcript": ("input.audio.transcript", "output.audio.transcript"),
    },
    indexed={
        "input": ("llm.input_messages.",),
        "output": ("llm.output_messages.",),
        "documents": ("retrieval.documents.", "reranker.output_documents."),
        "tool_definitions": ("llm.tools.",),
    },
    signs={"llm.model_name": Kind.LLM, "embedding.model_name": Kind.EMBEDDING},
    refine=_refine,
)
