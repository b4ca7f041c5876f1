"""Secrets that an agent let slip, in an error or in a span, go no further than this process.

An outcome goes into files, reports and terminals. What looks like a key, a password or a token, or stands
under such a name, is replaced once all checks have seen it. Personal data stays: the person on the telephone
is made up. A recorded conversation is redacted where it is turned into a scenario or a cassette.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, cast

from simulate.model.outcome import Outcome
from simulate.model.transcript import ToolUse, Utterance
from simulate.trace.redaction.redact import Redactor
from simulate.trace.redaction.rules import SENSITIVE_KEY
from simulate.trace.span import Span, Trace

PARTS = ("conversation", "verdicts", "tool_uses", "notes", "reason")
"""What of an outcome others than us have written."""
TEXTS: dict[type, tuple[str, ...]] = {
    Span: ("name", "attributes", "events", "links", "status_message", "scope_attributes", "trace_state"),
    Utterance: ("text", "heard"),
    ToolUse: ("name", "arguments", "asked_arguments", "result", "error", "call_id"),
}
"""Where the texts of others stand in what a conversation has most of; elsewhere in any field."""
PLAIN = (int, float, type(None))
"""Values that hold no text."""


def hide_secrets(outcome: Outcome) -> None:
    """Replace each secret in an outcome by ``<secret:3f2a>``, the same one by the same placeholder."""
    redact = Redactor(kinds=("secret",))
    trace: Trace | None = outcome.trace
    own: list[Span] = outcome.own_spans
    spans = [] if trace is None else [trace.spans, _resources(trace.spans)]
    if _clean([*(getattr(outcome, name) for name in PARTS), spans, own, _resources(own)], redact):
        return
    for name in PARTS:
        part = getattr(outcome, name)
        if not _clean(part, redact):
            setattr(outcome, name, _without(part, redact))
    if trace is not None and not _clean(spans, redact):
        outcome.trace = redact.trace(trace)
    if not _clean([own, _resources(own)], redact):
        outcome.own_spans = [redact.span(span) for span in own]


def _resources(spans: list[Span]) -> list[Any]:
    """What many spans share: looked at once."""
    return list({id(span.resource): span.resource for span in spans}.values())


def _clean(part: Any, redact: Redactor) -> bool:
    """Whether there is nothing to replace: nearly always, so that all texts are looked at together, and one
    that stands there many times once."""
    texts: set[str] = set()
    if not _gather(part, texts):
        return False
    nested = {text for text in texts if text[:1] in ("{", "[", '"')}
    if any(redact.text(text) != text for text in nested):
        return False
    return redact.clean(texts - nested)


def _gather(part: Any, texts: set[str]) -> bool:
    """Put all texts in there into ``texts``; False where one stands under the name of a secret."""
    if isinstance(part, str):
        texts.add(part)
        return True
    if isinstance(part, bytes):
        texts.add(part.decode("utf-8", "replace"))
        return True
    if isinstance(part, Mapping):
        for key, value in cast("Mapping[Any, Any]", part).items():
            if isinstance(value, PLAIN):
                continue
            if _names_secret(str(key)) or not _gather(value, texts):
                return False
        return True
    if isinstance(part, list | tuple):
        return all(_gather(each, texts) for each in cast("list[Any]", part) if each)
    names = _names(cast("type[Any]", type(part)))
    return all(_gather(value, texts) for name in names if (value := getattr(part, name)))


@lru_cache
def _names(kind: type) -> tuple[str, ...]:
    if kind in TEXTS:
        return TEXTS[kind]
    return tuple(each.name for each in fields(kind)) if is_dataclass(kind) else ()


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
