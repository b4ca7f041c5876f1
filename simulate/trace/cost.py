"""What a trace cost, in US dollars, from the tokens of its model calls and the prices of that day.

Prices come from the ``genai-prices`` package as installed; nothing is fetched. A cost that a span
carries itself
(``gen_ai.cost.total`` and its likes) goes before any computation. A price that nobody knows is None with the
reason: a sum with an unknown part is unknown too, and what is known of it stands beside.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from simulate.trace.reading import llm_calls, views
from simulate.trace.span import Kind, Span, Trace, View

By = Literal[
    "user", "session", "feature", "prompt_version", "model", "provider", "tenant", "cohort", "experiment"
]
UNSET = "(not set)"
"""The row of what carries no value for the attribute that is asked for."""

_PROVIDERS = {
    "az.ai.openai": "azure",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure-openai": "azure",
    "aws.bedrock": "aws",
    "amazon-bedrock": "aws",
    "bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "vertex_ai": "google",
    "gemini": "google",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "together_ai": "together",
}
"""Names of the conventions and of instrumentations → ids of the price list, where they differ."""
_USAGE = (
    ("input_tokens", "input_tokens"),
    ("output_tokens", "output_tokens"),
    ("cached_tokens", "cache_read_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("reasoning_tokens", "output_reasoning_tokens"),
    ("input_audio_tokens", "input_audio_tokens"),
    ("output_audio_tokens", "output_audio_tokens"),
)
_LANGUAGE = frozenset({Kind.LLM, Kind.EMBEDDING, Kind.RERANKER})
_SPEECH = frozenset({Kind.STT, Kind.TTS})


@dataclass(frozen=True, slots=True)
class Price:
    """What one call cost; ``dollars`` is None when that cannot be known, and ``reason`` says why."""

    dollars: float | None
    source: str | None = None
    """``span`` where the span said so itself, else the price list with its version."""
    reason: str | None = None


@dataclass(slots=True)
class TraceCost:
    """What a trace's model calls cost. Speech (STT and TTS) is summed apart: its prices are rarely known."""

    calls: list[tuple[Span, View, Price]] = field(default_factory=list[tuple[Span, View, Price]])
    speech: list[tuple[Span, View, Price]] = field(default_factory=list[tuple[Span, View, Price]])

    @property
    def known(self) -> float:
        """The sum of the prices that are known."""
        return sum(price.dollars for _, _, price in self.calls if price.dollars is not None)

    @property
    def unknown(self) -> list[str]:
        """One sentence for each call whose price is not known."""
        return [
            f"{span.name} ({span.span_id}): {price.reason}"
            for span, _, price in self.calls
            if price.dollars is None
        ]

    @property
    def dollars(self) -> float | None:
        """The whole sum; None when a part of it is not known, or when the trace shows no model call."""
        return None if not self.calls or self.unknown else self.known

    @property
    def reason(self) -> str | None:
        """Why ``dollars`` is None."""
        if not self.calls:
            return "the trace shows no model call"
        unknown = self.unknown
        if not unknown:
            return None
        return f"{len(unknown)} of {len(self.calls)} calls have no known price, the first is {unknown[0]}"

    @property
    def tokens(self) -> int | None:
        """Input and output tokens of all calls; None when a call that did not fail tells none."""
        total = 0
        for _, view, _ in self.calls:
            if not _tells_tokens(view):
                return None
            total += (view.input_tokens or 0) + (view.output_tokens or 0)
        return total if self.calls else None


def _tells_tokens(view: View) -> bool:
    """Whether a call says how many tokens it took; one that failed took none that anybody paid."""
    told = view.input_tokens is not None and (view.kind is not Kind.LLM or view.output_tokens is not None)
    return told or view.error is not None


def price(span: Span, view: View) -> Price:
    """The price of one model call."""
    if view.cost is not None:
        return Price(view.cost, "span")
    model = view.response_model or view.request_model
    if model is None:
        return Price(None, reason="the span names no model")
    usage = _usage(view)
    if not usage:
        if view.error is not None:
            return Price(0.0, "failed call without usage")
        return Price(None, reason="the span tells no tokens")
    if view.kind is Kind.LLM and ("input_tokens" not in dict(usage) or "output_tokens" not in dict(usage)):
        return Price(None, reason="the span tells only a part of the tokens")
    day = span.start_ns // 86_400_000_000_000
    found = _look_up(model, view.provider, usage, day)
    if found.dollars is None and "/" in model:
        found = _look_up(model.rpartition("/")[2], view.provider, usage, day)  # openai/gpt-4o-mini
    if found.dollars is None and view.request_model not in (None, model):
        found = _look_up(str(view.request_model), view.provider, usage, day)
    return found


def _usage(view: View) -> tuple[tuple[str, int], ...]:
    """Tokens under the price list's names. By the conventions input tokens include cached ones; a source that
    counts those apart gives itself away when they are more than the whole."""
    told = {key: value for name, key in _USAGE if (value := getattr(view, name)) is not None}
    cached = told.get("cache_read_tokens", 0) + told.get("cache_write_tokens", 0)
    if cached > told.get("input_tokens", 0):
        told["input_tokens"] = told.get("input_tokens", 0) + cached
    return tuple(told.items())


@lru_cache(maxsize=65_536)
def _look_up(model: str, provider: str | None, usage: tuple[tuple[str, int], ...], day: int) -> Price:
    import genai_prices

    when = datetime.fromtimestamp(day * 86_400 + 43_200, UTC) if day else None
    known_as = None if provider is None else _PROVIDERS.get(provider.lower(), provider.lower())
    if known_as is None and model.startswith("text-embedding-"):
        known_as = "openai"  # whose names alone do not lead the price list to it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = genai_prices.calc_price(
                genai_prices.Usage(**dict(usage)),
                model_ref=model,
                provider_id=known_as,
                genai_request_timestamp=when,
            )
    except LookupError:
        whose = f" of provider {provider!r}" if provider else ""
        return Price(None, reason=f"the price list knows no model {model!r}{whose}")
    except ValueError as error:
        return Price(None, reason=f"the tokens do not add up: {error}")
    return Price(float(found.total_price), f"genai-prices {genai_prices.__version__}")


def cost_of(trace: Trace, seen: dict[str, View] | None = None) -> TraceCost:
    """Price every model call of a trace once; spans that only sum up others (agents, turns) are left out."""
    seen = views(trace) if seen is None else seen
    cost = TraceCost()
    models = [(span, view) for span, view in llm_calls(trace, seen)]
    others = [(span, seen[span.span_id]) for span in trace.spans]
    models += [(span, view) for span, view in others if view.kind in _LANGUAGE and view.kind is not Kind.LLM]
    cost.calls = [(span, view, price(span, view)) for span, view in models]
    cost.speech = [(span, view, price(span, view)) for span, view in others if view.kind in _SPEECH]
    return cost


@dataclass(slots=True)
class Row:
    """One line of a rollup. ``dollars`` sums what is known; ``unpriced`` counts calls that it lacks."""

    key: str
    traces: int = 0
    calls: int = 0
    dollars: float = 0.0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    untold: int = 0
    """Calls that did not fail and whose tokens the sums lack."""
    successful: int = 0
    reason: str | None = None
    """Why the first of the unpriced calls has no price."""

    @property
    def dollars_per_success(self) -> float | None:
        """All that was spent, over what succeeded; None when nothing did, or a price is unknown."""
        return self.dollars / self.successful if self.successful and not self.unpriced else None


def rollup(
    traces: Iterable[Trace], by: By = "model", successful: Callable[[Trace], bool] | None = None
) -> list[Row]:
    """Cost by user, feature, prompt version, model and so on; the dearest first.

    A call has the value of its own span, else of the nearest span above it, else of any span in its trace.
    ``successful`` tells which traces succeeded; by default those of `succeeded`.
    """
    rows: dict[str, Row] = {}
    for trace in traces:
        seen = views(trace)
        won = succeeded(trace, seen) if successful is None else successful(trace)
        touched: set[str] = set()
        spans = {span.span_id: span for span in trace.spans}
        for span, view, paid in cost_of(trace, seen).calls:
            key = inherited(span, view, by, trace, seen, spans) or UNSET
            row = rows.setdefault(key, Row(key))
            row.calls += 1
            row.dollars += paid.dollars or 0.0
            row.unpriced += paid.dollars is None
            row.reason = row.reason or (paid.reason if paid.dollars is None else None)
            row.input_tokens += view.input_tokens or 0
            row.output_tokens += view.output_tokens or 0
            row.untold += not _tells_tokens(view)
            touched.add(key)
        for key in touched:
            rows[key].traces += 1
            rows[key].successful += won
    return sorted(rows.values(), key=lambda row: (-row.dollars, row.key))


def succeeded(
    trace: Trace, seen: dict[str, View] | None = None, least: Mapping[str, float] | None = None
) -> bool:
    """Whether nothing says that the trace failed: no root with an error, no evaluator's result that is bad
    by its threshold, by the one in ``least`` (name → least value), or by its label."""
    seen = views(trace) if seen is None else seen
    ids = {span.span_id for span in trace.spans}
    if any(seen[span.span_id].error for span in trace.spans if span.parent_id not in ids):
        return False
    limits = least or {}
    return not any(
        score.passed(limits.get(score.name)) is False for view in seen.values() for score in view.scores
    )


def inherited(
    span: Span,
    view: View,
    by: By,
    trace: Trace,
    seen: dict[str, View],
    spans: dict[str, Span] | None = None,
) -> str | None:
    """The attribute's value at a span: its own, the nearest one's above, or the first in its trace."""
    if by == "model":
        return view.response_model or view.request_model
    if by == "provider":
        return view.provider
    spans = {one.span_id: one for one in trace.spans} if spans is None else spans
    here: Span | None = span
    passed: set[str] = set()
    while here is not None and here.span_id not in passed:
        value = _value(seen[here.span_id], by)
        if value is not None:
            return value
        passed.add(here.span_id)
        here = spans.get(here.parent_id or "")
    values = (_value(seen[one.span_id], by) for one in trace.spans)
    return next((value for value in values if value is not None), None)


def _value(view: View, by: By) -> str | None:
    fields = {"user": view.user_id, "session": view.session_id or view.conversation_id}
    tags = {
        "feature": "feature.id",
        "tenant": "tenant.id",
        "cohort": "cohort.name",
        "experiment": "experiment.id",
    }
    if by == "prompt_version":
        return view.prompt_version
    if by in tags:
        tag = view.tags.get(tags[by])
        return None if tag is None else str(tag)
    return fields.get(by)
