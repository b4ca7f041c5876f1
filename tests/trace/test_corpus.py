"""What is true of each recorded trace, held against our reader.

``fixtures/truth/<name>.yaml`` is written by hand from what the agent's script did and from what its model
server answered, never from what we read. What it may hold (only ``about`` and ``content`` must be there)::

    about: one sentence
    content: true              # whether the trace holds what was said
    model_calls:               # each once, in order, however many spans tell of it
      - {provider: openai, model: gpt-4o-mini, input: 32, output: 35, asks: [get_order]}
      - {provider: openai, model: gpt-4o-mini, input: 15, output: 12, says: Hello., stream: true}
      - {provider: openai, model: no-such-model, error: does not exist}
        # tokens as the server reported them; input counts the cached ones too: cached: 9, cache_write: 0
        # error: words that the reported error must hold
    embeddings: 1              # calls of an embedding model
    tools:                     # each once, in order; asked for by a model unless `asked: false`
      - {name: get_order, arguments: {order_id: "4711"}, result: {status: shipped}}
      - {name: cancel_order, arguments: {}, error: shipped already}
      - {name: Order, arguments: {}, ran: false}         # asked for, and nobody ran it
    retrievals:                # searches only; what was written to a store is counted under `writes`
      - {query: refunds, documents: [{id: policy-1, text: Refunds are …, score: 0.92}]}
    writes: 1                  # upserts and deletions: never searches
    handoffs: [{from: shop, to: billing}]
    fallbacks: [{from: main, to: spare}]
    cache_hits: 1
    guardrails:                # verdicts, in order
      - {name: no-days, passed: false}
    final: the last words of the agent
    gaps:                      # what the instrumentation does not record, or records wrongly
      - fact: tokens           # one of FACTS
        of: [2]                # which of those that are told, from 0; left out: all
        why: which attribute is missing, or wrong
        wrong: true            # it says something false; left out: it says nothing

An entry of ``model_calls``, ``tools``, ``retrievals`` or ``handoffs`` of which the trace tells nothing at all
has ``lost: why``.

A fact in a gap must be read as unknown, never as a value; one that is recorded wrongly is not compared.
``known_wrong/<layer>.toml`` lists what our reader is known to get wrong: a to-do list, held strictly.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from fixtures.record.integration import integrations
from simulate.trace.conversations import read_conversations
from simulate.trace.reading import TraceReading, Unknown
from simulate.trace.span import Kind, View

ROOT = Path(__file__).parents[2]
TRUTHS = sorted((ROOT / "fixtures" / "truth").glob("*.yaml"))
NOT_RECORDED = "not_recorded"
NAMES = [path.stem for path in TRUTHS if path.stem != NOT_RECORDED]
KNOWN_WRONG: dict[str, dict[str, str]] = {
    name: facts
    for table in sorted((Path(__file__).parent / "known_wrong").glob("*.toml"))
    for name, facts in tomllib.loads(table.read_text()).items()
}

_PROVIDERS = {
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "gcp.gen_ai": "gcp.gemini",
    "google": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "togetherai": "together",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Other names in use → the conventions' name."""

Truth = dict[str, Any]
Facts = list[Any]


# --- the reader: the one place that knows our functions --------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """What our reader makes of one file; None in a list means that it says it does not know."""

    facts: dict[str, Facts]


@lru_cache(maxsize=1)
def reading(name: str) -> Reading:
    """Read the fixture's traces with the functions that everything else uses."""
    traces = read_conversations(ROOT / "fixtures" / "traces" / f"{name}.otlp.jsonl")
    seen = [TraceReading(trace) for trace in traces]
    every = [view for one in seen for _, view in one]
    by_time = sorted((call for one in seen for call in one.llm_calls), key=lambda call: call[0].start_ns)
    calls = [view for _, view in by_time]
    tools = [call for one in seen for call in one.tool_calls if call.happened is not False]
    searches = [view for one in seen for view in _outermost(one, Kind.RETRIEVER)]
    facts: dict[str, Facts] = {
        "model_calls": [len(calls)],
        "provider": [_provider(view.provider) for view in calls],
        "model": [[view.request_model, view.response_model] for view in calls],
        "tokens": [_tokens(view.input_tokens, view.output_tokens) for view in calls],
        "cached": [_tokens(view.cached_tokens, view.cache_write_tokens) for view in calls],
        "words": [_words(view) for view in calls],
        "errors": [view.error for view in calls],
        "embeddings": [sum(len(one.embeddings) for one in seen)],
        "tools": [use.name for use in tools],
        "arguments": [_known(use.arguments) for use in tools],
        "results": [_known(use.result) for use in tools],
        "tool_errors": [use.error for use in tools],
        "retrievals": [len(searches)],
        "query": [view.query for view in searches],
        "documents": [_each(view, "content") for view in searches],
        "document_ids": [_each(view, "id") for view in searches],
        "scores": [_each(view, "score") for view in searches],
        "handoffs": sorted(
            [handoff.from_, handoff.to]
            for one in seen
            for handoff in one.handoffs
            if any(one.view(handoff.span) is view for view in _outermost(one, Kind.HANDOFF))
        ),
        "fallbacks": [
            [view.gateway.get("original_target"), view.gateway.get("fallback")]
            for view in every
            if view.gateway.get("fallback")
        ],
        "cache_hits": [sum(view.gateway.get("cache_hit") is True for view in every)],
        "guardrails": [verdict for view in every for verdict in _verdicts(view)],
        "final": [_final(calls) or _answer(seen)],
        "content": [all(bool(one.evidence.content) for one in seen if one.llm_calls)],
    }
    return Reading(facts)


def _known(fact: Any) -> Any:
    return None if isinstance(fact, Unknown) else fact


def _outermost(reading: TraceReading, kind: Kind) -> list[View]:
    def inside(span_id: str | None) -> bool:
        while span_id in reading.by_id:
            if reading.views[span_id].kind is kind:
                return True
            span_id = reading.by_id[span_id].parent_id
        return False

    ordered = sorted(reading, key=lambda one: one[0].start_ns)
    return [view for span, view in ordered if view.kind is kind and not inside(span.parent_id)]


def _provider(name: str | None) -> str | None:
    return name and _PROVIDERS.get(name.lower(), name.lower())


def _tokens(one: int | None, other: int | None) -> list[int | None] | None:
    return None if one is None and other is None else [one, other]


def _words(view: View) -> dict[str, Any] | None:
    if view.output is None:
        return None
    asks = [str(part.get("name")) for message in view.output for part in message.tool_calls]
    text = "".join(message.text for message in view.output)
    return {"asks": asks} if asks else {"says": text}


def _each(view: View, key: str) -> list[Any] | None:
    return None if view.documents is None else [one.get(key) for one in view.documents]


def _verdicts(view: View) -> list[list[Any]]:
    told: list[dict[str, Any]] = view.gateway.get("guardrails") or []
    return [[one.get("name"), one.get("result") in ("pass", "passed")] for one in told]


def _final(calls: list[View]) -> str | None:
    said = [words["says"] for view in calls if (words := _words(view)) and words.get("says")]
    return said[-1] if said else None


def _answer(seen: list[TraceReading]) -> str | None:
    """The last words of the agents, where the model calls tell none."""
    said = [
        str(view.output_value) for one in seen for view in _outermost(one, Kind.AGENT) if view.output_value
    ]
    return said[-1] if said else None


# --- the truth -------------------------------------------------------------------------------------


def _same_model(true: str, told: list[str | None]) -> bool:
    return any(name is not None and (name == true or name.endswith(f"/{true}")) for name in told)


def _same_cache(true: list[int], told: list[int | None] | None) -> bool:
    """What the cache did not do, nobody needs to tell."""
    return all(one in (0, other) for one, other in zip(true, told or [None, None], strict=True))


def _holds(true: str | None, told: str | None) -> bool:
    return (told is None) if true is None else (told is not None and true in told)


def _near(true: list[float], told: list[Any] | None) -> bool:
    return told is not None and told == pytest.approx(true, abs=1e-4)


def _no_values(told: list[Any] | None) -> bool:
    return all(one is None for one in told or ())


def _told(truth: Truth, key: str) -> list[Truth]:
    return [one for one in truth.get(key, ()) if "lost" not in one and one.get("ran", True)]


def _call(truth: Truth, take: Callable[[Truth], Any]) -> Facts:
    return [take(one) for one in _told(truth, "model_calls")]


def _tool(truth: Truth, key: str) -> Facts:
    return [one.get(key) for one in _told(truth, "tools")]


def _documents(truth: Truth, key: str) -> Facts:
    return [
        [document[key] for document in one.get("documents", ()) if key in document] or None
        for one in _told(truth, "retrievals")
    ]


def _said(one: Truth) -> dict[str, Any] | None:
    return {key: one[key] for key in ("says", "asks") if key in one} or None


def _pair(first: str, second: str) -> Callable[[Truth], list[Any] | None]:
    return lambda one: None if first not in one else [one[first], one.get(second, 0)]


@dataclass(frozen=True, slots=True)
class Fact:
    """How the truth tells it; entries that are None there are not compared."""

    true: Callable[[Truth], Facts]
    same: Callable[[Any, Any], bool] = lambda true, told: true == told
    compare_none: bool = False
    silent: Callable[[Any], bool] = lambda told: told is None
    """Whether the reader says that it does not know."""


FACTS: dict[str, Fact] = {
    "model_calls": Fact(lambda truth: [len(_told(truth, "model_calls"))]),
    "provider": Fact(lambda truth: _call(truth, lambda one: one["provider"])),
    "model": Fact(
        lambda truth: _call(truth, lambda one: one["model"]),
        _same_model,
        silent=lambda told: told == [None, None],
    ),
    "tokens": Fact(lambda truth: _call(truth, _pair("input", "output"))),
    "cached": Fact(lambda truth: _call(truth, _pair("cached", "cache_write")), _same_cache),
    "words": Fact(lambda truth: _call(truth, _said)),
    "errors": Fact(lambda truth: _call(truth, lambda one: one.get("error")), _holds, compare_none=True),
    "embeddings": Fact(lambda truth: [truth.get("embeddings", 0)]),
    "tools": Fact(lambda truth: _tool(truth, "name")),
    "arguments": Fact(lambda truth: _tool(truth, "arguments")),
    "results": Fact(lambda truth: _tool(truth, "result")),
    "tool_errors": Fact(lambda truth: _tool(truth, "error"), _holds, compare_none=True),
    "retrievals": Fact(lambda truth: [len(_told(truth, "retrievals"))]),
    "query": Fact(lambda truth: [one.get("query") for one in _told(truth, "retrievals")]),
    "documents": Fact(lambda truth: _documents(truth, "text"), silent=_no_values),
    "document_ids": Fact(lambda truth: _documents(truth, "id"), silent=_no_values),
    "scores": Fact(lambda truth: _documents(truth, "score"), _near, silent=_no_values),
    "handoffs": Fact(lambda truth: sorted([one["from"], one["to"]] for one in _told(truth, "handoffs"))),
    "fallbacks": Fact(lambda truth: [[one["from"], one["to"]] for one in truth.get("fallbacks", ())]),
    "cache_hits": Fact(lambda truth: [truth.get("cache_hits", 0)]),
    "guardrails": Fact(lambda truth: [[one["name"], one["passed"]] for one in truth.get("guardrails", ())]),
    "final": Fact(lambda truth: [truth.get("final")]),
    "content": Fact(lambda truth: [truth["content"]]),
}
_COUNTS = {
    "model_calls",
    "embeddings",
    "retrievals",
    "cache_hits",
    "content",
    "handoffs",
    "fallbacks",
    "tools",
}
"""Facts of which a gap leaves less to read than there was: there is nothing that could say unknown."""
_KEYS = {
    "about", "content", "model_calls", "embeddings", "tools", "retrievals", "writes", "handoffs", "fallbacks",
    "cache_hits", "guardrails", "final", "gaps",
}  # fmt: skip


@lru_cache(maxsize=1)
def truth_of(name: str) -> Truth:
    """The hand-written truth."""
    path = ROOT / "fixtures" / "truth" / f"{name}.yaml"
    return cast("Truth", yaml.safe_load(path.read_text()))


def _cases() -> list[Any]:
    cases: list[Any] = []
    for name in NAMES:
        for fact in FACTS:
            reason = KNOWN_WRONG.get(name, {}).get(fact)
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
            cases.append(pytest.param(name, fact, id=f"{name}-{fact}", marks=marks))
    return cases


@pytest.mark.parametrize(("name", "fact"), _cases())
def test_reader_tells_what_is_true(name: str, fact: str) -> None:
    true = FACTS[fact].true(truth_of(name))
    told = reading(name).facts[fact]
    gaps = [gap for gap in truth_of(name).get("gaps", ()) if gap["fact"] == fact]
    if any("of" not in gap for gap in gaps):
        if fact not in _COUNTS and not any(gap.get("wrong") for gap in gaps):
            assert all(FACTS[fact].silent(one) for one in told), told
        return
    missing = {index: gap for gap in gaps for index in gap["of"]}
    if true and all(one is None for one in true) and not FACTS[fact].compare_none:
        return
    if fact in _COUNTS or not true:
        lost = set(missing)
        assert told == [one for index, one in enumerate(true) if index not in lost]
        return
    assert len(told) == len(true), (true, told)
    for index, (one, other) in enumerate(zip(true, told, strict=True)):
        if index in missing:
            assert missing[index].get("wrong") or FACTS[fact].silent(other), (index, other)
        elif one is not None or FACTS[fact].compare_none:
            assert FACTS[fact].same(one, other), (index, one, other)


def test_every_recording_has_its_truth_and_its_origin() -> None:
    recorded = {
        path.name.removesuffix(".otlp.jsonl") for path in (ROOT / "fixtures" / "traces").glob("*.otlp.jsonl")
    }
    assert set(NAMES) == recorded == set(integrations())


@pytest.mark.parametrize("name", NAMES)
def test_truth_is_in_its_schema(name: str) -> None:
    truth = truth_of(name)
    assert {"about", "content"} <= set(truth) <= _KEYS
    assert {gap["fact"] for gap in truth.get("gaps", ())} <= set(FACTS)
    assert all(gap["why"] for gap in truth.get("gaps", ()))
    assert all({"provider", "model"} <= set(call) for call in truth.get("model_calls", ()))
    assert all({"name", "arguments"} <= set(tool) for tool in truth.get("tools", ()))


def test_what_is_known_to_be_wrong_names_facts_of_recordings() -> None:
    assert set(KNOWN_WRONG) <= set(NAMES)
    assert all(set(facts) <= set(FACTS) for facts in KNOWN_WRONG.values())


def test_what_is_not_recorded_says_why_and_by_which_names_it_is_read() -> None:
    path = ROOT / "fixtures" / "truth" / f"{NOT_RECORDED}.yaml"
    entries = cast("list[Truth]", yaml.safe_load(path.read_text()))
    assert entries
    assert all(set(one) == {"name", "layer", "why", "attributes"} for one in entries)
    assert all(one["why"] and one["attributes"] for one in entries)
