"""Token counts as the conventions have them: input with what the cache gave, output with what was thought.

Langfuse, Anthropic's own numbers and Gemini's count those apart. A source that does so gives itself away: by
its own total, or because a part would be more than the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, cast

from simulate.trace.reading.values import integer
from simulate.trace.span import Kind, View

COUNTS = (
    "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
    "input_audio_tokens", "output_audio_tokens", "total_tokens",
)  # fmt: skip
"""The fields of a view that count tokens."""
_counts = attrgetter(*COUNTS)
_UNTOLD = (None,) * len(COUNTS)


def include_parts(found: View) -> None:
    """Add cached tokens to the input, and reasoning ones to the output, where they are counted apart. Numbers
    below 0 count nothing: they stand for not knowing."""
    counts = _counts(found)
    if counts == _UNTOLD:
        return
    for name, count in zip(COUNTS, counts, strict=True):
        if count is not None and count < 0:
            setattr(found, name, None)
    if found.kind is Kind.LLM and not found.cached_tokens and found.input_tokens == found.output_tokens == 0:
        # what some write where the server did not tell; no call takes no token
        found.input_tokens = found.output_tokens = found.total_tokens = None
    given, made = found.input_tokens, found.output_tokens
    cached = 0 if given is None else (found.cached_tokens or 0) + (found.cache_write_tokens or 0)
    thought = 0 if made is None else found.reasoning_tokens or 0
    if not cached and not thought:
        return
    known = (given or 0), (made or 0)
    ways = [
        (known[0] + more_given, known[1] + more_made)
        for more_made in sorted({0, thought})
        for more_given in sorted({0, cached})
        if known[0] + more_given >= cached and known[1] + more_made >= thought
    ]
    chosen = next((way for way in ways if sum(way) == found.total_tokens), ways[0])
    found.input_tokens = None if given is None else chosen[0]
    found.output_tokens = None if made is None else chosen[1]


_NAMES = {
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "total_tokens": ("total_tokens",),
    "cached_tokens": ("cache_read_input_tokens", "cached_input_tokens"),
    "cache_write_tokens": ("cache_creation_input_tokens", "cache_write_input_tokens"),
}
_DETAILS = {
    "cached_tokens": (("input_tokens_details", "prompt_tokens_details"), "cached_tokens"),
    "reasoning_tokens": (("output_tokens_details", "completion_tokens_details"), "reasoning_tokens"),
}


def take_usage(usage: Mapping[str, Any], found: View) -> None:
    """Fill in what the view lacks from the ``usage`` of OpenAI's or Anthropic's answer."""
    told = {name: _first(usage, keys) for name, keys in _NAMES.items()}
    for name, (groups, key) in _DETAILS.items():
        for group in groups:
            if isinstance(details := usage.get(group), dict):
                told[name] = told.get(name) or integer(cast("dict[str, Any]", details).get(key))
    apart = (told["cached_tokens"] or 0) + (told["cache_write_tokens"] or 0)
    if "cache_read_input_tokens" in usage and told["input_tokens"] is not None:
        # Anthropic counts the cache apart, and so do instrumentations that repeat its number
        if found.input_tokens == told["input_tokens"]:
            found.input_tokens = found.total_tokens = None
        told["input_tokens"] += apart
    for name, value in told.items():
        if value is not None and getattr(found, name) is None:
            setattr(found, name, value)


def _first(usage: Mapping[str, Any], keys: Iterable[str]) -> int | None:
    return next((integer(usage[key]) for key in keys if usage.get(key) is not None), None)
