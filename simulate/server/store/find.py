"""Traces of a store: the list, its facets and its histogram, and one trace by its id."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import func, literal_column, select
from sqlalchemy import text as sql

from simulate.server.store.incoming import unpacked
from simulate.server.store.schema import clean_text, contents, feedback, scores, tags, traces
from simulate.server.store.search import Test, TraceQuery
from simulate.server.store.store import Store
from simulate.server.store.summary import HOUR
from simulate.trace.reading import TraceReading
from simulate.trace.span import Trace

SECONDS = 3.0
"""How long traces are read one by one for a filter that the database cannot answer."""
FEW = 2_000
"""Traces up to which they are named one by one."""
COUNTED = 5_000
"""How many of the newest traces `facets` counts."""
_NEAR = 7 * 24 * HOUR
FACETS = ("user", "feature", "prompt", "model", "agent", "tool", "environment", "service")
_COLUMNS = (
    traces.c.id, traces.c.trace_id, traces.c.began_ns, traces.c.name, traces.c.failing, traces.c.seconds,
    traces.c.first_token, traces.c.tokens, traces.c.dollars, traces.c.spans, traces.c.breached,
    traces.c.feedback, traces.c.why_kept, traces.c.about,
)  # fmt: skip


_NAMES = [column.name for column in _COLUMNS[:-1]]


@dataclass(frozen=True, slots=True)
class TraceRow:
    """A trace in a list. Durations are seconds; None is unknown."""

    id: int
    trace_id: str
    began_ns: int
    name: str
    failing: str | None
    seconds: float | None
    first_token: float | None
    tokens: int | None
    dollars: float | None
    spans: int
    breached: int
    feedback: str | None
    why_kept: str
    tags: dict[str, list[str]]
    models: list[str]
    succeeded: bool

    def first(self, tag: str) -> str | None:
        """The first value of a tag."""
        return next(iter(self.tags.get(tag, ())), None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for in a project. Times are nanoseconds since the Unix epoch; ``text`` are words that all
    have to be there, or ``"a phrase"``; ``before`` is where the page before ended."""

    project: str
    search: TraceQuery
    since: int | None = None
    until: int | None = None
    text: str = ""
    before: tuple[int, int] | None = None
    limit: int = 50


@dataclass(slots=True)
class FoundTraces:
    """A page of the list, newest first. ``next`` is where the following page begins. ``unseen`` says that
    time was up before every candidate had been read: there may be more from ``next`` on."""

    rows: list[TraceRow] = field(default_factory=list[TraceRow])
    next: tuple[int, int] | None = None
    unseen: bool = False


def find(store: Store, wanted: Wanted) -> FoundTraces:
    """One page of the traces that are as wanted."""
    exact = wanted.search.exact
    found, began = FoundTraces(), time.monotonic()
    for row in _candidates(store, wanted, step=wanted.limit + 1 if exact is None else 200):
        if exact is not None and time.monotonic() - began > SECONDS:
            found.unseen = True
            return found
        if exact is None or exact.find(TraceReading(trace_of(store, row))):
            if len(found.rows) == wanted.limit:
                last = found.rows[-1]
                found.next = (last.began_ns, last.id)
                return found
            found.rows.append(row)
        if exact is not None:
            found.next = (row.began_ns, row.id)
    found.next = None
    return found


def _candidates(store: Store, wanted: Wanted, step: int) -> Iterator[TraceRow]:
    """What the database finds, a step at a time."""
    place, always = wanted.before, _tests(store, wanted)
    while True:
        tests = list(always)
        if place is not None:
            began, number = place
            earlier = traces.c.began_ns < began
            tests.append(earlier | ((traces.c.began_ns == began) & (traces.c.id < number)))
        query = select(*_COLUMNS).where(*tests).order_by(traces.c.began_ns.desc(), traces.c.id.desc())
        with store.read() as connection:
            rows = [_row(row) for row in connection.execute(query.limit(step))]
        yield from rows
        if len(rows) < step:
            return
        place = (rows[-1].began_ns, rows[-1].id)


def _row(row: Any) -> TraceRow:
    about: dict[str, Any] = orjson.loads(row.about)
    told = dict(zip(_NAMES, row, strict=False))  # all but the last, which holds two
    return TraceRow(**told, tags=about["tags"], models=about["models"], succeeded=about["succeeded"])


def _tests(store: Store, wanted: Wanted) -> list[Test]:
    tests: list[Test] = [traces.c.project == wanted.project, traces.c.is_kept.is_(True), *wanted.search.tests]
    if wanted.since is not None:
        tests.append(traces.c.began_ns >= wanted.since)
    if wanted.until is not None:
        tests.append(traces.c.began_ns < wanted.until)
    if wanted.text.strip():
        tests.append(traces.c.id.in_(_with_words(store, wanted.text)))
    return [*tests, *_inside(store, wanted)] if wanted.search.inside else tests


def _inside(store: Store, wanted: Wanted) -> Iterator[Test]:
    """The tests of which other tables know. Few traces are read first and named; where there are many, the
    list is gone through and each looked at. A database chooses either for both, and one of them takes a
    thousand times as long."""
    few: set[int] | None = None
    with store.read() as connection:
        for each in wanted.search.inside:
            numbers = connection.execute(each.numbers(wanted.project).limit(FEW + 1)).scalars().all()
            if len(numbers) <= FEW:
                few = set(numbers) if few is None else few & set(numbers)
            else:
                yield each.test(wanted.project)
    if few is not None:
        yield traces.c.id.in_(few)


def _with_words(store: Store, text: str) -> Any:
    """The numbers of the traces that hold words; whatever was typed is words, never an operator."""
    if store.is_sqlite:
        words = sql("SELECT rowid FROM words WHERE text MATCH :words").bindparams(words=_quoted(text))
        return words.columns(literal_column("rowid")).scalar_subquery()
    found = sql("SELECT trace FROM words WHERE text @@ websearch_to_tsquery('simple', :words)")
    return found.bindparams(words=_quoted(text)).columns(literal_column("trace")).scalar_subquery()


def _quoted(text: str) -> str:
    """Each word a phrase of its own, and a phrase in quotes one, in the syntax of both databases."""
    phrases = clean_text(text).split('"')
    parts = [part for at, part in enumerate(phrases) for part in ([part] if at % 2 else part.split())]
    return " ".join(f'"{part.strip()}"' for part in parts if part.strip()) or '""'


def facets(store: Store, wanted: Wanted, most: int = 6) -> dict[str, list[tuple[str, int]]]:
    """How often each value of the usual tags is there among the newest `COUNTED` of the traces that the
    database finds: of more, it takes seconds."""
    newest = select(traces.c.id).where(*_tests(store, wanted)).order_by(traces.c.began_ns.desc())
    of_trace = newest.limit(COUNTED).subquery()
    count = func.count().label("count")
    query = select(tags.c.name, tags.c.value, count).join(of_trace, of_trace.c.id == tags.c.trace)
    query = query.where(tags.c.name.in_(FACETS))
    query = query.group_by(tags.c.name, tags.c.value).order_by(count.desc(), tags.c.value)
    found: dict[str, list[tuple[str, int]]] = {}
    with store.read() as connection:
        for name, value, number in connection.execute(query):
            if len(values := found.setdefault(name, [])) < most:
                values.append((value, int(number)))
    return {name: found[name] for name in FACETS if name in found}


def histogram(store: Store, wanted: Wanted, most: int = 60) -> tuple[list[int], list[int]]:
    """How many traces began in each step of the time that the search covers: beginnings in hours since the
    Unix epoch, and counts. Of what the database finds, as in `facets`."""
    tests = _tests(store, wanted)
    with store.read() as connection:
        query = select(func.min(traces.c.began_ns), func.max(traces.c.began_ns)).where(*tests)
        first, last = connection.execute(query).one()
        if first is None:
            return [], []
        first, last = int(first) // HOUR, int(last) // HOUR
        step = -(-(last - first + 1) // most)
        place = traces.c.began_ns // (HOUR * step)
        counted = select(place, func.count()).where(*tests).group_by(place)
        found = {int(at): int(count) for at, count in connection.execute(counted)}
    steps = list(range(first // step, last // step + 1))
    return [at * step for at in steps], [found.get(at, 0) for at in steps]


def newest(store: Store, project: str) -> int | None:
    """When the newest trace of the project began, in nanoseconds; None where there is none."""
    mine = (traces.c.project == project) & traces.c.is_kept.is_(True)
    with store.read() as connection:
        return connection.execute(select(func.max(traces.c.began_ns)).where(mine)).scalar()


def one(store: Store, project: str, trace_id: str) -> TraceRow | None:
    """The trace of this id; None where there is none that is kept."""
    query = select(*_COLUMNS).where(
        traces.c.project == project, traces.c.trace_id == trace_id, traces.c.is_kept.is_(True)
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else _row(row)


def trace_of(store: Store, row: TraceRow) -> Trace:
    """The trace with its spans, as it was put away."""
    with store.read() as connection:
        query = select(contents.c.data, traces.c.about).join(traces, traces.c.id == contents.c.trace)
        data, about = connection.execute(query.where(contents.c.trace == row.id)).one()
    return Trace(row.trace_id, unpacked(data), notes=list(orjson.loads(about)["notes"]))


def with_tag(store: Store, project: str, names: Sequence[str], value: str, most: int = 200) -> list[TraceRow]:
    """The traces that have a tag with this value, the oldest of the newest ``most`` first."""
    inside = select(tags.c.trace).where(
        tags.c.project == project, tags.c.name.in_(names), tags.c.value == value
    )
    query = select(*_COLUMNS).where(traces.c.id.in_(inside), traces.c.is_kept.is_(True))
    query = query.order_by(traces.c.began_ns.desc(), traces.c.id.desc()).limit(most)
    with store.read() as connection:
        return [_row(row) for row in connection.execute(query)][::-1]


def alike(store: Store, project: str, row: TraceRow, most: int = 5) -> list[TraceRow]:
    """The newest traces of the same name in which nothing failed, to compare this one with."""
    query = select(*_COLUMNS).where(
        traces.c.project == project, traces.c.is_kept.is_(True), traces.c.name == row.name,
        traces.c.failing.is_(None), traces.c.breached == 0, traces.c.id != row.id,
        traces.c.began_ns.between(row.began_ns - _NEAR, row.began_ns + _NEAR),
    )  # fmt: skip
    with store.read() as connection:
        newest_first = query.order_by(traces.c.began_ns.desc()).limit(most)
        return [_row(each) for each in connection.execute(newest_first)]


def feedback_of(store: Store, trace: int) -> list[dict[str, Any]]:
    """What people said of a trace, in order."""
    query = select(feedback.c.at_ns, feedback.c.rating, feedback.c.comment)
    with store.read() as connection:
        rows = connection.execute(query.where(feedback.c.trace == trace).order_by(feedback.c.at_ns))
        return [dict(row) for row in rows.mappings()]


def scores_of(store: Store, rows: Sequence[TraceRow]) -> dict[int, dict[str, float]]:
    """The scores of traces, by their numbers; of several of one name, the lowest."""
    found: dict[int, dict[str, float]] = {row.id: {} for row in rows}
    query = select(scores.c.trace, scores.c.name, func.min(scores.c.value)).where(
        scores.c.trace.in_(list(found)), scores.c.value.is_not(None)
    )
    with store.read() as connection:
        for trace, name, value in connection.execute(query.group_by(scores.c.trace, scores.c.name)):
            found[trace][name] = float(value)
    return found
