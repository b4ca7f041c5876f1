"""What a dialect is, and the one engine that reads a span by all of them at once.

A dialect is a table: which attribute says which kind, which fills which field of the view. The tables of all
dialects are merged into one dictionary by attribute name, so that reading a span costs one look-up for
each of its
attributes, however many dialects there are, and a span may mix them: for each field the attribute of the
dialect
with the lowest ``rank`` wins.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, cast

from simulate.trace.dialects import messages, values
from simulate.trace.span import Kind, Message, Span, Trace, View

Source = str | tuple[str, values.Reader]
"""An attribute's name; with a reader of its own where its unit or shape is unlike the field's."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one instrumentation says what the canonical span says.

    ``version`` is the instrumentation's version that the table was read from. Keys of ``fields`` are
    fields of
    ``View``, or ``voice.x``, ``gateway.x``, ``tags.x``, ``parameters.x`` for members of its dictionaries.
    """

    name: str
    version: str
    rank: int
    """Who wins where two dialects fill the same field: the lower. The conventions themselves have 10."""
    scopes: tuple[str, ...] = ()
    """Beginnings of instrumentation scope names that belong to it."""
    scoped: bool = False
    """Whether its attribute names mean something only under its own scopes (``input``, ``text``)."""
    marks: tuple[str, ...] = ()
    """Beginnings of attribute names that nobody else uses: they name the dialect of a span whose scope
    is lost."""
    kinds: Mapping[str, Mapping[str, Kind | None]] = field(
        default_factory=dict[str, Mapping[str, Kind | None]]
    )
    """Explicit kind attributes: attribute → its value in lower case → kind; None means that it says
    nothing."""
    operations: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    """Values of ``gen_ai.operation.name``."""
    names: tuple[tuple[str, Kind], ...] = ()
    """Span names as regular expressions that match from the start; only under its scopes, if it has any."""
    any_names: tuple[tuple[str, Kind], ...] = ()
    """Span names so particular that no scope is needed; files exist that lost it."""
    names_first: bool = False
    """Whether the span's name is surer than explicit attributes, which other tools may have added wrongly."""
    signs: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    """Attributes whose mere presence tells the kind; the last resort."""
    fields: Mapping[str, tuple[Source, ...]] = field(default_factory=dict[str, tuple[Source, ...]])
    """View field → attributes, best first."""
    indexed: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """View field → beginnings of flattened attributes (``llm.input_messages.``)."""
    prefixed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Beginning of an attribute → ``parameters``, ``gateway``, ``tags`` or ``voice``: all that follows
    is copied."""
    refine: Callable[[Span, View], None] | None = None
    """What no table can say; runs last, for spans in which this dialect speaks."""
    everywhere: bool = False
    """Whether ``refine`` runs for spans of every dialect."""
    context: Callable[[Trace, dict[str, View]], None] | None = None
    """Completes views from their neighbours in the trace (``views`` calls it, ``view`` cannot)."""


CARRIERS = 80
"""From this rank on a scope says only who carried the span; another dialect that speaks in it names it."""
_GROUPS = {"voice", "gateway", "tags", "parameters"}
_READERS: dict[str, values.Reader] = {
    **dict.fromkeys(
        (
            "provider", "request_model", "response_model", "response_id", "agent_name", "tool_name",
            "user_id", "conversation_id", "session_id", "prompt_name", "prompt_version",
        ),
        values.known,
    ),
    **dict.fromkeys(
        (
            "operation", "tool_call_id", "query", "handoff_from", "handoff_to", "error",
        ),
        values.text,
    ),
    **dict.fromkeys(
        (
            "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
            "input_audio_tokens", "output_audio_tokens", "step",
        ),
        values.integer,
    ),
    **dict.fromkeys(("cost", "time_to_first_token"), values.number),
    **dict.fromkeys(("input_value", "output_value"), values.as_is),
    "tool_result": values.loose,
    "tool_arguments": messages.arguments_of,
    "input": messages.incoming,
    "output": messages.outgoing,
    "instructions": lambda value: _joined(messages.messages(value, "system")),
    "finish_reasons": values.texts,
    "tool_definitions": values.items,
    "documents": values.documents,
}  # fmt: skip


def _joined(found: list[Any] | None) -> str | None:
    return None if found is None else "\n".join(message.text for message in found)


@dataclass(frozen=True, slots=True)
class _Fill:
    """One attribute's place in the view."""

    rank: int
    name: str
    member: str | None
    read: values.Reader


@dataclass(slots=True)
class _Tables:
    """All dialects that can speak under one scope, merged by attribute name."""

    fills: dict[str, tuple[_Fill, ...]] = field(default_factory=dict[str, "tuple[_Fill, ...]"])
    kinds: dict[str, tuple[int, str, Mapping[str, Kind | None]]] = field(
        default_factory=dict[str, tuple[int, str, Mapping[str, "Kind | None"]]]
    )
    signs: dict[str, tuple[int, str, Kind]] = field(default_factory=dict[str, tuple[int, str, Kind]])
    prefixes: dict[str, tuple[str, int, str]] = field(default_factory=dict[str, tuple[str, int, str]])
    beginnings: tuple[str, ...] = ()
    own: Dialect | None = None
    """The dialect whose scope it is."""


@lru_cache(maxsize=1)
def dialects() -> tuple[Dialect, ...]:
    """Every dialect of this package, the surest first: each module here that has a ``DIALECT``."""
    package = importlib.import_module(__package__ or "simulate.trace.dialects")
    found: list[Dialect] = []
    for module in pkgutil.iter_modules(package.__path__):
        dialect = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "DIALECT", None)
        if isinstance(dialect, Dialect):
            found.append(dialect)
    return tuple(sorted(found, key=lambda dialect: (dialect.rank, dialect.name)))


@lru_cache(maxsize=1)
def _operations() -> dict[str, tuple[str, Kind]]:
    found: dict[str, tuple[str, Kind]] = {}
    for dialect in dialects():
        for value, kind in dialect.operations.items():
            found.setdefault(value, (dialect.name, kind))
    return found


@lru_cache(maxsize=512)
def _tables(scope: str) -> _Tables:
    tables = _Tables()
    gathered: dict[str, list[_Fill]] = {}
    for dialect in dialects():
        mine = bool(dialect.scopes) and scope.startswith(dialect.scopes)
        if mine and tables.own is None:
            tables.own = dialect
        if dialect.scoped and not mine:
            continue
        for key, table in dialect.kinds.items():
            tables.kinds.setdefault(key, (dialect.rank, dialect.name, table))
        for key, kind in dialect.signs.items():
            tables.signs.setdefault(key, (dialect.rank, dialect.name, kind))
        for prefix, group in dialect.prefixed.items():
            tables.prefixes.setdefault(prefix, (group, dialect.rank, "group"))
        for name, beginnings in dialect.indexed.items():
            for prefix in beginnings:
                tables.prefixes.setdefault(prefix, (name, dialect.rank, "indexed"))
        for name, sources in dialect.fields.items():
            for place, source in enumerate(sources):
                key, fill = _fill(name, source, dialect.rank * 100 + place)
                gathered.setdefault(key, []).append(fill)
    tables.fills = {key: tuple(fills) for key, fills in gathered.items()}
    tables.beginnings = tuple(sorted(tables.prefixes, key=len, reverse=True))
    return tables


def _fill(name: str, source: Source, rank: int) -> tuple[str, _Fill]:
    key, read = source if isinstance(source, tuple) else (source, None)
    root, _, member = name.partition(".")
    if root in _GROUPS:
        return key, _Fill(rank, root, member, read or values.given)
    return key, _Fill(rank, name, None, read or _READERS[name])


@lru_cache(maxsize=8192)
def _by_name(scope: str, name: str) -> tuple[str, Kind, bool] | None:
    """Dialect, kind and whether the name goes before explicit attributes."""
    for dialect in dialects():
        mine = not dialect.scopes or scope.startswith(dialect.scopes)
        for pattern, kind in (*dialect.any_names, *(dialect.names if mine else ())):
            if re.match(pattern, name):
                return dialect.name, kind, dialect.names_first and mine
    return None


@lru_cache(maxsize=4096)
def _marked(key: str) -> Dialect | None:
    """The dialect that alone uses attributes of this name."""
    return next((dialect for dialect in dialects() if dialect.marks and key.startswith(dialect.marks)), None)


def read(span: Span) -> View:
    """The canonical view of one span, seen by itself; the span is left as it is."""
    tables = _tables(span.scope)
    found = View(kind=Kind.UNKNOWN, dialect="unknown")
    speaker = _classify(span, found, tables)
    _fill_fields(span.attributes, found, tables)
    if found.error is None and span.status == "error":
        found.error = span.status_message or _exception(span) or "error"
    if found.kind is Kind.LLM:
        found.input = found.input or messages.incoming(found.input_value)
        found.output = found.output or messages.outgoing(found.output_value)
        if found.tool_definitions is None and isinstance(given := found.input_value, dict):
            found.tool_definitions = values.items(cast("dict[str, Any]", given).get("tools"))
    for dialect in speaker:
        if dialect.refine is not None:
            dialect.refine(span, found)
    _complete(span, found)
    return found


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


def _classify(span: Span, found: View, tables: _Tables) -> list[Dialect]:
    """Set kind and dialect; the dialects that speak in this span, for their last words."""
    explicit: tuple[int, str, Kind] | None = None
    sign: tuple[int, str, Kind] | None = None
    silent: str | None = None
    marks: dict[str, Dialect] = {}
    for key, value in span.attributes.items():
        table = tables.kinds.get(key)
        if table is not None and value is not None:
            kind = table[2].get(str(value).lower())
            if kind is None:
                silent = silent or table[1]
            elif explicit is None or table[0] < explicit[0]:
                explicit = (table[0], table[1], kind)
        told = tables.signs.get(key)
        if told is not None and (sign is None or told[0] < sign[0]):
            sign = told
        mark = _marked(key)
        if mark is not None:
            marks[mark.name] = mark
    marked = min(marks.values(), key=lambda dialect: dialect.rank, default=None)
    named = _by_name(span.scope, span.name)
    operation = _operations().get(str(span.attributes.get("gen_ai.operation.name")))
    if named is not None and named[2]:
        decided: tuple[str, Kind] | None = (named[0], named[1])
    elif explicit is not None:
        decided = (explicit[1], explicit[2])
    else:
        decided = operation or (named and (named[0], named[1])) or (sign and (sign[1], sign[2]))
    if decided is None and silent is not None:
        decided = (silent, Kind.CHAIN)
    own = tables.own if tables.own is not None and tables.own.rank < CARRIERS else marked
    if decided is not None:
        found.kind = decided[1]
        found.dialect = own.name if own is not None else decided[0]
    elif own is not None:
        found.dialect = own.name
    names = {found.dialect, *marks, *(() if own is None else (own.name,))}
    if silent is not None:
        names.add(silent)
    if decided is not None:
        names.add(decided[0])
    return [dialect for dialect in dialects() if dialect.everywhere or dialect.name in names]


def tells_kind(span: Span) -> bool:
    """Whether the span says its kind itself, so that nobody has to guess it from names and other
    attributes."""
    tables = _tables(span.scope)
    named = _by_name(span.scope, span.name)
    explicit = any(
        table[2].get(str(span.attributes[key]).lower()) is not None
        for key, table in tables.kinds.items()
        if key in span.attributes
    )
    return (
        explicit
        or str(span.attributes.get("gen_ai.operation.name")) in _operations()
        or bool(named and named[2])
    )


def _fill_fields(attributes: Mapping[str, Any], found: View, tables: _Tables) -> None:
    ranks: dict[tuple[str, str | None], int] = {}
    groups: dict[str, list[tuple[str, Any]]] = {}
    for key, value in attributes.items():
        fills = tables.fills.get(key)
        if fills is None:
            if key.startswith(tables.beginnings):
                prefix = next(prefix for prefix in tables.beginnings if key.startswith(prefix))
                groups.setdefault(prefix, []).append((key[len(prefix) :], value))
            continue
        for fill in fills:
            place = (fill.name, fill.member)
            if place in ranks and ranks[place] < fill.rank:
                continue
            content = fill.read(value)
            if content is not None:
                ranks[place] = fill.rank
                _put(found, fill.name, fill.member, content)
    for prefix, pairs in groups.items():
        name, rank, how = tables.prefixes[prefix]
        if how == "group":
            for member, value in pairs:
                getattr(found, name).setdefault(member, values.given(value))
        elif ranks.get((name, None), 1_000_000) > rank * 100 or _hollow(getattr(found, name)):
            content = _READERS[name](values.nested(pairs))
            if content is not None:
                ranks[(name, None)] = rank * 100
                setattr(found, name, content)


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


FIELDS = frozenset(item.name for item in fields(View))
"""Names that a dialect's table may fill."""
