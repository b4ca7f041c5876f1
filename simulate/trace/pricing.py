"""The price of a model call in US dollars, from its tokens and the prices of that day.

Prices come from the ``genai-prices`` package as installed; nothing is fetched. A cost that a span carries
itself (``gen_ai.cost.total`` and its likes) goes before any computation, unless it is 0 or less: many write 0
for a price that they do not know. A price that nobody knows is None
with the reason: a sum with an unknown part is unknown too, and what is known of it stands beside.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from simulate.trace.span import Kind, Span, View

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

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
_BEDROCK = re.compile(
    r"((us|us-gov|eu|apac|jp|au|ca|sa|global)\.)?"
    r"(ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen|writer)\.[a-z]"
)
"""How Bedrock alone calls a model, also where the provider's name is that of the model's maker."""
_USAGE = (
    ("input_tokens", "input_tokens"),
    ("output_tokens", "output_tokens"),
    ("cached_tokens", "cache_read_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("reasoning_tokens", "output_reasoning_tokens"),
    ("input_audio_tokens", "input_audio_tokens"),
    ("output_audio_tokens", "output_audio_tokens"),
)
_SPEECH = frozenset({Kind.STT, Kind.TTS})


@dataclass(frozen=True, slots=True)
class Price:
    """What one call cost; ``dollars`` is None when that cannot be known, and ``reason`` says why."""

    dollars: float | None
    source: str | None = None
    """``span`` where the span said so itself, else the price list with its version."""
    reason: str | None = None
    against: str | None = None
    """What the span said itself, where that is not believed."""


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
            if not tells_tokens(view):
                return None
            total += (view.input_tokens or 0) + (view.output_tokens or 0)
        return total if self.calls else None


def tells_tokens(view: View) -> bool:
    """Whether a call says how many tokens it took; one that failed without an answer took none that anybody
    paid."""
    told = view.input_tokens is not None and (view.kind is not Kind.LLM or view.output_tokens is not None)
    return told or not _answered(view)


_BROKEN_OFF = re.compile(r"cancel|abort|time[ds]?[ _-]?out|timeout|disconnect|interrupt|GeneratorExit", re.I)


def _answered(view: View) -> bool:
    """Whether a model may have worked for the call: not where it failed and nothing came back. One that its
    caller broke off may be paid for."""
    if view.error is None:
        return True
    said = any(message.parts for message in view.output or ())
    ended = any("error" not in reason.lower() for reason in view.finish_reasons)
    return said or ended or bool(_BROKEN_OFF.search(view.error))


def price(span: Span, view: View) -> Price:
    """The price of one model call."""
    told = view.cost
    if told is None:
        return _computed(span, view)
    if told > 0 or (told == 0 and view.gateway.get("cache_hit") is True):
        return Price(told, "span")
    found = _computed(span, view)
    if told == 0 and not found.dollars and tells_tokens(view):
        return Price(0.0, "span")  # a model of one's own costs nothing, and no list has it
    return replace(found, against=f"the span says {told:g} dollars")


def _computed(span: Span, view: View) -> Price:
    model = view.response_model or view.request_model
    if model is None:
        return Price(None, reason="the span names no model")
    usage = tuple((key, value) for name, key in _USAGE if (value := getattr(view, name)) is not None)
    if not usage:
        if not _answered(view):
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


_PLAIN = ("input_tokens", "output_tokens")
_MILLION = 1_000_000


@lru_cache(maxsize=65_536)
def _look_up(model: str, provider: str | None, usage: tuple[tuple[str, int], ...], day: int) -> Price:
    import genai_prices

    counts = [count for _, count in usage]
    try:
        rates = _rates(model, provider, day) if tuple(name for name, _ in usage) == _PLAIN else None
        if rates is not None and min(counts) >= 0:
            total = (
                sum((rate * count for rate, count in zip(rates, counts, strict=True)), Decimal()) / _MILLION
            )
        else:
            total = _calculated(model, provider, usage, day).total_price
    except LookupError:
        whose = f" of provider {provider!r}" if provider else ""
        return Price(None, reason=f"the price list knows no model {model!r}{whose}")
    except ValueError as error:
        return Price(None, reason=f"the tokens do not add up: {error}")
    return Price(float(total), f"genai-prices {genai_prices.__version__}")


@lru_cache(maxsize=4096)
def _rates(model: str, provider: str | None, day: int) -> tuple[Decimal, Decimal] | None:
    """What a million tokens cost, in and out; None where that is not all that a call costs. The price list
    takes 0.1 ms for each call of `_calculated`, which is most of what reading a span takes."""
    from genai_prices.types import TieredPrices

    nothing, into, out = (
        _calculated(model, provider, ((_PLAIN[0], counts[0]), (_PLAIN[1], counts[1])), day)
        for counts in ((0, 0), (_MILLION, 0), (0, _MILLION))
    )
    tiered = any(isinstance(rate, TieredPrices) for rate in vars(into.model_price).values())
    if tiered or nothing.total_price:  # a few models cost by the request, too
        return None
    return into.total_price, out.total_price


def _calculated(
    model: str, provider: str | None, usage: tuple[tuple[str, int], ...], day: int
) -> PriceCalculation:
    """Raises LookupError for an unknown model, ValueError for tokens that do not add up."""
    import genai_prices

    when = datetime.fromtimestamp(day * 86_400 + 43_200, UTC) if day else None
    known_as = None if provider is None else _PROVIDERS.get(provider.lower(), provider.lower())
    if _BEDROCK.match(model):
        known_as = "aws"
    elif known_as is None and model.startswith("text-embedding-"):
        known_as = "openai"  # whose names alone do not lead the price list to it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return genai_prices.calc_price(
            genai_prices.Usage(**dict(usage)), model_ref=model, provider_id=known_as,
            genai_request_timestamp=when,
        )  # fmt: skip


def cost_of_calls(models: Iterable[tuple[Span, View]], every: Iterable[tuple[Span, View]]) -> TraceCost:
    """Price every model call once: ``models`` are the calls of language and embedding models, and of
    ``every`` span those of rerankers and speech. Sums of others (agents, turns) are left out."""
    calls = list(models)
    cost = TraceCost()
    for span, view in every:
        if view.kind is Kind.RERANKER:
            calls.append((span, view))
        elif view.kind in _SPEECH:
            cost.speech.append((span, view, price(span, view)))
    cost.calls = [(span, view, price(span, view)) for span, view in calls]
    return cost
