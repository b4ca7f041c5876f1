"""LlamaIndex, through any instrumentation: its steps carry the kind of what they prepare, or none at all."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.span import Kind

DIALECT = Dialect(
    name="llama_index",
    version="0.14",
    rank=48,
    scopes=(
        "openinference.instrumentation.llama_index",
        "opentelemetry.instrumentation.llamaindex",
        "traceai_llamaindex",
    ),
    names_first=True,
    names=(
        (r"\w+\._prepare_chat_with_tools$", Kind.CHAIN),
        (r"\w*Retriever\.(task|workflow)$", Kind.RETRIEVER),
        (r"\w*Embedding\.(task|workflow)$", Kind.EMBEDDING),
    ),
)
