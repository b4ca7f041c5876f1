"""Find traces among many: by user, time, tool, error, cost, score, or a filter on their spans."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from simulate.errors import InputError
from simulate.model.units import seconds
from simulate.trace.filter import Filter
from simulate.trace.overview import failing
from simulate.trace.reading import ToolName, TraceReading
from simulate.trace.reading.facts import Unknown
from simulate.trace.span import Span, Trace

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
    holds: Callable[[float], bool]

    @classmethod
    def parse(cls, text: str, what: str, *, named: bool) -> Bound:
        """Raises InputError for a text that is no comparison."""
        found = _BOUND.fullmatch(text.strip())
        example = "Groundedness<0.7" if named else ">0.05"
        try:
            if found is None or bool(found["name"]) is not named:
                raise ValueError
            number = float(found["number"].strip().lstrip("$"))
        except ValueError:
            raise InputError(f"{text!r} is not a comparison", where=what, hint=f"write {example!r}") from None
        compare = _OPERATORS[found["op"]]
        return cls(found["name"], lambda value: compare(value, number))


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


@dataclass(slots=True)
class TraceSearch:
    """Traces that a query holds for; ``undecided`` counts, by reason, those that do not tell."""

    query: Query
    looked_at: int = 0
    undecided: Counter[str] = field(default_factory=Counter[str])

    def among(self, traces: Iterable[Trace]) -> Iterator[Summary]:
        """A summary of each trace that is so, as they come."""
        for trace in traces:
            self.looked_at += 1
            reading = TraceReading(trace)
            try:
                found = self._holds(reading)
            except _Untold as untold:
                self.undecided[str(untold)] += 1
                continue
            if found:
                yield summary(reading)

    def _holds(self, reading: TraceReading) -> bool:
        query = self.query
        known = (("user_id", query.user), ("session_id", query.session))
        if any(wanted is not None and wanted not in _values(reading, name) for name, wanted in known):
            return False
        if query.tenant is not None and query.tenant not in _tags(reading, "tenant.id"):
            return False
        timed = query.since is not None or query.until is not None
        if timed and not _within(reading, query.since, query.until):
            return False
        if query.error and _first_failing(reading) is None:
            return False
        if query.filter is not None and not query.filter.find(reading):
            return False
        # those that a trace may leave open come last: they are asked of traces that fit otherwise
        if not all(_scored(reading, bound) for bound in query.scores):
            return False
        if query.tool is not None and not _called(reading, ToolName(query.tool)):
            return False
        return query.cost is None or query.cost.holds(_dollars(reading))


class _Untold(Exception):
    """The trace does not tell what the query asks for."""


def _within(reading: TraceReading, since: int | None, until: int | None) -> bool:
    if not reading.origin:
        raise _Untold("no time")
    return (since is None or reading.origin >= since) and (until is None or reading.origin < until)


def _scored(reading: TraceReading, bound: Bound) -> bool:
    found = [each.value for _, view in reading for each in view.scores if each.name == bound.name]
    return any(value is not None and bound.holds(value) for value in found)


def _called(reading: TraceReading, tool: ToolName) -> bool:
    open_ = False
    for call in reading.tool_calls:
        if tool.matches(call.name):
            if call.happened is True:
                return True
            open_ = open_ or isinstance(call.happened, Unknown)
    if open_ or reading.evidence.tools.why_not:
        raise _Untold("whether the tool was called")
    return False


def _dollars(reading: TraceReading) -> float:
    dollars = reading.cost.dollars
    if dollars is None:
        raise _Untold("no cost")
    return dollars


def _values(reading: TraceReading, name: str) -> list[str]:
    found = [str(value) for _, view in reading if (value := getattr(view, name)) is not None]
    if name == "session_id":
        found += [view.conversation_id for _, view in reading if view.conversation_id is not None]
    return list(dict.fromkeys(found))


def _tags(reading: TraceReading, name: str) -> set[str]:
    return {str(view.tags[name]) for _, view in reading if name in view.tags}


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
        reading.origin or None,
        reading.trace.duration,
        next(iter(_values(reading, "user_id")), None),
        next(iter(_values(reading, "session_id")), None),
        list(dict.fromkeys(name for name in models if name)),
        reading.cost.tokens,
        reading.cost.dollars,
        {name: value for name, value in values.items() if value is not None},
        None if first is None else first.name,
    )
