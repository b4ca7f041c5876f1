"""LangSmith: the SDK's OpenTelemetry spans, and runs of its exports once a reader has made spans of them."""

from __future__ import annotations

from typing import Any, cast

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.messages import arguments_of
from simulate.trace.span import Kind, Span, View

_RUNS: dict[str, Kind | None] = {
    "llm": Kind.LLM,
    "chat_model": Kind.LLM,
    "chain": Kind.CHAIN,
    "tool": Kind.TOOL,
    "retriever": Kind.RETRIEVER,
    "embedding": Kind.EMBEDDING,
    "prompt": Kind.CHAIN,
    "parser": Kind.CHAIN,
    "agent": Kind.AGENT,
}


def unwrap(span: Span, found: View) -> None:
    """A tool's run records its arguments as ``{"input": …}``."""
    given: Any = found.input_value
    if found.kind is Kind.TOOL and found.tool_arguments is None and isinstance(given, dict):
        held = cast("dict[str, Any]", given)
        found.tool_arguments = arguments_of(held["input"] if held.keys() == {"input"} else held)


DIALECT = Dialect(
    name="langsmith",
    version="0.6",
    rank=45,
    scopes=("langsmith",),
    marks=("langsmith.",),
    kinds={"langsmith.span.kind": _RUNS, "langsmith.run_type": _RUNS},
    fields={
        "request_model": ("langsmith.metadata.ls_model_name",),
        "provider": ("langsmith.metadata.ls_provider",),
        "input_value": ("langsmith.inputs", "gen_ai.prompt"),
        "output_value": ("langsmith.outputs", "gen_ai.completion"),
        "session_id": (
            "langsmith.trace.session_id",
            "langsmith.metadata.session_id",
            "langsmith.metadata.thread_id",
        ),
        "user_id": ("langsmith.metadata.user_id",),
        "parameters.temperature": ("langsmith.metadata.ls_temperature",),
    },
    refine=unwrap,
)
