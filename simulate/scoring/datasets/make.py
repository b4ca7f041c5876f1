"""From a production trace to a regression case: redacted, deduplicated, and in words that a person can
correct."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import yaml

from simulate.errors import FileProblems, InputError, NotReplayable
from simulate.model.file_names import slug
from simulate.model.loading.yaml_reader import read_plain
from simulate.model.nearest import did_you_mean
from simulate.model.shapes import is_list, is_object, object_of
from simulate.replay.from_trace import cassette_of
from simulate.replay.scenario_draft import scenario_from
from simulate.scenario_files import scenario_reader
from simulate.scoring.datasets.store import Dataset, DatasetCase, dump
from simulate.scoring.evaluators.scoring import evaluators
from simulate.trace.files.writing import otlp_lines
from simulate.trace.reading import TraceReading
from simulate.trace.reading.parts import tool_offered
from simulate.trace.redaction.redact import Redactor
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

    case: str | None
    """None where it was left out; ``notes`` say why."""
    is_new: bool
    notes: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class _Draft:
    """A case that is not written yet."""

    id: str
    fingerprint: str
    scenario: dict[str, Any]
    origin: dict[str, Any]
    trace: bytes
    notes: list[str]


def add(
    dataset: Dataset, traces: Iterable[Trace], wish: Wish, redactor: Redactor | None = None
) -> list[Added]:
    """Make a case of each trace, of all of them or of none. The same conversation with the same expectations
    is there only once; a trace without a model call is left out where others have one, and with ``partial``
    so is one that does not say what was said.

    Raises NotReplayable where a trace does not say what was said; InputError where the expectations make no
    scenario, contradict themselves or another case, or where the dataset was changed by hand."""
    redactor = redactor or Redactor()
    drafts, silent = _drafts(traces, wish, redactor)
    if not drafts:
        raise silent[0] if silent else InputError("there is no trace", where=wish.source)
    with dataset.alone():
        _sweep(dataset, drafts)
        dataset.check()
        cases = dataset.cases()
        known = {str(case.origin.get("fingerprint")): case.id for case in cases}
        there = [(case.id, _read(case)) for case in cases]
        added: list[Added] = []
        new: dict[str, _Draft] = {}
        for draft in drafts:
            is_new = draft.fingerprint not in known
            name = known.setdefault(draft.fingerprint, draft.id)
            if is_new:
                _agrees(draft, there)
                new[name] = draft
            added.append(Added(name, is_new, draft.notes if is_new else []))
        _put(dataset, new)
    return added + [
        Added(None, False, [f"left out: {error.where}: {error.message.splitlines()[0]}"]) for error in silent
    ]


def _drafts(
    traces: Iterable[Trace], wish: Wish, redactor: Redactor
) -> tuple[list[_Draft], list[NotReplayable]]:
    """The cases, and why other traces make none. Raises NotReplayable, with all that lack something, where
    that was not allowed."""
    drafts: list[_Draft] = []
    silent: list[NotReplayable] = []
    lacking: list[NotReplayable] = []
    for trace in traces:
        where = f"trace {trace.trace_id}"
        if not TraceReading(trace).llm_calls:
            silent.append(NotReplayable("the trace holds no model call", where=where))
            continue
        try:
            drafts.append(_draft(trace, wish, redactor))
        except NotReplayable as error:
            found = NotReplayable(error.message, where=where, hint=error.hint)
            (silent if wish.partial else lacking).append(found)
    if not lacking:
        return drafts, silent
    if len(lacking) == 1 and not drafts:
        raise lacking[0]
    told = "\n".join(f"{error.where}: {error.message}" for error in lacking[:10])
    more = f"\nand {len(lacking) - 10} more" if len(lacking) > 10 else ""
    count = f"{len(lacking)} of {len(lacking) + len(drafts)} traces"
    raise NotReplayable(
        f"{count} lack what a case needs; none was added\n{told}{more}",
        where=wish.source,
        hint="--trace ID takes one of the others; --partial takes what is complete and leaves out the rest",
    )


def _sweep(dataset: Dataset, drafts: Iterable[_Draft]) -> None:
    """Remove what the same words left when they were killed before it counted: these very cases."""
    for draft in drafts:
        if dataset.edited().get(draft.id) != "added":
            continue
        left = dataset.case(draft.id)
        if _read(left) == draft.scenario and _undated(left.origin) == _undated(draft.origin):
            dataset.drop(draft.id)


def _undated(origin: Mapping[str, Any]) -> dict[str, Any]:
    return {**origin, "added": None, "verified": object_of(origin.get("verified")).get("by")}


def _put(dataset: Dataset, drafts: Mapping[str, _Draft]) -> None:
    """All of them and their version, or none."""
    try:
        for name, draft in drafts.items():
            text = HEAD + dump(draft.scenario)
            dataset.put(name, scenario=text, origin=draft.origin, trace=draft.trace)
        if drafts:
            dataset.record(f"added {', '.join(drafts)}")
    except BaseException:
        for name in drafts:
            dataset.drop(name)
        raise


def _draft(trace: Trace, wish: Wish, redactor: Redactor) -> _Draft:
    redacted = _renumbered([redactor.span(span) for span in trace.spans])
    clean = Trace(trace.trace_id, redacted, trace.source)
    cassette = cassette_of(clean, partial=wish.partial)
    data = cast("dict[str, Any]", yaml.safe_load(scenario_from(cassette)))
    if not any(line.get("says") for line in data.get("script", ())):
        raise NotReplayable("the recording does not tell what the caller said in it")
    scenario = _scenario(data, clean, wish)
    fingerprint = _fingerprint(scenario)
    title = wish.name or _title(scenario)
    name = f"{slug(title)[:48].strip('-') or 'case'}-{fingerprint[:8]}"
    scenario = {"name": f"{title} ({fingerprint[:8]})", **scenario}
    _refuse(HEAD + dump(scenario), name)
    origin = _origin(clean, wish, fingerprint)
    told = b"".join(otlp_lines(redacted))
    draft = _Draft(name, fingerprint, scenario, origin, told, _notes(scenario, clean))
    _agrees(draft, [("", scenario)])
    return draft


def _read(case: DatasetCase) -> dict[str, Any]:
    """A case's scenario as it stands."""
    found: Any = read_plain(case.scenario)
    return object_of(found)


def _agrees(draft: _Draft, there: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Refuse what no agent could pass: a tool that is to be called and not to be called after the same
    words, be it in one case or in two."""
    for name, scenario in there:
        if any(scenario.get(key) != draft.scenario.get(key) for key in ("script", "tools", "agent")):
            continue
        both = [*draft.scenario["expect"], *scenario.get("expect", ())]
        wanted = {item["called"] for item in both if "called" in item and item.get("times") != 0}
        never = {item["not_called"] for item in both if "not_called" in item and "with" not in item}
        never |= {item["called"] for item in both if "called" in item and item.get("times") == 0}
        if wanted & never:
            told = ", ".join(sorted(map(str, wanted & never)))
            other = f", which {name} says otherwise of the same conversation" if name else ""
            raise InputError(
                f"{told}: expected to be called and not to be called{other}",
                hint="no agent can pass both; correct one of them"
                if other
                else "look at --expect and --tools",
            )


def _title(scenario: Mapping[str, Any]) -> str:
    """The caller's first sentence, up to about 60 characters."""
    said = next((str(line["says"]) for line in scenario["script"] if line.get("says")), "case")
    sentence = re.split(r"(?<=[.!?])\s", said.strip())[0]
    return sentence if len(sentence) <= 60 else sentence[:60].rpartition(" ")[0] + " …"


def _scenario(data: dict[str, Any], trace: Trace, wish: Wish) -> dict[str, Any]:
    """The proposed scenario with what a person wishes in place of what was guessed."""
    expect: list[Mapping[str, Any]] = [dict(item) for item in wish.expect]
    expect += _in_order(wish.tools or ())
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


def _in_order(tools: Sequence[str]) -> list[dict[str, Any]]:
    """Each tool as often as it is named, the first time after the one before it."""
    found: list[dict[str, Any]] = []
    before: str | None = None
    for tool in dict.fromkeys(tools):
        item: dict[str, Any] = {"called": tool}
        if tools.count(tool) > 1:
            item["times"] = tools.count(tool)
        if before is not None:
            item["after"] = before
        found.append(item)
        before = tool
    return found


def _scores(trace: Trace) -> dict[str, float]:
    """Our evaluators whose results the trace carries, each with the threshold there, else its own. Raises
    InputError where there is none: what others call a score need not be 1 where it is good."""
    found: dict[str, float] = {}
    others: set[str] = set()
    own = evaluators()
    for score in (score for _, view in TraceReading(trace) for score in view.scores):
        if score.name not in own:
            others.add(score.name)
            continue
        least = own[score.name].threshold if score.threshold is None else score.threshold
        found[score.name] = max(found.get(score.name, 0.0), min(1.0, max(0.0, least)))
    if not found:
        told = f"; {', '.join(sorted(others))} is not an evaluator of ours" if others else ""
        raise InputError(
            f"--keep-scores: the trace carries no score to keep{told}",
            where=f"trace {trace.trace_id}",
            hint="simulate score TRACE --out SCORED writes a copy with scores",
        )
    return found


def _fingerprint(scenario: Mapping[str, Any]) -> str:
    """The same for the same conversation, tools and expectations, whoever had it and when."""
    parts = [scenario.get(key) for key in ("script", "tools", "expect", "agent")]
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str).casefold()
    people: dict[str, int] = {}  # a dialect may tell them in another order
    text = _NAMED.sub(lambda match: f"<{people.setdefault(match[0], len(people))}>", text)
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


_NAMED = re.compile(r"<[a-z_]+:[a-z]+>")
_PLACEHOLDER = re.compile(r"<([a-z_]+):([0-9a-f]{4,32})>")


def _renumbered(spans: list[Span]) -> list[Span]:
    """Placeholders by the order in which they come: the key of a redaction is drawn anew each time, and the
    same trace has to become the same case. It also keeps people of two cases from being told to be one."""
    given: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        kind = match[1]
        count = sum(made.startswith(f"<{kind}:") for made in given.values())
        return given.setdefault(match[0], f"<{kind}:{_letters(count)}>")

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return _PLACEHOLDER.sub(number, value)
        if is_object(value):
            return {key: walk(item) for key, item in value.items()}
        if is_list(value):
            return [walk(item) for item in value]
        return value

    for span in sorted(spans, key=lambda one: (one.start_ns, one.span_id)):
        span.name = walk(span.name)
        span.attributes = walk(span.attributes)
        span.resource = walk(span.resource)
        for each in (*span.events, *span.links):
            each.attributes = walk(each.attributes)
        span.status_message = walk(span.status_message)
    return spans


def _letters(count: int) -> str:
    """a, b … z, ba, bb …: a digit could be taken for an order number by the agent that reads it."""
    letters = chr(ord("a") + count % 26)
    return letters if count < 26 else _letters(count // 26) + letters


def _origin(trace: Trace, wish: Wish, fingerprint: str) -> dict[str, Any]:
    reading = TraceReading(trace)
    begun = trace.start_ns
    services = sorted({span.service for span in trace.spans if span.service})
    versions = sorted({str(view.prompt_version) for _, view in reading if view.prompt_version})
    now = f"{datetime.now(UTC):%Y-%m-%d}"
    given = wish.expect or wish.tools or wish.answer or wish.keep_scores
    return {
        "trace": trace.trace_id,
        "file": wish.source,
        "began": datetime.fromtimestamp(begun / 1e9, UTC).isoformat(timespec="seconds"),
        "services": services,
        "prompt_versions": versions,
        "why": wish.why,
        "added": now,
        "verified": None if wish.by is None else {"by": wish.by, "on": now},
        "expectations": "given" if given else "guessed from what happened",
        "scores": [
            {"name": score.name, "value": score.value, "label": score.label, "threshold": score.threshold}
            for _, view in reading
            for score in view.scores
        ],
        "fingerprint": fingerprint,
    }


def _notes(scenario: Mapping[str, Any], trace: Trace) -> list[str]:
    """Tools that are expected or on offer and whose answers nobody pinned: they would run for real."""
    offered, pinned = _offered(trace), set(scenario.get("tools", {}))
    wanted = {
        str(item["called"]) for item in scenario["expect"] if "called" in item and item.get("times") != 0
    }
    found = [
        f"{tool} is expected and the trace does not tell what it answers: it would run for real; "
        f"--pin '{tool}={{ok: true}}' pins it"
        for tool in sorted(wanted - pinned)
    ]
    if scenario["expect"] == [{"ended_by": "caller"}]:
        found.append(
            "nothing is expected of the agent, so it cannot fail: give --expect, --tools or --answer"
        )
    strange = sorted(wanted - offered - pinned) if offered else []
    found += [f"the agent had no tool {tool} in that trace{did_you_mean(tool, offered)}" for tool in strange]
    others = sorted(offered - pinned - wanted)
    if others:
        found.append(f"not pinned, so they run for real where the agent calls them: {', '.join(others)}")
    return found


def _offered(trace: Trace) -> set[str]:
    """Names of the tools that the agent's model could call, as far as the trace tells."""
    definitions = [each for _, view in TraceReading(trace) for each in view.tool_definitions or ()]
    return {name for each in definitions if (name := tool_offered(each)) is not None}


def _refuse(text: str, name: str) -> None:
    """Whatever was wished has to be a scenario, before anything is written."""
    reader = scenario_reader()
    list(reader.scenarios_in(text.encode(), Path(f"{name}.yaml")))
    try:
        reader.done()
    except FileProblems as error:
        raise InputError(f"that makes no scenario: {error}", hint="look at --expect and --pin") from None
