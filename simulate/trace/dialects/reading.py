"""Reading a span by all dialects at once.

The tables of all dialects are merged into one plan for each attribute name and scope, so that reading a span
costs one look-up for each of its attributes, however many dialects there are. A span may mix dialects:
for each
field the attribute of the dialect with the lowest ``rank`` wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from simulate.trace.dialects import messages, values
from simulate.trace.dialects.base import CARRIERS, GROUPS, READERS, Dialect, Source, dialects
from simulate.trace.span import Kind, Message, Span, View

MOST_PLANS = 20_000
"""Attribute names remembered for each scope: flattened ones (``gen_ai.prompt.17.content``) have no end."""


@dataclass(frozen=True, slots=True)
class _Fill:
    """One attribute's place in the view."""

    rank: int
    name: str
    member: str | None
    read: values.Reader


@dataclass(frozen=True, slots=True)
class _Kinds:
    """An explicit kind attribute: its values in lower case → kind."""

    rank: int
    dialect: str
    table: Mapping[str, Kind | None]


@dataclass(frozen=True, slots=True)
class _Sign:
    """An attribute whose presence tells the kind."""

    rank: int
    dialect: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The beginning of flattened attributes, or of a group to copy."""

    beginning: str
    rank: int
    name: str
    group: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that one attribute name means under one scope."""

    fills: tuple[_Fill, ...] = ()
    kinds: _Kinds | None = None
    sign: _Sign | None = None
    mark: Dialect | None = None
    prefix: _Prefix | None = None


_NOTHING = _Plan()


@dataclass(slots=True)
class _Scope:
    """What attribute names mean under one instrumentation scope; filled as they come by."""

    own: Dialect | None
    """The dialect whose scope it is."""
    speaking: tuple[Dialect, ...]
    """Those whose names mean something here, the lowest rank first."""
    plans: dict[str, _Plan] = field(default_factory=dict[str, _Plan])

    def plan(self, key: str) -> _Plan:
        """What this attribute name means."""
        fills: list[_Fill] = []
        kinds: _Kinds | None = None
        sign: _Sign | None = None
        for dialect in self.speaking:
            for name, sources in dialect.fields.items():
                for place, source in enumerate(sources):
                    if key == (source if isinstance(source, str) else source[0]):
                        fills.append(_fill(name, source, dialect.rank * 100 + place))
            if kinds is None and key in dialect.kinds:
                kinds = _Kinds(dialect.rank, dialect.name, dialect.kinds[key])
            if sign is None and key in dialect.signs:
                sign = _Sign(dialect.rank, dialect.name, dialect.signs[key])
        mark = next((one for one in dialects() if one.marks and key.startswith(one.marks)), None)
        prefix = None if fills else self._prefix(key)
        plan = _Plan(tuple(fills), kinds, sign, mark, prefix)
        plan = _NOTHING if plan == _NOTHING else plan
        if len(self.plans) < MOST_PLANS:
            self.plans[key] = plan
        return plan

    def _prefix(self, key: str) -> _Prefix | None:
        """The longest beginning that fits, of the dialect with the lowest rank."""
        found: _Prefix | None = None
        for dialect in self.speaking:
            group = [(beginning, name, True) for beginning, name in dialect.prefixed.items()]
            flat = [(one, name, False) for name, beginnings in dialect.indexed.items() for one in beginnings]
            for beginning, name, is_group in (*group, *flat):
                if key.startswith(beginning) and (found is None or len(beginning) > len(found.beginning)):
                    found = _Prefix(beginning, dialect.rank, name, is_group)
        return found


def _fill(name: str, source: Source, rank: int) -> _Fill:
    read = None if isinstance(source, str) else source[1]
    root, _, member = name.partition(".")
    if root in GROUPS:
        return _Fill(rank, root, member, read or values.given)
    return _Fill(rank, name, None, read or READERS[name])


@lru_cache(maxsize=512)
def _scope(name: str) -> _Scope:
    mine = [one for one in dialects() if one.scopes and name.startswith(one.scopes)]
    speaking = tuple(one for one in dialects() if not one.scoped or one in mine)
    return _Scope(mine[0] if mine else None, speaking)


@lru_cache(maxsize=1)
def _operations() -> dict[str, tuple[str, Kind]]:
    found: dict[str, tuple[str, Kind]] = {}
    for dialect in dialects():
        for value, kind in dialect.operations.items():
            found.setdefault(value, (dialect.name, kind))
    return found


@lru_cache(maxsize=8192)
def _by_name(scope: str, name: str) -> tuple[str, Kind, bool] | None:
    """Dialect, kind and whether the name goes before explicit attributes."""
    for dialect in dialects():
        mine = not dialect.scopes or scope.startswith(dialect.scopes)
        for pattern, kind in (*dialect.any_names, *(dialect.names if mine else ())):
            if re.match(pattern, name):
                return dialect.name, kind, dialect.names_first and mine
    return None


@lru_cache(maxsize=1024)
def _last_words(names: frozenset[str], events: bool) -> tuple[Callable[[Span, View], None], ...]:
    return tuple(
        one.refine
        for one in dialects()
        if one.refine is not None and (one.name in names or (one.everywhere and events))
    )


def read(span: Span) -> View:
    """The canonical view of one span, seen by itself; the span is left as it is."""
    scope = _scope(span.scope)
    plans = scope.plans
    told: list[tuple[str, Any, _Plan]] = []
    for key, value in span.attributes.items():
        plan = plans.get(key)
        if plan is None:
            plan = scope.plan(key)
        if plan is not _NOTHING:
            told.append((key, value, plan))
    found = View(kind=Kind.UNKNOWN, dialect="unknown")
    names = _classify(span, found, scope, told)
    _fill_fields(told, found)
    if found.error is None and span.status == "error":
        found.error = span.status_message or _exception(span) or "error"
    if found.kind is Kind.LLM:
        found.input = found.input or messages.incoming(found.input_value)
        found.output = found.output or messages.outgoing(found.output_value)
        if found.tool_definitions is None and isinstance(given := found.input_value, dict):
            found.tool_definitions = values.items(cast("dict[str, Any]", given).get("tools"))
    for refine in _last_words(names, bool(span.events)):
        refine(span, found)
    _complete(span, found)
    return found


def _classify(span: Span, found: View, scope: _Scope, told: list[tuple[str, Any, _Plan]]) -> frozenset[str]:
    """Set kind and dialect; the names of the dialects that speak in this span."""
    explicit: tuple[int, str, Kind] | None = None
    sign: _Sign | None = None
    names: set[str] = set()
    marked: Dialect | None = None
    silent: str | None = None
    for _, value, plan in told:
        if plan.kinds is not None and value is not None:
            kind = plan.kinds.table.get(str(value).lower())
            if kind is None:
                silent = silent or plan.kinds.dialect
                names.add(plan.kinds.dialect)
            elif explicit is None or plan.kinds.rank < explicit[0]:
                explicit = (plan.kinds.rank, plan.kinds.dialect, kind)
        if plan.sign is not None and (sign is None or plan.sign.rank < sign.rank):
            sign = plan.sign
        if plan.mark is not None:
            names.add(plan.mark.name)
            if plan.mark.tells and (marked is None or plan.mark.rank < marked.rank):
                marked = plan.mark
    named = _by_name(span.scope, span.name)
    decided: tuple[str, Kind] | None = None
    if named is not None and named[2]:
        decided = (named[0], named[1])
    elif explicit is not None:
        decided = (explicit[1], explicit[2])
    elif (operation := _operations().get(str(span.attributes.get("gen_ai.operation.name")))) is not None:
        decided = operation
    elif named is not None:
        decided = (named[0], named[1])
    elif sign is not None:
        decided = (sign.dialect, sign.kind)
    elif silent is not None:
        decided = (silent, Kind.CHAIN)
    own = scope.own if scope.own is not None and scope.own.rank < CARRIERS else marked
    if decided is not None:
        found.kind = decided[1]
        found.dialect = decided[0]
        names.add(decided[0])
    if own is not None:
        found.dialect = own.name
        names.add(own.name)
    return frozenset(names)


def tells_kind(span: Span) -> bool:
    """Whether the span says its kind itself, so that nobody has to guess it from its name or contents."""
    scope = _scope(span.scope)
    named = _by_name(span.scope, span.name)
    kinds = ((scope.plan(key).kinds, value) for key, value in span.attributes.items())
    return (
        any(one is not None and one.table.get(str(value).lower()) is not None for one, value in kinds)
        or str(span.attributes.get("gen_ai.operation.name")) in _operations()
        or bool(named and named[2])
    )


def _fill_fields(told: list[tuple[str, Any, _Plan]], found: View) -> None:
    ranks: dict[tuple[str, str | None], int] = {}
    groups: dict[_Prefix, list[tuple[str, Any]]] = {}
    for key, value, plan in told:
        if plan.prefix is not None:
            groups.setdefault(plan.prefix, []).append((key[len(plan.prefix.beginning) :], value))
        for fill in plan.fills:
            place = (fill.name, fill.member)
            if ranks.get(place, fill.rank) < fill.rank:
                continue
            content = _taken(fill.read, value)
            if content is not None:
                ranks[place] = fill.rank
                _put(found, fill.name, fill.member, content)
    for prefix, pairs in groups.items():
        if prefix.group:
            for member, value in pairs:
                getattr(found, prefix.name).setdefault(member, values.given(value))
        elif ranks.get((prefix.name, None), 1_000_000) > prefix.rank * 100 or _hollow(
            getattr(found, prefix.name)
        ):
            content = _taken(READERS[prefix.name], _taken(values.nested, pairs))
            if content is not None:
                ranks[(prefix.name, None)] = prefix.rank * 100
                setattr(found, prefix.name, content)


def _taken(read: values.Reader, value: Any) -> Any:
    """What a reader makes of a value; nothing of one that is nested deeper than anybody would mean it."""
    try:
        return read(value)
    except RecursionError:
        return None


def _hollow(content: Any) -> bool:
    """Messages without a single part: some write those where they put the answer into other attributes."""
    held = cast("list[Any]", content) if isinstance(content, list) else []
    return bool(held) and all(isinstance(one, Message) and not one.parts for one in held)


def _put(found: View, name: str, member: str | None, content: Any) -> None:
    if member is None:
        setattr(found, name, content)
    else:
        cast("dict[str, Any]", getattr(found, name))[member] = content


def _exception(span: Span) -> str | None:
    for event in reversed(span.events):
        if event.name == "exception":
            message = event.attributes.get("exception.message")
            name = event.attributes.get("exception.type")
            return str(message or name) if message or name else None
    kind = span.attributes.get("error.type")
    return None if kind is None else str(kind)


def _complete(span: Span, found: View) -> None:
    """What a tool or a retriever got and gave, where the source has only a general input and output."""
    if found.kind is Kind.TOOL:
        found.tool_name = found.tool_name or span.name
        if found.tool_arguments is None and found.input_value is not None:
            found.tool_arguments = messages.arguments_of(found.input_value)
        if found.tool_result is None:
            found.tool_result = values.loose(found.output_value)
        _langchain_message(found)
        result = found.tool_result
        if (
            found.error is None
            and isinstance(result, dict)
            and cast("dict[str, Any]", result).get("isError") is True
        ):
            found.error = values.text(cast("dict[str, Any]", result).get("content"))
    elif found.kind in (Kind.RETRIEVER, Kind.RERANKER):
        if found.query is None:
            found.query = _query(found.input_value)
        if found.documents is None and not isinstance(found.output_value, str):
            found.documents = values.documents(found.output_value)


def _langchain_message(found: View) -> None:
    """A LangChain tool answers with a whole message: plain, under ``data``, or serialised under
    ``kwargs``."""
    result = found.tool_result
    if not isinstance(result, dict):
        return
    held = cast("dict[str, Any]", result)
    for inner in (held, held.get("data"), held.get("kwargs")):
        if isinstance(inner, dict) and "tool_call_id" in inner:
            message = cast("dict[str, Any]", inner)
            found.tool_call_id = found.tool_call_id or values.text(message["tool_call_id"])
            found.tool_result = values.decoded(message.get("content"))
            if message.get("status") == "error" and found.error is None:
                found.error = values.text(message.get("content"))
            return


def _query(value: Any) -> str | None:
    if isinstance(value, dict):
        held = cast("dict[str, Any]", value)
        if held.get("args"):
            return _query(held["args"][0])
        held = held.get("kwargs") or held
        value = next((held[key] for key in ("query", "input", "question", "text") if key in held), None)
    return value if isinstance(value, str) else None
