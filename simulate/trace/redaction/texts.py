"""The texts that redaction looks at: those that spans consist of, and those inside of a JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from simulate.model.secret_names import is_secret_name
from simulate.trace.span import Span

# possessive: what re remembers to go back to would take a hundred times the text
LITERAL = re.compile(r'(?P<text>"(?:[^"\\]++|\\.)*+")(?P<colon>\s*:)?', re.DOTALL)


_NAME = 40
"""Characters of a text that may be the name in a pair."""


def literals(text: str) -> Iterator[str | None]:
    """The names and texts of a JSON text; None for one that needs a closer look, which ends it."""
    for match in LITERAL.finditer(text):  # no findall(): a million literals at once are 100 MB
        raw, colon = match.groups()
        word: str = json.loads(raw) if "\\" in raw else raw[1:-1]
        if word[:1] in ("{", "[") or ((colon or len(word) <= _NAME) and is_secret_name(word)):
            yield None
            return
        yield word


def texts_of_spans(spans: Iterable[Span]) -> set[str]:
    """Every text that spans consist of, each once."""
    found: set[str | None] = set()
    seen: set[int] = set()  # spans of one process share what is told of it
    for span in spans:
        found.update((span.name, span.status_message, span.trace_state))
        _gather(span.attributes, found)
        for shared in (span.resource, span.scope_attributes):
            if id(shared) not in seen:
                seen.add(id(shared))
                _gather(shared, found)
        for event in span.events:
            found.add(event.name)
            _gather(event.attributes, found)
        for each in span.links:
            _gather(each.attributes, found)
    found.discard(None)
    return cast("set[str]", found)


def _gather(value: Any, found: set[Any]) -> None:
    if isinstance(value, str):
        found.add(value)
    elif isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        found.update(items)
        for item in items.values():
            if type(item) is str:  # nearly all are
                found.add(item)
            else:
                _gather(item, found)
    elif isinstance(value, list | tuple):
        for item in cast("list[Any]", value):
            _gather(item, found)


def together(texts: list[str], most: int) -> Iterator[list[str]]:
    """The texts in parts that are looked at together, each of up to ``most`` characters."""
    some, size = list[str](), 0
    for text in texts:
        size += len(text) + 1
        if size > most and some:
            yield some
            some, size = [], len(text) + 1
        some.append(text)
    if some:
        yield some
