"""What a dialect is: a table of attribute names; and the list of all dialects.

Keys of the table are fields of ``View``; `reading` merges the tables of all dialects and reads spans by them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

from simulate.trace.reading import messages, values
from simulate.trace.reading.hidden import hidden
from simulate.trace.reading.parts import arguments_of
from simulate.trace.span import Kind, Span, Trace, View

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
    tells: bool = True
    """Whether its marks name the dialect of a span; names that everybody may add to their spans do not."""
    refine: Callable[[Span, View], None] | None = None
    """What no table can say; runs last, for spans in which this dialect speaks."""
    everywhere: bool = False
    """Whether ``refine`` also runs for spans of other dialects that have events."""
    context: Callable[[Trace, dict[str, View]], None] | None = None
    """Completes views from their neighbours in the trace (``views`` calls it, ``view`` cannot)."""


CARRIERS = 80
"""From this rank on a scope says only who carried the span; another dialect that speaks in it names it."""
GROUPS = {"voice", "gateway", "tags", "parameters"}
READERS: dict[str, values.Reader] = {
    **dict.fromkeys(
        (
            "request_model", "response_model", "response_id", "agent_name", "tool_name",
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
            "input_audio_tokens", "output_audio_tokens", "total_tokens", "step",
        ),
        values.integer,
    ),
    **dict.fromkeys(("cost", "time_to_first_token"), values.number),
    **dict.fromkeys(("input_value", "output_value"), values.as_is),
    "provider": values.provider,
    "tool_result": values.loose,
    "tool_arguments": arguments_of,
    "input": messages.incoming,
    "output": messages.outgoing,
    "instructions": lambda value: _joined(messages.messages(value, "system")),
    "finish_reasons": values.texts,
    "tool_definitions": values.items,
    "documents": values.documents,
}  # fmt: skip


def _joined(found: list[Any] | None) -> str | None:
    said = "\n".join(message.text for message in found or ())
    return None if found is None or hidden(said) else said


@lru_cache(maxsize=1)
def dialects() -> tuple[Dialect, ...]:
    """Every dialect, the surest first: each module of `simulate.trace.vendors` that has a ``DIALECT``."""
    package = importlib.import_module("simulate.trace.vendors")
    found: list[Dialect] = []
    for module in pkgutil.iter_modules(package.__path__):
        dialect = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "DIALECT", None)
        if isinstance(dialect, Dialect):
            found.append(dialect)
    return tuple(sorted(found, key=lambda dialect: (dialect.rank, dialect.name)))


FIELDS = frozenset(item.name for item in fields(View))
"""Names that a dialect's table may fill."""
