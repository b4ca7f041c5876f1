"""LiteLLM, as SDK and as proxy: a request's span round the call to the provider."""

from __future__ import annotations

from typing import Any, cast

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.values import decoded, flag, number
from simulate.trace.span import Kind, Span, View


def _refine(span: Span, found: View) -> None:
    hidden = decoded(span.attributes.get("hidden_params"))
    if not isinstance(hidden, dict):
        return
    held = cast("dict[str, Any]", hidden)
    if found.cost is None:
        found.cost = number(held.get("response_cost"))
    cached = flag(held.get("cache_hit"))
    if cached is not None:
        found.gateway.setdefault("cache_hit", cached)
    if held.get("model_id"):
        found.gateway.setdefault("route", held["model_id"])


DIALECT = Dialect(
    name="litellm",
    version="1.80",
    rank=45,
    scopes=("litellm",),
    marks=("litellm.", "hidden_params", "metadata.user_api_key"),
    names=(
        (r"(Received Proxy Server Request|litellm_proxy)", Kind.GATEWAY),
        (r"litellm_request$", Kind.LLM),
        (r"(apply_)?guardrail", Kind.GUARDRAIL),
        (r".", Kind.CHAIN),
    ),
    fields={
        "cost": ("gen_ai.cost.total_cost", "litellm.response_cost"),
        "output_tokens": ("gen_ai.usage.completion_tokens",),
        "input_tokens": ("gen_ai.usage.prompt_tokens",),
        "user_id": ("metadata.user_api_key_end_user_id", "llm.user"),
        "gateway.original_target": ("metadata.model_group", "litellm.model_group"),
        "gateway.resolved_provider": ("llm.custom_llm_provider",),
        "gateway.cache_hit": (("llm.is_cache_hit", flag),),
        "gateway.fallback": ("metadata.fallback_model",),
    },
    refine=_refine,
)
