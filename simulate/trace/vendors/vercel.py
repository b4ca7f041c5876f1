"""The Vercel AI SDK: ``ai.operationId`` tells the kind; answers are spread over ``ai.response.*``."""

from __future__ import annotations

from typing import Any

from simulate.model.shapes import is_list
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.messages import outgoing
from simulate.trace.reading.values import decoded, milliseconds, text
from simulate.trace.span import Kind, Message, Span, View


def _refine(span: Span, found: View) -> None:
    attributes = span.attributes
    parts: list[dict[str, Any]] = []
    if attributes.get("ai.response.reasoning"):
        parts.append({"type": "reasoning", "content": text(attributes["ai.response.reasoning"])})
    parts.extend(
        {"type": "text", "content": text(attributes[key])}
        for key in ("ai.response.text", "ai.response.object")
        if attributes.get(key)
    )
    calls = decoded(attributes.get("ai.response.toolCalls"))
    if is_list(calls):
        for message in outgoing({"content": "", "tool_calls": calls}) or ():
            parts.extend(message.parts)
    if parts:
        found.output = [
            Message("assistant", parts, found.finish_reasons[0] if found.finish_reasons else None)
        ]
    if found.tool_name is None and attributes.get("operation.name") == "ai.toolCall":
        found.tool_name = span.name


DIALECT = Dialect(
    name="vercel",
    version="6",
    rank=45,
    marks=("ai.operationId", "ai.model.", "ai.response.", "ai.telemetry.", "ai.toolCall."),
    kinds={
        "ai.operationId": {
            "ai.generatetext": Kind.AGENT,
            "ai.generatetext.dogenerate": Kind.LLM,
            "ai.streamtext": Kind.AGENT,
            "ai.streamtext.dostream": Kind.LLM,
            "ai.generateobject": Kind.CHAIN,
            "ai.generateobject.dogenerate": Kind.LLM,
            "ai.streamobject": Kind.CHAIN,
            "ai.streamobject.dostream": Kind.LLM,
            "ai.embed": Kind.CHAIN,
            "ai.embed.doembed": Kind.EMBEDDING,
            "ai.embedmany": Kind.CHAIN,
            "ai.embedmany.doembed": Kind.EMBEDDING,
            "ai.rerank": Kind.CHAIN,
            "ai.rerank.dorerank": Kind.RERANKER,
            "ai.toolcall": Kind.TOOL,
        }
    },
    any_names=(
        (r"ai\.\w+\.do(Generate|Stream)", Kind.LLM),
        (r"ai\.toolCall", Kind.TOOL),
        (r"ai\.\w+", Kind.CHAIN),
    ),
    fields={
        "provider": ("ai.model.provider",),
        "request_model": ("ai.model.id",),
        "response_model": ("ai.response.model",),
        "response_id": ("ai.response.id",),
        "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
        "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
        "cached_tokens": (
            "ai.usage.inputTokenDetails.cacheReadTokens",
            "ai.usage.cachedInputTokens",
        ),
        "cache_write_tokens": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
        "reasoning_tokens": ("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"),
        "total_tokens": ("ai.usage.totalTokens",),
        "time_to_first_token": (("ai.response.msToFirstChunk", milliseconds),),
        "finish_reasons": ("ai.response.finishReason",),
        "input": ("ai.prompt.messages", "ai.prompt"),
        "input_value": ("ai.value", "ai.values"),
        "tool_definitions": ("ai.prompt.tools",),
        "tool_name": ("ai.toolCall.name",),
        "tool_call_id": ("ai.toolCall.id",),
        "tool_arguments": ("ai.toolCall.args", "ai.toolCall.input"),
        "tool_result": ("ai.toolCall.result", "ai.toolCall.output"),
        "agent_name": ("ai.telemetry.functionId",),
        "user_id": ("ai.telemetry.metadata.userId",),
        "session_id": ("ai.telemetry.metadata.sessionId",),
        "prompt_version": ("ai.telemetry.metadata.promptVersion",),
    },
    prefixed={"ai.settings.": "parameters", "ai.telemetry.metadata.": "tags"},
    refine=_refine,
)
