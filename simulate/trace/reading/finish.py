"""Why a model stopped, in any provider's spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from simulate.model.shapes import is_object
from simulate.trace.reading.values import decoded
from simulate.trace.span import View

Finish = Literal["stop", "length", "tool_calls", "content_filter", "error"]

_WORDS: tuple[tuple[str, Finish], ...] = (
    (r"malformed|invalid|error|fail|unexpected|missing_thought", "error"),
    (r"tool|func|action|pause", "tool_calls"),
    (r"length|max|limit|truncat|incomplete|exceeded", "length"),
    (r"filter|safety|block|recitation|prohibited|spii|refus|guardrail|language|sensitive", "content_filter"),
    (r"stop|end|complete|eos|finish|success|done", "stop"),
)

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxTokens", "maxOutputTokens")


@lru_cache(maxsize=1024)
def finish_of(reason: str | None) -> Finish | None:
    """The reason in OpenAI's words; None where it is none that we know.

    ``TOOL_CALLS``, ``tool_use``, ``ToolUse``, ``FUNCTION_CALL`` and ``TOOL_EXECUTION`` are all
    ``tool_calls``; ``MALFORMED_FUNCTION_CALL`` is an ``error``.
    """
    if reason is None:
        return None
    word = reason.rpartition(".")[2].lower()
    return next((finish for pattern, finish in _WORDS if re.search(pattern, word)), None)


def cut_off(reasons: Iterable[str | None]) -> str | None:
    """The first reason that says that an answer is not whole, as the provider spells it."""
    cut = ("length", "content_filter", "error")
    return next((reason for reason in reasons if finish_of(reason) in cut), None)


def known(view: View) -> bool:
    """Whether a model call tells why its model stopped. LiveKit writes ``stop`` itself, of each answer that
    was neither interrupted nor a tool call; Pipecat writes nothing."""
    return bool(view.finish_reasons) and not (view.dialect == "livekit" and view.finish_reasons == ["stop"])


def used_up(view: View) -> str | None:
    """In words that an answer took every token that it was allowed; None where that is not known."""
    for name in _LIMITS:
        try:
            limit = int(str(view.parameters[name]))
        except (KeyError, ValueError):
            continue
        if 0 < limit <= (view.output_tokens or 0):
            return f"{name}: all {limit} tokens used"
    return None


_STOP_FOR_TOOLS = re.compile(r"gemini|google|vertex|gcp\.|ollama|cohere|command-", re.IGNORECASE)
"""Providers, or their models, that say ``stop`` also where they asked for a tool."""


def asked_for_no_tool(view: View) -> bool:
    """Whether the finish reasons alone say that no tool was asked for; not where one of them is unknown, or
    where the provider says ``stop`` of calls, too: some always do, others where one function was demanded."""
    found = [finish_of(reason) for reason in view.finish_reasons]
    if not found or not all(finish in ("stop", "length", "content_filter") for finish in found):
        return False
    who = f"{view.provider} {view.request_model} {view.response_model}"
    demanded = is_object(decoded(view.parameters.get("tool_choice")))
    return not demanded and not _STOP_FOR_TOOLS.search(who)
