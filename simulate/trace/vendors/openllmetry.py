"""OpenLLMetry (Traceloop): ``traceloop.*``, ``gen_ai.prompt.N.*`` and the vector stores' spans."""

from __future__ import annotations

from typing import Any

from simulate.model.shapes import is_object
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.values import text
from simulate.trace.reading.wrapping import tool_message
from simulate.trace.span import Kind, Span, View

_STORES = r"(chroma|pinecone|qdrant|weaviate|milvus|lancedb|marqo)\."


def _refine(span: Span, found: View) -> None:
    if found.operation == "execute_tool" and found.kind is Kind.CHAIN:
        # LangChain's in JavaScript: the tool itself is named in its answer alone
        message = tool_message(found.output_value)
        found.kind, found.tool_name = Kind.TOOL, None if message is None else text(message.get("name"))
    if span.name.startswith("haystack.") and [one.text for one in found.output or ()] == ["replies"]:
        # the name of the field in which Haystack has the answers, and none of them
        found.output = None
    asked: Any = found.input_value
    if found.kind is Kind.RETRIEVER and is_object(asked) and found.query is None:
        params: Any = asked.get("params")
        # a resource that MCP's client read
        found.query = text(params.get("uri")) if is_object(params) else None
    if found.kind is not Kind.TOOL:
        return
    found.tool_name = found.tool_name or span.name.removesuffix(".tool")
    told: Any = found.output_value
    if ".mcp" in span.scope and is_object(told):
        found.tool_result = told.get("result")


DIALECT = Dialect(
    name="openllmetry",
    version="0.62",
    rank=35,
    scopes=(
        "opentelemetry.instrumentation.openai.v1",
        "opentelemetry.instrumentation.openai.v0",
        "traceloop.",
    ),
    marks=("traceloop.", "gen_ai.prompt.0", "gen_ai.completion.0", "llm.request.type"),
    kinds={
        "traceloop.span.kind": {
            "workflow": Kind.WORKFLOW,
            "task": Kind.CHAIN,
            "agent": Kind.AGENT,
            "tool": Kind.TOOL,
            "unknown": None,
        },
        "llm.request.type": {
            "chat": Kind.LLM,
            "completion": Kind.LLM,
            "embedding": Kind.EMBEDDING,
            "rerank": Kind.RERANKER,
            "unknown": None,
        },
    },
    any_names=(
        (
            r"(openai|anthropic|cohere|groq|mistralai|bedrock|ollama|gemini|together)\.(chat|completion)$",
            Kind.LLM,
        ),
        (r"openai\.response", Kind.LLM),
        (r"\w+\.(embeddings|embed)$", Kind.EMBEDDING),
        (
            _STORES + r".*(query|search|retrieve|(get|fetch)(_\w*(objects?|points|vectors?|ids?))?$)",
            Kind.RETRIEVER,
        ),
        (_STORES, Kind.CHAIN),
    ),
    fields={
        "provider": ("gen_ai.system",),
        "input_tokens": ("gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
        "output_tokens": ("gen_ai.usage.completion_tokens", "llm.usage.completion_tokens"),
        "total_tokens": ("llm.usage.total_tokens",),
        "reasoning_tokens": ("gen_ai.usage.reasoning_tokens",),
        "input_value": ("traceloop.entity.input",),
        "output_value": ("traceloop.entity.output",),
        "prompt_name": ("traceloop.prompt.key",),
        "prompt_version": ("traceloop.prompt.version",),
        "session_id": ("traceloop.association.properties.session_id",),
        "user_id": ("traceloop.association.properties.user_id",),
        "conversation_id": ("traceloop.association.properties.chat_id",),
    },
    indexed={
        "input": ("gen_ai.prompt.",),
        "output": ("gen_ai.completion.",),
        "tool_definitions": ("llm.request.functions.",),
    },
    refine=_refine,
)
