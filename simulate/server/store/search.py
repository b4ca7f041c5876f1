"""The language of the search box: what a whole trace is like, and what one of its spans is like.

::

    user=u-7 prompt=v3 score.Groundedness<0.7 feedback=down kind=RETRIEVER output_tokens>10000

The words of `TAGS`, ``score.NAME``, ``feedback``, ``status``, ``cost``, ``tokens``, ``duration`` with
``trace.`` before them, and ``trace`` are about the trace. Every other term is one of `simulate.trace.filter`
and about a span, one span for all of them. As many as can be are asked of the database; what it cannot tell
exactly is asked of the traces that are left.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, select

from simulate.errors import InputError
from simulate.model.units import seconds
from simulate.server.store.schema import scores, spans, tags, traces
from simulate.trace.filter import Filter, parse
from simulate.trace.filter_terms import parse_short

TAGS = {
    "user": ("user",), "session": ("session", "conversation"), "tenant": ("tenant",),
    "feature": ("feature",), "prompt": ("prompt", "prompt_version"), "experiment": ("experiment",),
    "cohort": ("cohort",), "model": ("model",), "agent": ("agent",), "tool": ("tool",),
    "service": ("service",), "environment": ("environment",), "run": ("run",), "scenario": ("scenario",),
}  # fmt: skip
"""Word → the tags that it looks at."""
_NUMBERS = {
    "trace.cost": "dollars",
    "trace.tokens": "tokens",
    "trace.duration": "seconds",
    "trace.spans": "spans",
}
_TERM = re.compile(r"(?P<not>!)?(?P<word>[\w.\-/]+)(?P<op>!=|>=|<=|>|<|=|~)(?P<value>.*)", re.DOTALL)
Test = ColumnElement[bool]
Names = Callable[[str], list[str]]
"""A person's id as it was typed, and as redaction may have written it."""


@dataclass(frozen=True, slots=True)
class TraceSet:
    """The traces of which a row of another table passes ``tests``; ``trace`` is the number in that table."""

    trace: ColumnElement[int]
    tests: tuple[Test, ...]
    of_project: Callable[[str], Test] | None = None

    def numbers(self, project: str) -> Select[int]:
        """Their numbers; where the table does not tell projects apart, those of all projects."""
        more = () if self.of_project is None else (self.of_project(project),)
        return select(self.trace).distinct().where(*self.tests, *more)

    def test(self, project: str) -> Test:
        """Whether a trace is one of them, as a test that is quick where many are."""
        # as an argument no index answers it: SQLite would look at all rows that pass, not at the trace's
        tests = [func.coalesce(each, false()) for each in self.tests]
        more = () if self.of_project is None else (self.of_project(project),)
        return select(self.trace).where(self.trace == traces.c.id, *tests, *more).exists()


@dataclass(slots=True)
class TraceQuery:
    """A parsed search: ``tests`` and ``inside`` are for the database; ``exact`` is the filter that the traces
    which they leave must be held against, None where they say it all."""

    tests: list[Test] = field(default_factory=list[Test])
    inside: list[TraceSet] = field(default_factory=list[TraceSet])
    exact: Filter | None = None


def parse_search(text: str, names: Names = lambda name: [name]) -> TraceQuery:
    """Raises InputError, naming the term, for what is not a search."""
    try:
        terms = [term for term in shlex.split(text) if term != "and"]
    except ValueError as error:
        raise InputError(f"{text!r} is not a search: {error}") from None
    search, of_spans = TraceQuery(), list[str]()
    for term in terms:
        test = _of_trace(term, names)
        if test is None:
            of_spans.append(term)
        elif isinstance(test, TraceSet):
            search.inside.append(test)
        else:
            search.tests.append(test)
    if of_spans:
        data = parse_short(shlex.join(of_spans))
        found = parse(data)
        tests, exact = _span_test(data)
        # a term about the neighbours of a span is tested of any span of the trace
        search.inside += [TraceSet(spans.c.trace, (test,)) for test in tests]
        search.exact = None if exact and len(tests) == 1 else found
    return search


def _of_trace(term: str, names: Names) -> Test | TraceSet | None:
    """The test of a term about the whole trace; None for one about a span."""
    found = _TERM.fullmatch(term)
    if found is None:
        return None
    word, op, value = found["word"], found["op"], found["value"]
    # beside kind=…, the tool or agent of the span itself is meant as well: the trace then has it, too
    if word in TAGS:
        tagged = _tagged(word, op, value, names)
        if op == "=" and not found["not"]:
            return TraceSet(tags.c.trace, tagged, lambda project: tags.c.project == project)
        inside = select(tags.c.trace).where(
            *tagged, tags.c.project == traces.c.project, tags.c.trace == traces.c.id
        )
        test = ~inside.exists() if op == "!=" else inside.exists()
    elif word.startswith("score."):
        test = _scored(word.removeprefix("score."), op, value)
    elif word in _NUMBERS:
        test = _compared(traces.c[_NUMBERS[word]], op, _number(word, value))
    elif word in ("feedback", "trace", "status"):
        test = _plain(word, op, value)
    else:
        return None
    return ~test if found["not"] else test


def _tagged(word: str, op: str, value: str, names: Names) -> tuple[Test, Test]:
    wanted = names(value) if word == "user" else [value]
    if op in "=!=":
        of_value = tags.c.value.in_(wanted)
    elif op == "~":
        of_value = tags.c.value.contains(value, autoescape=True)
    else:
        raise InputError(f"{word} is not a number, and only numbers are compared", hint=f"write {word}=…")
    return tags.c.name.in_(TAGS[word]), of_value


def _scored(name: str, op: str, value: str) -> Test:
    number = _number(f"score.{name}", value)
    held = exists().where(scores.c.trace == traces.c.id, scores.c.name == name)
    return held.where(_compared(scores.c.value, op, number))


def _number(word: str, value: str) -> float:
    try:
        return float(seconds(value)) if word == "trace.duration" else float(value.lstrip("$"))
    except ValueError:
        raise InputError(f"{value!r} is not a number", where=word) from None


def _compared(column: Any, op: str, number: float) -> Test:
    tests: Mapping[str, Callable[[], Test]] = {
        ">": lambda: column > number, "<": lambda: column < number, "=": lambda: column == number,
        ">=": lambda: column >= number, "<=": lambda: column <= number, "!=": lambda: column != number,
    }  # fmt: skip
    if op not in tests:
        raise InputError(f"{op} compares texts, not numbers")
    return tests[op]()


def _plain(word: str, op: str, value: str) -> Test:
    if op not in ("=", "!="):
        raise InputError(f"{word} is equal to something or not", hint=f"write {word}=…")
    if word == "trace":
        test: Test = traces.c.trace_id == value
    elif word == "feedback":
        test = traces.c.feedback == value
    elif value in ("error", "ok"):
        test = traces.c.failing.is_not(None) if value == "error" else traces.c.failing.is_(None)
    else:
        raise InputError(f"a status is error or ok, not {value!r}")
    return ~test if op == "!=" else test


# -- of one span -----------------------------------------------------------------------------------------

_EQUAL = {"tool_name": "tool", "agent_name": "agent"}
_BOUNDED = {"input_tokens", "output_tokens"}


def _span_test(data: Mapping[str, Any]) -> tuple[list[Test], bool]:
    """Tests, each of which some span must pass, and whether together they are the filter."""
    parts = [_one_span(each) for each in (data["and"] if set(data) == {"and"} else [data])]
    same = [test for test, where, _ in parts if test is not None and where == "same"]
    others = [test for test, where, _ in parts if test is not None and where == "any"]
    found = [and_(*same)] if same else []
    return [*found, *others], all(exact for _, _, exact in parts)


def _one_span(part: Mapping[str, Any]) -> tuple[Test | None, str, bool]:
    """The test of one term, of which span it speaks (``same``, ``any``), and whether it is exact."""
    (word, value), *more = part.items()
    if more:
        return None, "same", False
    match word:
        case "kind":
            return spans.c.kind.in_([str(each).upper() for each in value]), "same", True
        case "name" if isinstance(value, str):
            return spans.c.name == value, "same", True
        case "error":
            return spans.c.failed.is_(bool(value)), "same", True
        case "duration":
            return and_(*_bounds(spans.c.seconds, value, lambda each: float(seconds(each)))), "same", True
        case "attribute":
            return _attribute(value)
        case "or" if len(value) == 2 and set(value[1]) == {"near"} and value[1]["near"] == value[0]:
            # tokens beside a retriever: those of any model call near it
            test, _, _ = _one_span(value[0])
            return test, "any", False
        case _:
            return None, "same", False


def _attribute(value: Mapping[str, Any]) -> tuple[Test | None, str, bool]:
    (name, wanted), *more = value.items()
    if more or not isinstance(wanted, dict):
        # an attribute of the same name as the field wins over it, so a test of the field alone is wider
        return None, "same", False
    if name in _BOUNDED:
        return and_(*_bounds(spans.c[name], wanted, float)), "same", True
    return None, "same", False


def _bounds(column: Any, bounds: Any, read: Callable[[Any], float]) -> list[Test]:
    tests: list[Test] = [column.is_not(None)]
    if "above" in bounds:
        tests.append(column > read(bounds["above"]))
    if "below" in bounds:
        tests.append(column < read(bounds["below"]))
    return tests
