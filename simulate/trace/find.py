"""Find traces among many: by user, time, tool, error, cost, score, or a filter on their spans."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeAlias

from simulate.errors import InputError
from simulate.model.units import seconds
from simulate.trace.filter import Filter
from simulate.trace.mixed import several
from simulate.trace.overview import failing
from simulate.trace.reading import ToolName, TraceReading
from simulate.trace.reading.facts import Unknown
from simulate.trace.span import Attributes, Kind, Span, Trace

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_BOUND = re.compile(r"(?P<name>[^<>=]*?)\s*(?P<op>>=|<=|>|<)\s*(?P<number>[^<>=]+)")
_DAYS = re.compile(r"(\d+)d")


@dataclass(frozen=True, slots=True)
class Bound:
    """A comparison such as ``Groundedness<0.7``; ``name`` is empty where none stands before it."""

    name: str
    operator: str
    number: float

    def holds(self, value: float) -> bool:
        """Whether the value is on the right side."""
        return _OPERATORS[self.operator](value, self.number)

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{self.number!r}"

    @classmethod
    def parse(cls, text: str, what: str, *, named: bool) -> Bound:
        """Raises InputError for a text that is not a comparison."""
        found = _BOUND.fullmatch(text.strip())
        example = "Groundedness<0.7" if named else ">0.05"
        try:
            if found is None or bool(found["name"]) is not named:
                raise ValueError
            number = float(found["number"].strip().lstrip("$"))
        except ValueError:
            raise InputError(f"{text!r} is not a comparison", where=what, hint=f"write {example!r}") from None
        return cls(found["name"], found["op"], number)


def moment(text: str, what: str, now: datetime | None = None) -> int:
    """A time in nanoseconds since the Unix epoch: ISO 8601, in the machine's time zone unless it names one,
    or an age such as ``90m``, ``2h`` or ``7d``. Raises InputError for anything else."""
    try:
        days = _DAYS.fullmatch(text)
        age = timedelta(days=int(days[1])) if days else timedelta(seconds=float(seconds(text)))
        found = (now or datetime.now(UTC)) - age
    except ValueError:
        try:
            found = datetime.fromisoformat(text).astimezone()
        except ValueError:
            hint = "write 2026-11-30, 2026-11-30T14:05, 2026-11-30T14:05+01:00, or an age such as 2h or 7d"
            raise InputError(f"{text!r} is not a time", where=what, hint=hint) from None
    return int(found.timestamp() * 1e9)


@dataclass(frozen=True, slots=True)
class Query:
    """What a trace has to be like; None leaves it open. Times are nanoseconds since the Unix epoch, ``cost``
    compares US dollars."""

    user: str | None = None
    session: str | None = None
    tenant: str | None = None
    since: int | None = None
    until: int | None = None
    tool: str | None = None
    error: bool = False
    cost: Bound | None = None
    scores: tuple[Bound, ...] = ()
    filter: Filter | None = None


@dataclass(slots=True)
class Summary:
    """One trace in a line. ``start_ns``, ``seconds`` and ``dollars`` are None where the trace does not tell;
    ``failing`` is the first failing span below which none failed."""

    trace_id: str
    source: str | None
    start_ns: int | None
    seconds: float | None
    user: str | None
    session: str | None
    models: list[str]
    tokens: int | None
    dollars: float | None
    scores: dict[str, float]
    failing: str | None
    several: list[str] = field(default_factory=list[str])
    """The conversations in a trace that holds more than one."""


@dataclass
class ReadFacts:
    """What a search asks of a trace, each read when it is first asked for.

    ``tools`` are names with whether each was called, None where the trace leaves that open; ``tools_hidden``,
    whether others may have been called that it does not show."""

    reading: TraceReading
    naming: list[Span] | None = None
    """The spans that may name the tool that is looked for; without any, no call need be read."""

    @cached_property
    def summary(self) -> Summary:
        """The trace in a line."""
        return summary(self.reading)

    @cached_property
    def users(self) -> list[str]:
        """Every user's id in it."""
        return _values(self.reading, "user_id")

    @cached_property
    def sessions(self) -> list[str]:
        """Every id of a session or conversation in it."""
        return _values(self.reading, "session_id")

    @cached_property
    def tenants(self) -> list[str]:
        """Every tenant's id in it."""
        found = (view.tags.get("tenant.id") for _, view in self.reading)
        return list(dict.fromkeys(str(value) for value in found if value is not None))

    @cached_property
    def failed(self) -> bool:
        """Whether it has a span that failed."""
        return (
            any(map(may_have_failed, self.reading.trace.spans)) and _first_failing(self.reading) is not None
        )

    @property
    def began(self) -> int | None:
        """Nanoseconds since the Unix epoch."""
        return self.reading.began

    @cached_property
    def scores(self) -> list[tuple[str, float | None]]:
        """Name and value of every score that it carries."""
        return [(each.name, each.value) for _, view in self.reading for each in view.scores]

    @cached_property
    def tools(self) -> list[tuple[str, bool | None]]:
        """The tools whose calls it tells, and whether each was called."""
        if self.naming == []:
            return []
        calls = ((str(call.name), call.happened) for call in self.reading.tool_calls)
        return [(name, None if isinstance(happened, Unknown) else happened) for name, happened in calls]

    def ran(self, tool: ToolName) -> bool:
        """Whether a span tells that the tool ran, which is known before all calls are read."""
        spans = self.reading.trace.spans if self.naming is None else self.naming
        views = ((span, self.reading.view_alone(span)) for span in spans)
        return any(
            view.kind is Kind.TOOL and tool.matches(view.tool_name or span.name) for span, view in views
        )

    @property
    def tools_hidden(self) -> bool:
        """Whether it may not show every call."""
        return bool(self.reading.tools_visible.why_not)

    @property
    def dollars(self) -> float | None:
        """What its model calls cost."""
        return self.reading.cost.dollars


@dataclass
class KeptFacts:
    """The same as plain data, which an index keeps."""

    summary: Summary
    users: list[str]
    sessions: list[str]
    tenants: list[str]
    failed: bool
    began: int | None
    scores: list[tuple[str, float | None]]
    tools: list[tuple[str, bool | None]]
    tools_hidden: bool
    dollars: float | None

    @classmethod
    def of(cls, facts: ReadFacts) -> KeptFacts:
        """All that ``facts`` tell."""
        return cls(**{each.name: getattr(facts, each.name) for each in fields(cls)})

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> KeptFacts:
        """From what `asdict` made of it, by way of JSON."""
        given: dict[str, Any] = {**data, "summary": Summary(**data["summary"])}
        return cls(**given)


Facts: TypeAlias = ReadFacts | KeptFacts


@dataclass(slots=True)
class TraceSearch:
    """Traces that a query holds for; ``undecided`` counts, by reason, those that do not tell."""

    query: Query
    looked_at: int = 0
    undecided: Counter[str] = field(default_factory=Counter[str])

    def among(self, traces: Iterable[Trace | Facts]) -> Iterator[Facts]:
        """The facts of each trace that is so, as they come. A filter needs traces; facts have no spans."""
        wanted = [name for name in (self.query.user, self.query.session, self.query.tenant) if name]
        for trace in traces:
            self.looked_at += 1
            if isinstance(trace, Trace) and not all(_may_hold(trace, name) for name in wanted):
                continue
            facts = self._facts(trace) if isinstance(trace, Trace) else trace
            try:
                found = self._holds(facts)
            except _Untold as untold:
                self.undecided[str(untold)] += 1
                continue
            if found:
                yield facts

    def _facts(self, trace: Trace) -> ReadFacts:
        naming = list[Span]()
        if self.query.tool is not None:
            bare = ToolName(self.query.tool).bare
            # every spelling of a name has its longest word: shop.refund, shop_refund
            naming = _naming(trace, {max(re.findall(r"[A-Za-z0-9]+", bare), key=len, default=bare)})
        return ReadFacts(TraceReading(trace), naming)

    def _holds(self, facts: Facts) -> bool:
        query = self.query
        known = ((query.user, "users"), (query.session, "sessions"), (query.tenant, "tenants"))
        if any(wanted is not None and wanted not in getattr(facts, name) for wanted, name in known):
            return False
        timed = query.since is not None or query.until is not None
        if timed and not _within(facts.began, query.since, query.until):
            return False
        if query.error and not facts.failed:
            return False
        if query.filter is not None and not (
            isinstance(facts, ReadFacts) and query.filter.holds_somewhere(facts.reading)
        ):
            return False
        # those that a trace may leave open come last: they are asked of traces that fit otherwise
        if not all(_scored(facts, bound) for bound in query.scores):
            return False
        if query.tool is not None and not _called(facts, ToolName(query.tool)):
            return False
        return query.cost is None or query.cost.holds(_dollars(facts))


def _may_hold(trace: Trace, name: str) -> bool:
    """Whether a name stands anywhere in the attributes or in the name of a span; looking is much faster than
    reading them. Yes for one that JSON inside an attribute would spell otherwise."""
    return bool(_naming(trace, {name}, once=True))


def _naming(trace: Trace, names: set[str], *, once: bool = False) -> list[Span]:
    """The spans in which one of the names may stand; only the first with ``once``."""
    if any(not name.isascii() or not name.isprintable() or set(name) & set('"\\/') for name in names):
        return list(trace.spans)
    found: list[Span] = []
    seen: dict[int, bool] = {}  # spans of one export share their resource
    for span in trace.spans:
        for shared in (span.resource, span.scope_attributes):
            if id(shared) not in seen:
                seen[id(shared)] = _holds_one(shared, names)
        if (
            any(name in span.name for name in names)
            or seen[id(span.resource)]
            or seen[id(span.scope_attributes)]
            or _holds_one(span.attributes, names)
            or any(_holds_one(event.attributes, names) for event in span.events)
        ):
            found.append(span)
            if once:
                break
    return found


def _holds_one(held: Attributes, names: set[str]) -> bool:
    for value in held.values():
        text = value if isinstance(value, str) else str(value)
        for name in names:
            if name in text:
                return True
    return False


def may_have_failed(span: Span) -> bool:
    """Whether anything in a span speaks of an error; looking is much faster than reading it."""
    if span.status == "error":
        return True
    held = (span.attributes, *(event.attributes for event in span.events))
    return any(_speaks_of_error(value) or "rror" in key for one in held for key, value in one.items())


def _speaks_of_error(value: Any) -> bool:
    # a list or pair that begins with false is how AG2 tells that a tool failed
    told = value if isinstance(value, str) else str(value)
    return "rror" in told or "RROR" in told or "xception" in told or told[1:6] in ("false", "False")


class _Untold(Exception):
    """The trace does not tell what the query asks for."""


def _within(began: int | None, since: int | None, until: int | None) -> bool:
    if began is None:
        raise _Untold("no time")
    return (since is None or began >= since) and (until is None or began < until)


def _scored(facts: Facts, bound: Bound) -> bool:
    return any(
        name == bound.name and value is not None and bound.holds(value) for name, value in facts.scores
    )


def _called(facts: Facts, tool: ToolName) -> bool:
    if isinstance(facts, ReadFacts) and facts.ran(tool):
        return True
    happened = [called for name, called in facts.tools if tool.matches(ToolName(name))]
    if True in happened:
        return True
    if None in happened or facts.tools_hidden:
        raise _Untold("whether the tool was called")
    return False


def _dollars(facts: Facts) -> float:
    if facts.dollars is None:
        raise _Untold("no cost")
    return facts.dollars


def _values(reading: TraceReading, name: str) -> list[str]:
    found = [str(value) for _, view in reading if (value := getattr(view, name)) is not None]
    if name == "session_id":
        found += [view.conversation_id for _, view in reading if view.conversation_id is not None]
    return list(dict.fromkeys(found))


def _first_failing(reading: TraceReading) -> Span | None:
    return min(failing(reading), key=_by_start, default=None)


def _by_start(span: Span) -> tuple[bool, int]:
    return not span.start_ns, span.start_ns


def summary(source: Trace | TraceReading) -> Summary:
    """One trace in a line."""
    reading = TraceReading.of(source)
    first = _first_failing(reading)
    models = (view.response_model or view.request_model for _, view in reading.llm_calls)
    values = {each.name: each.value for _, view in reading for each in view.scores}
    return Summary(
        reading.trace.trace_id,
        reading.trace.source,
        reading.began,
        None if reading.began is None else reading.trace.duration,
        next(iter(_values(reading, "user_id")), None),
        next(iter(_values(reading, "session_id")), None),
        list(dict.fromkeys(name for name in models if name)),
        reading.cost.tokens,
        reading.cost.dollars,
        {name: value for name, value in values.items() if value is not None},
        None if first is None else first.name,
        several(reading),
    )
