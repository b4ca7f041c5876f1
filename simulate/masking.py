"""Secrets that an agent let slip, in an error or in a span, go no further than this process.

An outcome goes into files, reports and terminals. What looks like a key, a password or a token, or stands
under such a name, is replaced once all checks have seen it. Personal data stays: the person on the telephone
is made up. A recorded conversation is redacted where it is turned into a scenario or a cassette.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, cast

from simulate.model.outcome import Outcome
from simulate.trace.redact import Redactor
from simulate.trace.redact_rules import SENSITIVE_KEY
from simulate.trace.span import Span, Trace

PARTS = ("conversation", "verdicts", "tool_uses", "notes", "reason")
"""What of an outcome others than us have written."""


def hide_secrets(outcome: Outcome) -> None:
    """Replace each secret in an outcome by ``<secret:3f2a>``, the same one by the same placeholder."""
    redact = Redactor(kinds=("secret",))
    for name in PARTS:
        part = getattr(outcome, name)
        if not _clean([part], redact):
            setattr(outcome, name, _without(part, redact))
    trace: Trace | None = outcome.trace
    if trace is not None and not _clean(trace.spans, redact):
        outcome.trace = redact.trace(trace)
    own: list[Span] = outcome.own_spans
    if not _clean(own, redact):
        outcome.own_spans = [redact.span(span) for span in own]


def _clean(parts: Iterable[Any], redact: Redactor) -> bool:
    """Whether there is nothing to replace: nearly always, so that all texts are looked at together."""
    texts: list[str] = []
    for text in _texts(parts):
        if text is None:
            return False
        if text[:1] in ("{", "[", '"'):
            if redact.text(text) != text:
                return False
        else:
            texts.append(text)
    return not redact.find("\n".join(texts))


def _texts(parts: Iterable[Any]) -> Iterator[str | None]:
    """All texts in there; None where one stands under the name of a secret."""
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            for key, value in cast("Mapping[Any, Any]", part).items():
                if isinstance(value, str):
                    yield None if _names_secret(str(key)) else value
                elif not isinstance(value, int | float):
                    yield from (None,) if _names_secret(str(key)) else _texts((value,))
        elif isinstance(part, list | tuple):
            yield from _texts(cast("list[Any]", part))
        elif is_dataclass(part):
            yield from _texts(getattr(part, name) for name in _names(type(part)))


@lru_cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


@lru_cache(4096)
def _names_secret(key: str) -> bool:
    return SENSITIVE_KEY.search(key) is not None


def _without(part: Any, redact: Redactor) -> Any:
    """The same objects of ours, with their texts replaced; lists and dicts are made anew."""
    if is_dataclass(part):
        for name in _names(type(part)):
            setattr(part, name, _without(getattr(part, name), redact))
        return part
    if isinstance(part, list):
        return [_without(each, redact) for each in cast("list[Any]", part)]
    return redact.value(part)
