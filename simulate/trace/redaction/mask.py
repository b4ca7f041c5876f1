"""Secrets kept out of what this package shows and writes: pages, terminals, diffs, JSON, reports.

What looks like a key, a password or a token, or stands under such a name, is replaced. Personal data stays:
``simulate trace redact`` is for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any, cast

from simulate.model.secret_names import is_secret_name
from simulate.model.shapes import is_list
from simulate.model.transcript import ToolUse, Utterance
from simulate.trace.redaction.pairs import is_list_pair, pair_name
from simulate.trace.redaction.redact import Redactor
from simulate.trace.span import Event, Link, Span, Trace

_TEXTS: dict[type, tuple[str, ...]] = {
    Span: ("name", "attributes", "events", "links", "status_message", "scope_attributes", "trace_state"),
    Event: ("name", "attributes"),
    Link: ("attributes",),
    Utterance: ("text", "heard"),
    ToolUse: ("name", "arguments", "asked_arguments", "result", "error", "call_id"),
}
"""Where others' texts stand in what there is most of; elsewhere in any field."""
_NO_TEXT = (int, float, type(None))


class SecretMask:
    """Replaces each secret by ``<secret:3f2a>``, the same one by the same placeholder for as long as the mask
    lives. What holds none, which is nearly everything, is handed back as it is."""

    def __init__(self, key: str | None = None) -> None:
        """With a ``key``, every mask that has it makes the same placeholders."""
        self._redactor = Redactor(key, kinds=("secret",))

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._redactor.text(text)

    def trace(self, trace: Trace) -> Trace:
        """The trace, or a copy of it in which the spans and notes that held secrets are replaced."""
        if self.is_clean([trace.spans, trace.notes, _resources(trace.spans)]):
            return trace
        return self._redactor.trace(trace)

    def spans(self, spans: list[Span]) -> list[Span]:
        """The spans, or copies of them without secrets."""
        clean = self.is_clean([spans, _resources(spans)])
        return spans if clean else [self._redactor.span(span) for span in spans]

    def value(self, value: Any) -> Any:
        """A JSON-like value without secrets. In dataclasses that are not frozen, the fields are replaced in
        place; everything else is made anew."""
        return value if self.is_clean(value) else self._replaced(value)

    def is_clean(self, value: Any) -> bool:
        """Whether there is nothing to replace: all texts are looked at together, and each of them once."""
        texts: set[str] = set()
        if not _gather(value, texts):
            return False
        doubtful = texts - self._redactor.clean_ones(texts)
        return all(self._redactor.text(text) == text for text in doubtful)

    def _replaced(self, value: Any) -> Any:
        if is_dataclass(value):
            changed = {name: self._replaced(getattr(value, name)) for name in _fields(type(value))}
            if value.__dataclass_params__.frozen:  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
                return replace(cast("Any", value), **changed)
            for name, part in changed.items():
                setattr(value, name, part)
            return value
        if is_list(value):
            return [self._replaced(each) for each in value]
        return self._redactor.value(value)


def _resources(spans: list[Span]) -> list[Any]:
    """What many spans share: looked at once."""
    return list({id(span.resource): span.resource for span in spans}.values())


def _gather(value: Any, texts: set[str]) -> bool:
    """Put all texts in there into ``texts``; False where something stands under the name of a secret."""
    parts = _parts_of(cast("type[Any]", type(value)))(value)
    if parts is None:
        return False
    for each in parts:
        if not each:
            continue  # most of what a span may hold, it does not
        if isinstance(each, str):
            texts.add(each)
        elif isinstance(each, bytes):
            texts.add(each.decode("utf-8", "replace"))
        elif not isinstance(each, _NO_TEXT) and not _gather(each, texts):
            return False
    return True


@lru_cache
def _parts_of(kind: type[Any]) -> Callable[[Any], Iterable[Any] | None]:
    """What gives the parts of a value; None where something stands under the name of a secret."""
    if issubclass(kind, Mapping):
        return _values
    if issubclass(kind, list | tuple):
        return lambda value: None if is_list_pair(value) else value
    if issubclass(kind, str | bytes):
        return lambda value: (value,)
    names = _fields(kind)
    if len(names) > 1:
        return attrgetter(*names)  # a tuple for two names and more
    return lambda value: [getattr(value, name) for name in names]


def _values(held: Mapping[Any, Any]) -> Iterable[Any] | None:
    secret = _secret_names(tuple(held)) if len(held) < _MANY else _among(held)
    if (secret and any(held[name] is not None for name in secret)) or pair_name(held):
        return None
    return held.values()


_MANY = 100
"""Names from which on those of secrets among them are not kept."""


def _among(names: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(name for name in names if is_secret_name(str(name)))


_secret_names = lru_cache(4096)(_among)
"""Spans of one kind have the same names again and again."""


@lru_cache
def _fields(kind: type) -> tuple[str, ...]:
    if kind in _TEXTS:
        return _TEXTS[kind]
    return tuple(each.name for each in fields(kind)) if is_dataclass(kind) else ()
