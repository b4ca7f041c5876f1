"""The names that this project itself emits beside the conventions: rollout tags, guardrails, gateways,
handoffs,
trajectory steps and evaluation results, as attributes and as events."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.values import flag, number, text
from simulate.trace.span import Attributes, Kind, Score, Span, View

KINDS: dict[str, Kind | None] = {
    **{kind.value.lower(): kind for kind in Kind if kind is not Kind.UNKNOWN},
    "unknown": None,
    "chat": Kind.LLM,
    "completion": Kind.LLM,
    "vector_db": Kind.RETRIEVER,
    "a2a_client": Kind.HANDOFF,
    "a2a_server": Kind.AGENT,
}

EVENT = "gen_ai.evaluation.result"
_PREFIX = "gen_ai.evaluation."
_THRESHOLD = "evaluator.score.threshold"
_GUARDRAIL = "gen_ai.guardrail."
_FIELDS = ("name", "score.value", "score.label", "explanation", "score")


def scores(span: Span) -> list[Score]:
    """Evaluation results that the span carries, from events and from attributes."""
    threshold = number(span.attributes.get(_THRESHOLD))
    found = [
        _score(event.attributes, threshold, _others(event.attributes))
        for event in span.events
        if event.name == EVENT and _PREFIX + "name" in event.attributes
    ]
    if _PREFIX + "name" in span.attributes:
        found.append(_score(span.attributes, threshold, {}))
    for key, value in span.attributes.items():
        if key.startswith(_PREFIX) and key[len(_PREFIX) :] not in _FIELDS:
            name, _, field = key[len(_PREFIX) :].partition(".")
            if field in ("", "score", "score.value", "value"):
                found.append(_bare(name, value, threshold))
    return found


def _others(attributes: Attributes) -> Attributes:
    return {
        key: value for key, value in attributes.items() if not key.startswith(_PREFIX) and key != _THRESHOLD
    }


def _score(attributes: Attributes, threshold: float | None, others: Attributes) -> Score:
    own = number(attributes.get(_THRESHOLD))
    return Score(
        name=str(attributes[_PREFIX + "name"]),
        value=number(attributes.get(_PREFIX + "score.value", attributes.get(_PREFIX + "score"))),
        label=text(attributes.get(_PREFIX + "score.label")),
        explanation=text(attributes.get(_PREFIX + "explanation")),
        threshold=threshold if own is None else own,
        attributes=others,
    )


def _bare(name: str, value: Any, threshold: float | None) -> Score:
    truth = flag(value)
    if truth is not None:
        return Score(name, float(truth), threshold=threshold)
    found = number(value)
    return Score(name, found, label=None if found is not None else text(value), threshold=threshold)


@lru_cache(4096)
def _ours(key: str) -> bool:
    return key.startswith((_PREFIX, _GUARDRAIL))


def _refine(span: Span, found: View) -> None:
    if not span.events and not any(map(_ours, span.attributes)):
        return  # as nearly every span
    found.scores = scores(span) or found.scores
    verdict = {
        key[len(_GUARDRAIL) :]: value for key, value in span.attributes.items() if key.startswith(_GUARDRAIL)
    }
    if verdict:
        found.gateway.setdefault("guardrails", []).append(verdict)


DIALECT = Dialect(
    name="seed",
    version="1",
    rank=5,
    marks=("gen_ai.evaluation.", "gen_ai.guardrail.", "evaluator."),
    tells=False,
    kinds={"gen_ai.span.kind": KINDS, "fi.span.kind": KINDS},
    signs={
        "gen_ai.guardrail.name": Kind.GUARDRAIL,
        "gen_ai.evaluation.name": Kind.EVALUATOR,
        "gen_ai.gateway.strategy": Kind.GATEWAY,
        "gen_ai.gateway.original_target": Kind.GATEWAY,
        "gen_ai.handoff.target": Kind.HANDOFF,
        "handoff.target_agent": Kind.HANDOFF,
    },
    any_names=(
        (r"agent\.turn$", Kind.TURN),
        (r"handoff\b", Kind.HANDOFF),
        (r"(pre|post)?-?guardrail\b", Kind.GUARDRAIL),
    ),
    fields={
        "cost": ("gen_ai.cost.total",),
        "step": ("agent.trajectory.step",),
        "voice.text": ("simulate.spoken",),
        "voice.transcript": ("simulate.understood",),
        "prompt_version": ("prompt.version",),
        "prompt_name": ("prompt.name",),
        "user_id": ("user.id",),
        "session_id": ("session.id",),
        "tool_name": ("tool.name",),
        "tags.feature.id": ("feature.id",),
        "tags.tenant.id": ("tenant.id",),
        "tags.experiment.id": ("experiment.id",),
        "tags.cohort.name": ("cohort.name",),
        "tags.evaluator.score.threshold": ("evaluator.score.threshold",),
        "handoff_from": (
            "gen_ai.handoff.source",
            "handoff.source_agent",
            "handoff.source",
            "source_agent.name",
        ),
        "handoff_to": (
            "gen_ai.handoff.target",
            "handoff.target_agent",
            "handoff.target",
            "target_agent.name",
        ),
        "input_value": ("gen_ai.handoff.payload", "handoff.payload"),
        "gateway.strategy": ("gen_ai.gateway.strategy", "gateway.route.strategy", "route.strategy"),
        "gateway.original_target": ("gen_ai.gateway.original_target", "gateway.original_target"),
        "gateway.fallback": ("gen_ai.gateway.fallback", "gateway.fallback"),
        "gateway.resolved_provider": ("gen_ai.gateway.resolved_provider", "gateway.resolved_provider"),
        "gateway.cache_hit": (("gen_ai.gateway.cache_hit", flag), ("gateway.cache_hit", flag)),
    },
    refine=_refine,
    everywhere=True,
)
