"""Langfuse: the SDK's spans, and observations of its exports once a reader has made spans of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.values import decoded, integer, number
from simulate.trace.span import Kind, Span, View

_USAGE = (
    ("input_tokens", ("input", "prompt_tokens", "input_tokens", "promptTokens")),
    ("output_tokens", ("output", "completion_tokens", "output_tokens", "completionTokens")),
    ("cached_tokens", ("input_cache_read", "input_cached_tokens", "cache_read_input_tokens", "input_cached")),
    ("cache_write_tokens", ("input_cache_creation", "cache_creation_input_tokens")),
    ("reasoning_tokens", ("output_reasoning", "output_reasoning_tokens")),
    ("input_audio_tokens", ("input_audio", "input_audio_tokens")),
    ("output_audio_tokens", ("output_audio", "output_audio_tokens")),
)


def _refine(span: Span, found: View) -> None:
    usage = decoded(span.attributes.get("langfuse.observation.usage_details"))
    if isinstance(usage, dict):
        held = cast("dict[str, Any]", usage)
        for name, keys in _USAGE:
            if getattr(found, name) is None:
                setattr(
                    found, name, next((integer(held[key]) for key in keys if held.get(key) is not None), None)
                )
    cost = decoded(span.attributes.get("langfuse.observation.cost_details"))
    if isinstance(cost, dict) and found.cost is None:
        found.cost = _total(cast("dict[str, Any]", cost)) or (0.0 if found.output_tokens else None)
    parameters = decoded(span.attributes.get("langfuse.observation.model.parameters"))
    if isinstance(parameters, dict):
        found.parameters.update(cast("dict[str, Any]", parameters))
    first = decoded(span.attributes.get("langfuse.observation.completion_start_time"))
    if isinstance(first, str) and found.time_to_first_token is None:
        found.time_to_first_token = _since(span.start_ns, first)
    if (
        str(decoded(span.attributes.get("langfuse.observation.level"))).upper() == "ERROR"
        and found.error is None
    ):
        found.error = str(span.attributes.get("langfuse.observation.status_message") or "error")
    _langchain_tool(span, found)


def _total(cost: dict[str, Any]) -> float | None:
    if number(cost.get("total")) is not None:
        return number(cost["total"])
    shares = [number(value) for value in cost.values()]
    return (
        sum(share for share in shares if share is not None)
        if any(share is not None for share in shares)
        else None
    )


def _since(start_ns: int, moment: str) -> float | None:
    try:
        seconds = datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None
    return max(0.0, seconds - start_ns / 1e9)


def _langchain_tool(span: Span, found: View) -> None:
    """A plain span whose output is a LangChain tool message is a tool's: older handlers knew no tool type."""
    result = found.output_value
    if found.kind not in (Kind.CHAIN, Kind.TOOL) or not isinstance(result, dict):
        return
    held = cast("dict[str, Any]", result)
    if held.get("type") == "tool" and "tool_call_id" in held:
        found.kind = Kind.TOOL
        found.tool_name = str(held.get("name") or span.name)


DIALECT = Dialect(
    name="langfuse",
    version="5",
    rank=45,
    scopes=("langfuse",),
    marks=("langfuse.observation.type", "langfuse.trace"),
    kinds={
        "langfuse.observation.type": {
            "generation": Kind.LLM,
            "agent": Kind.AGENT,
            "tool": Kind.TOOL,
            "chain": Kind.CHAIN,
            "retriever": Kind.RETRIEVER,
            "embedding": Kind.EMBEDDING,
            "evaluator": Kind.EVALUATOR,
            "guardrail": Kind.GUARDRAIL,
            "span": None,
            "event": None,
        }
    },
    fields={
        "request_model": ("langfuse.observation.model.name",),
        "input_value": ("langfuse.observation.input",),
        "output_value": ("langfuse.observation.output",),
        "prompt_name": ("langfuse.observation.prompt.name",),
        "prompt_version": ("langfuse.observation.prompt.version",),
        "user_id": ("langfuse.user.id", "langfuse.trace.user_id"),
        "session_id": ("langfuse.session.id", "langfuse.trace.session_id"),
    },
    signs={"langfuse.observation.input": Kind.CHAIN, "langfuse.trace.name": Kind.CHAIN},
    names=((r".", Kind.CHAIN),),
    refine=_refine,
)
