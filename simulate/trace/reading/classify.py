"""Reading a span by all dialects at once.

The tables of all dialects are merged into one plan for each attribute name and scope, so that reading a span
costs one look-up for each of its attributes, however many dialects there are. A span may mix dialects:
for each
field the attribute of the dialect with the lowest ``rank`` wins.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, cast

from simulate.trace.reading import messages, values
from simulate.trace.reading.completion import complete, exception_event
from simulate.trace.reading.dialect import CARRIERS, GROUPS, READERS, Dialect, Source, dialects
from simulate.trace.reading.messages import says_nothing
from simulate.trace.span import Kind, Message, Span, View

MASKED = "__REDACTED__"
"""What OpenInference writes in the place of what it was told to hide."""
MOST_PLANS = 20_000
"""Attribute names remembered for each scope: flattened ones (``gen_ai.prompt.17.content``) have no end."""
MOST_LAYOUTS = 2_000
"""Sets of attribute names remembered for each scope, for the same reason."""


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


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a set of attribute names means together, whatever their values are. An instrumentation has few
    such sets, so that nearly all of reading a span is worked out once for each of them."""

    fills: tuple[tuple[str, _Fill, bool], ...]
    """Attribute, its place, and whether another attribute could fill that place too."""
    flat: tuple[tuple[_Prefix, tuple[tuple[str, str], ...]], ...]
    """Each beginning, with the attributes that have it and what follows it in them."""
    kinds: tuple[tuple[str, _Kinds], ...]
    sign: _Sign | None
    names: frozenset[str]
    """Dialects that speak here, by their marks."""
    marked: Dialect | None


@dataclass(slots=True)
class _Scope:
    """What attribute names mean under one instrumentation scope; filled as they come by."""

    own: Dialect | None
    """The dialect whose scope it is."""
    speaking: tuple[Dialect, ...]
    """Those whose names mean something here, the lowest rank first."""
    plans: dict[str, _Plan] = field(default_factory=dict[str, _Plan])
    layouts: dict[tuple[str, ...], _Layout] = field(default_factory=dict[tuple[str, ...], _Layout])

    def layout(self, keys: tuple[str, ...]) -> _Layout:
        """What these attribute names mean together; their order decides between equals."""
        told = [(key, self.plans.get(key) or self.plan(key)) for key in keys]
        fills = [(key, fill) for key, plan in told for fill in plan.fills]
        flat: dict[_Prefix, list[tuple[str, str]]] = {}
        for key, plan in told:
            if plan.prefix is not None:
                flat.setdefault(plan.prefix, []).append((key, key[len(plan.prefix.beginning) :]))
        wanted = Counter((fill.name, fill.member) for _, fill in fills)
        wanted.update((prefix.name, None) for prefix in flat if not prefix.group)
        signs = [plan.sign for _, plan in told if plan.sign is not None]
        marks = [plan.mark for _, plan in told if plan.mark is not None]
        layout = _Layout(
            tuple((key, fill, wanted[fill.name, fill.member] > 1) for key, fill in fills),
            tuple((prefix, tuple(pairs)) for prefix, pairs in flat.items()),
            tuple((key, plan.kinds) for key, plan in told if plan.kinds is not None),
            min(signs, key=lambda sign: sign.rank, default=None),
            frozenset(mark.name for mark in marks),
            min((mark for mark in marks if mark.tells), key=lambda mark: mark.rank, default=None),
        )
        if len(self.layouts) < MOST_LAYOUTS:
            self.layouts[keys] = layout
        return layout

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
        plan = _Plan(_once(fills), kinds, sign, mark, prefix)
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


def _once(fills: Iterable[_Fill]) -> tuple[_Fill, ...]:
    """The surest of those that read the same in the same way: several dialects know the common names."""
    found: dict[tuple[Any, ...], _Fill] = {}
    for fill in sorted(fills, key=lambda fill: fill.rank):
        found.setdefault((fill.name, fill.member, fill.read), fill)
    return tuple(found.values())


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
    keys = tuple(span.attributes)
    layout = scope.layouts.get(keys) or scope.layout(keys)
    found = View(Kind.UNKNOWN, "unknown")
    names = _classify(span, found, scope, layout)
    _fill_fields(span.attributes, found, layout)
    if found.error is None and span.status == "error":
        found.error = span.status_message or _exception(span) or "error"
    if found.kind is Kind.LLM:
        if found.deferred is None:
            found.input = found.input or messages.incoming(found.input_value)
        if says_nothing(found.output):
            found.output = messages.outgoing(found.output_value)
            _error_told_as_answer(found)
        if found.tool_definitions is None and isinstance(given := found.input_value, dict):
            found.tool_definitions = values.items(cast("dict[str, Any]", given).get("tools"))
    for refine in _last_words(names, bool(span.events)):
        refine(span, found)
    complete(span, found)
    if not found.finish_reasons and found.output:
        told = (message.finish_reason for message in found.output)
        found.finish_reasons = [reason for reason in told if reason is not None]
    return found


_RAISED = re.compile(r"[\w.]*(Error|Exception)\b")


def _error_told_as_answer(found: View) -> None:
    """An error's whole text where an answer would be, as some write it."""
    told = found.output_value
    if found.error is not None and isinstance(told, str) and found.error in told and _RAISED.match(told):
        found.error, found.output = told, None


def _classify(span: Span, found: View, scope: _Scope, layout: _Layout) -> frozenset[str]:
    """Set kind and dialect; the names of the dialects that speak in this span."""
    explicit: tuple[int, str, Kind] | None = None
    names = layout.names
    silent: str | None = None
    for key, kinds in layout.kinds:
        value = span.attributes[key]
        if value is not None:
            kind = kinds.table.get(str(value).lower())
            if kind is None:
                silent = silent or kinds.dialect
                names |= {kinds.dialect}
            elif explicit is None or kinds.rank < explicit[0]:
                explicit = (kinds.rank, kinds.dialect, kind)
    named = _by_name(span.scope, span.name)
    decided: tuple[str, Kind] | None = None
    said = None if explicit is None else explicit[2]
    if named is not None and (named[2] or (said is Kind.CHAIN and named[1] is Kind.RETRIEVER)):
        # a step of a chain may be anything, and these names are a vector store's
        decided = (named[0], named[1])
    elif explicit is not None:
        decided = (explicit[1], explicit[2])
    elif (operation := _operations().get(str(span.attributes.get("gen_ai.operation.name")))) is not None:
        decided = operation
    elif named is not None:
        decided = (named[0], named[1])
    elif (sign := layout.sign) is not None:
        decided = (sign.dialect, sign.kind)
    elif silent is not None:
        decided = (silent, Kind.CHAIN)
    own = scope.own if scope.own is not None and scope.own.rank < CARRIERS else layout.marked
    if decided is not None:
        found.dialect, found.kind = decided
    if own is not None:
        found.dialect = own.name
    speaking = {each for each in (decided and decided[0], own and own.name) if each is not None}
    return names if speaking <= names else names | speaking


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


def _fill_fields(attributes: Mapping[str, Any], found: View, layout: _Layout) -> None:
    ranks: dict[tuple[str, str | None], int] = {}
    for key, fill, contested in layout.fills:
        name, member = fill.name, fill.member
        if attributes[key] == MASKED and name != "tool_name":
            continue  # a tool whose name is hidden is not the one that its span's name may tell
        if contested:
            if ranks.get((name, member), fill.rank) < fill.rank:
                continue
        elif fill.read is messages.incoming and attributes[key]:
            found.defer_input(partial(_input, found, attributes[key]))
            continue
        try:
            content = fill.read(attributes[key])
        except RecursionError:
            continue  # nested deeper than anybody would mean it
        if content is not None:
            if contested:
                ranks[name, member] = fill.rank
            if member is None:
                setattr(found, name, content)
            else:
                getattr(found, name)[member] = content
    for prefix, members in layout.flat:
        if prefix.group:
            for key, member in members:
                getattr(found, prefix.name).setdefault(member, values.given(attributes[key]))
        elif ranks.get((prefix.name, None), 1_000_000) > prefix.rank * 100 or says_nothing(
            getattr(found, prefix.name)
        ):
            pairs = [(member, attributes[key]) for key, member in members if attributes[key] != MASKED]
            content = _taken(READERS[prefix.name], _taken(values.nested, pairs))
            if content is not None:
                ranks[(prefix.name, None)] = prefix.rank * 100
                setattr(found, prefix.name, content)


def _input(found: View, value: Any) -> list[Message] | None:
    told = _taken(messages.incoming, value)
    return told or messages.incoming(found.input_value) if found.kind is Kind.LLM else told


def _taken(read: values.Reader, value: Any) -> Any:
    """What a reader makes of a value; nothing of one that is nested deeper than anybody would mean it."""
    try:
        return read(value)
    except RecursionError:
        return None


def _exception(span: Span) -> str | None:
    if any(event.name == "exception" for event in span.events):
        return exception_event(span)
    kind = span.attributes.get("error.type")
    if kind is not None and not str(kind).isdigit():
        return str(kind)
    status = span.attributes.get("http.response.status_code", span.attributes.get("http.status_code", kind))
    return None if status is None else f"HTTP {status}"
