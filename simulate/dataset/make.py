"""From a production trace to a regression case: redacted, deduplicated, and in words that a person can
correct."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import yaml

from simulate.dataset.store import Dataset, dump
from simulate.errors import FileProblems, InputError
from simulate.model.names import slug
from simulate.replay.from_trace import cassette_of
from simulate.replay.propose import scenario_from
from simulate.trace.dialects import views
from simulate.trace.formats.writing import otlp_lines
from simulate.trace.redact import Redactor
from simulate.trace.span import Span, Trace

HEAD = "# A golden case, made from a production trace. After a change by hand: simulate dataset accept.\n"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made of a trace. ``expect`` replaces what is guessed from what happened."""

    expect: Sequence[Mapping[str, Any]] = ()
    """Items of ``expect:``."""
    answer: str | None = None
    """The answer that would have been right, for evaluators that need it."""
    tools: Sequence[str] | None = None
    """The tools that would have been right, in their order."""
    pins: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Answers of tools that the trace does not tell."""
    keep_scores: bool = False
    """Evaluators whose results the trace carries with a threshold are held against that threshold."""
    name: str | None = None
    why: str | None = None
    by: str | None = None
    """Who says that the expectations are right; None leaves the case a candidate."""
    agent: str | None = None
    source: str | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one trace."""

    case: str
    is_new: bool
    notes: list[str] = field(default_factory=list[str])


def add(dataset: Dataset, trace: Trace, wish: Wish, redactor: Redactor) -> Added:
    """Make a case of a trace. The same conversation with the same expectations is there only once.

    Raises NotReplayable where the trace does not say what was said, and InputError where the expectations
    make no
    scenario."""
    redacted = _renumbered([redactor.span(span) for span in trace.spans])
    clean = Trace(trace.trace_id, redacted, trace.source)
    cassette = cassette_of(clean, partial=wish.partial)
    data = cast("dict[str, Any]", yaml.safe_load(scenario_from(cassette)))
    if not data.get("script"):
        raise InputError("nobody is known to have said anything in it", where=f"trace {trace.trace_id}")
    scenario = _scenario(data, clean, wish)
    fingerprint = _fingerprint(scenario)
    known = next((case for case in dataset.cases() if case.origin.get("fingerprint") == fingerprint), None)
    if known is not None:
        return Added(known.id, False)
    title = wish.name or _title(scenario)
    name = f"{slug(title)[:48].strip('-') or 'case'}-{fingerprint[:8]}"
    scenario = {"name": f"{title} ({fingerprint[:8]})", **scenario}
    text = HEAD + dump(scenario)
    _refuse(text, name)
    origin = _origin(clean, wish, fingerprint)
    dataset.put(name, scenario=text, origin=origin, trace=b"".join(otlp_lines(redacted)))
    return Added(name, True, _notes(scenario))


def _title(scenario: Mapping[str, Any]) -> str:
    """The caller's first sentence, up to about 60 characters."""
    said = next((str(line["says"]) for line in scenario["script"] if line.get("says")), "case")
    sentence = re.split(r"(?<=[.!?])\s", said.strip())[0]
    return sentence if len(sentence) <= 60 else sentence[:60].rpartition(" ")[0] + " …"


def _scenario(data: dict[str, Any], trace: Trace, wish: Wish) -> dict[str, Any]:
    """The proposed scenario with what a person wishes in place of what was guessed."""
    expect: list[Mapping[str, Any]] = [dict(item) for item in wish.expect]
    before: str | None = None
    for tool in wish.tools or ():
        expect.append({"called": tool} if before in (None, tool) else {"called": tool, "after": before})
        before = tool
    scores = _scores(trace) if wish.keep_scores else {}
    if scores:
        reference = {"answer": wish.answer} if wish.answer else {}
        expect.append({"scores": scores, **({"reference": reference} if reference else {})})
    elif wish.answer:
        expect.append({"said": wish.answer})
    made = {key: value for key, value in data.items() if key not in ("name", "goal", "expect", "description")}
    made["tools"] = {**made.get("tools", {}), **wish.pins}
    if not made["tools"]:
        del made["tools"]
    if wish.agent is not None:
        made["agent"] = wish.agent
    made["tags"] = ["golden"]
    made["expect"] = expect or data["expect"]
    return made


def _scores(trace: Trace) -> dict[str, float]:
    """Evaluators with a threshold, as the trace carries their results."""
    return {
        score.name: score.threshold
        for view in views(trace).values()
        for score in view.scores
        if score.threshold is not None and 0 <= score.threshold <= 1
    }


def _fingerprint(scenario: Mapping[str, Any]) -> str:
    """The same for the same conversation, tools and expectations, whoever had it and when."""
    parts = {key: scenario.get(key) for key in ("script", "tools", "expect", "agent")}
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str).casefold()
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


_PLACEHOLDER = re.compile(r"<([a-z_]+):([0-9a-f]{4,32})>")


def _renumbered(spans: list[Span]) -> list[Span]:
    """Placeholders by the order in which they come: the key of a redaction is drawn anew each time, and
    the same
    trace has to become the same case. It also keeps people of two cases from being told to be one."""
    given: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        kind = match[1]
        count = sum(made.startswith(f"<{kind}:") for made in given.values())
        return given.setdefault(match[0], f"<{kind}:{_letters(count)}>")

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return _PLACEHOLDER.sub(number, value)
        if isinstance(value, dict):
            return {key: walk(item) for key, item in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [walk(item) for item in cast("list[Any]", value)]
        return value

    for span in sorted(spans, key=lambda one: (one.start_ns, one.span_id)):
        span.attributes = walk(span.attributes)
        span.resource = walk(span.resource)
        for event in span.events:
            event.attributes = walk(event.attributes)
        span.status_message = walk(span.status_message)
    return spans


def _letters(count: int) -> str:
    """a, b … z, ba, bb …: a digit could be taken for an order number by the agent that reads it."""
    letters = chr(ord("a") + count % 26)
    return letters if count < 26 else _letters(count // 26) + letters


def _origin(trace: Trace, wish: Wish, fingerprint: str) -> dict[str, Any]:
    seen = views(trace)
    begun = min((span.start_ns for span in trace.spans), default=0)
    services = sorted({span.service for span in trace.spans if span.service})
    versions = sorted({str(view.prompt_version) for view in seen.values() if view.prompt_version})
    now = f"{datetime.now(UTC):%Y-%m-%d}"
    return {
        "trace": trace.trace_id,
        "file": wish.source,
        "began": datetime.fromtimestamp(begun / 1e9, UTC).isoformat(timespec="seconds"),
        "services": services,
        "prompt_versions": versions,
        "why": wish.why,
        "added": now,
        "verified": None if wish.by is None else {"by": wish.by, "on": now},
        "expectations": "given" if wish.expect or wish.tools or wish.answer else "guessed from what happened",
        "scores": [
            {"name": score.name, "value": score.value, "label": score.label, "threshold": score.threshold}
            for view in seen.values()
            for score in view.scores
        ],
        "fingerprint": fingerprint,
    }


def _notes(scenario: Mapping[str, Any]) -> list[str]:
    """Tools that the case expects and whose answers nobody pinned: they would run for real."""
    pinned = set(scenario.get("tools", {}))
    wanted = {
        str(item["called"]) for item in scenario["expect"] if "called" in item and item.get("times") != 0
    }
    return [
        f"{tool} is expected and the trace does not tell what it answers: it would run for real; "
        f"--pin '{tool}={{ok: true}}' pins it"
        for tool in sorted(wanted - pinned)
    ]


def _refuse(text: str, name: str) -> None:
    """Whatever was wished has to be a scenario, before anything is written."""
    from pathlib import Path

    from simulate.model.files import Reader

    reader = Reader()
    list(reader.scenarios_in(text.encode(), Path(f"{name}.yaml")))
    try:
        reader.done()
    except FileProblems as error:
        raise InputError(f"that makes no scenario: {error}", hint="look at --expect and --pin") from None
