"""Haystack's own spans: one for each component of a pipeline, whose type tells what it does."""

from __future__ import annotations

import re
from typing import Any, cast

from simulate.model.shapes import is_list, is_object, object_of
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.messages import incoming, outgoing
from simulate.trace.reading.usage import take_usage
from simulate.trace.reading.values import decoded, documents, known, text
from simulate.trace.span import Kind, Span, View

_KINDS = (
    (re.compile(r"(?P<provider>\w*?)(Chat)?Generator$"), Kind.LLM),
    (re.compile(r"(?P<provider>\w*?)(Text|Document)Embedder$"), Kind.EMBEDDING),
    (re.compile(r"\w*Retriever$"), Kind.RETRIEVER),
    (re.compile(r"\w*Ranker$"), Kind.RERANKER),
)
_PROVIDERS = {
    "OpenAI": "openai",
    "AzureOpenAI": "azure.ai.openai",
    "Anthropic": "anthropic",
    "Cohere": "cohere",
    "Mistral": "mistral_ai",
    "Ollama": "ollama",
    "AmazonBedrock": "aws.bedrock",
    "GoogleGenAI": "gcp.gemini",
}


def _refine(span: Span, found: View) -> None:
    kind = str(span.attributes.get("haystack.component.type"))
    for pattern, means in _KINDS:
        if part := pattern.fullmatch(kind):
            found.kind = means
            found.provider = found.provider or _PROVIDERS.get(part.groupdict().get("provider", ""))
            break
    given = _object(span, "haystack.component.input")
    made = _object(span, "haystack.component.output")
    if found.kind is Kind.LLM:
        found.input = found.input or incoming(given.get("messages") or given.get("prompt"))
        found.output = found.output or outgoing(made.get("replies"))
        replies = made.get("replies")
        first = replies[0] if is_list(replies) and replies else None
        _meta(first.get("meta") if is_object(first) else made.get("meta"), found)
    elif found.kind is Kind.EMBEDDING:
        _meta(made.get("meta"), found)
    elif found.kind in (Kind.RETRIEVER, Kind.RERANKER):
        found.query = found.query or text(given.get("query"))
        found.documents = found.documents or documents(made.get("documents"))


def _object(span: Span, key: str) -> dict[str, Any]:
    value = decoded(span.attributes.get(key))
    return object_of(value)


def _meta(meta: Any, found: View) -> None:
    """The model, and what it used."""
    if not is_object(meta):
        return
    held = meta
    found.response_model = found.response_model or known(held.get("model"))
    if isinstance(usage := held.get("usage"), dict):
        take_usage(cast("dict[str, Any]", usage), found)
    if held.get("finish_reason") and not found.finish_reasons:
        found.finish_reasons = [str(held["finish_reason"])]


DIALECT = Dialect(
    name="haystack",
    version="2.20",
    rank=44,
    scopes=("haystack",),
    marks=("haystack.",),
    names=(
        (r"haystack\.agent\.run$", Kind.AGENT),
        (r"haystack\.pipeline\.run$", Kind.WORKFLOW),
        (r".", Kind.CHAIN),
    ),
    fields={
        "input_value": ("haystack.component.input", "haystack.agent.input", "haystack.pipeline.input_data"),
        "output_value": (
            "haystack.component.output",
            "haystack.agent.output",
            "haystack.pipeline.output_data",
        ),
    },
    refine=_refine,
)
