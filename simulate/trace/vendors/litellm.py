"""LiteLLM, as SDK and as proxy: a request's span round the call to the provider."""

from __future__ import annotations

from typing import Any, cast

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.values import decoded, flag, integer, number
from simulate.trace.span import Kind, Span, Trace, View


def _refine(span: Span, found: View) -> None:
    hidden = decoded(span.attributes.get("hidden_params"))
    if not isinstance(hidden, dict):
        return
    held = cast("dict[str, Any]", hidden)
    if found.cost is None:
        found.cost = number(held.get("response_cost"))
    cached = flag(held.get("cache_hit"))
    if cached is None and held.get("cache_key") and number(held.get("response_cost")) == 0:
        cached = True  # an answer that was found by its key, and cost nothing
    if cached is not None:
        found.gateway.setdefault("cache_hit", cached)
    if held.get("model_id"):
        found.gateway.setdefault("route", held["model_id"])
    if (integer(_headers(held).get(_TRIES)) or 0) > 0 and "fallback" not in found.gateway:
        # it names the group that answered; the one that failed stands on its own span
        found.gateway["fallback"] = found.gateway.pop("original_target", None)


def _headers(hidden: dict[str, Any]) -> dict[str, Any]:
    headers = hidden.get("additional_headers")
    return cast("dict[str, Any]", headers) if isinstance(headers, dict) else {}


def _fallbacks(trace: Trace, found: dict[str, View]) -> None:
    """Name what a call took over from: the last call before it under the same request, which failed."""
    failed: dict[str | None, list[View]] = {}
    for span in sorted(trace.spans, key=lambda span: span.start_ns):
        view = found[span.span_id]
        if view.kind is not Kind.LLM or view.dialect != "litellm":
            continue
        if view.error is not None:
            failed.setdefault(span.parent_id, []).append(view)
        elif view.gateway.get("fallback") and not view.gateway.get("original_target"):
            before = [each for each in failed.get(span.parent_id, ()) if each.input == view.input]
            if before:
                failed[span.parent_id].remove(before[-1])
                view.gateway["original_target"] = before[-1].gateway.get("original_target")


_TRIES = "x-litellm-attempted-fallbacks"


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
    context=_fallbacks,
)
