"""Redaction before storage: secrets and personal data become typed placeholders, everything else stays.

``<email:3f2a>`` stands for one address: the same value has the same placeholder inside of a run, so that a
redacted trace still shows who is who. Placeholders are keyed (BLAKE2 with a key that is random unless given),
so that nobody can find the value by trying. Ids, numbers, prices and times stay; JSON inside of texts stays
JSON.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import secrets
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, cast

import orjson

from simulate.model.secret_names import governing_name, is_secret, is_secret_name, is_secret_throughout
from simulate.model.shapes import is_list
from simulate.trace.redaction.declared import place_of, rule_of
from simulate.trace.redaction.edits import Edit, edited
from simulate.trace.redaction.findings import Finder, Finding, apart, outside_of
from simulate.trace.redaction.pairs import VALUES, is_list_pair, pair_name, without_pairs
from simulate.trace.redaction.pseudonyms import normal
from simulate.trace.redaction.rules import rules_of
from simulate.trace.redaction.searched import MOST, SearchedText
from simulate.trace.redaction.seen_text import SeenText
from simulate.trace.redaction.texts import LITERAL, literals, texts_of_spans, together
from simulate.trace.span import Attributes, Event, Link, Span, Trace

DEPTH = 8
"""How deep JSON inside of JSON texts is followed."""


class Redactor:
    """Replaces what `redact_rules` knows, the ``patterns`` (kind → regular expression) and whatever stands at
    ``paths``.

    A path names a place by its keys, ``*`` for any one key or index and ``**`` for any number of them, also
    inside of JSON texts: ``attributes.user.id``, ``**.customer.name``, ``$.orders[*].address``. What stands
    there becomes ``<redacted:…>`` even where it is a number. ``finders`` find more, such as `names.finder`;
    ``kinds`` are those of `redact_rules` to look for, all unless given.
    """

    def __init__(
        self,
        key: bytes | str | None = None,
        patterns: Mapping[str, str] | None = None,
        paths: Iterable[str] = (),
        finders: Iterable[Finder] = (),
        kinds: Iterable[str] | None = None,
    ) -> None:
        given = secrets.token_bytes(32) if key is None else key.encode() if isinstance(key, str) else key
        # BLAKE2 takes keys of up to 64 bytes
        self._key = given if len(given) <= 64 else hashlib.blake2b(given).digest()
        self._custom = tuple(rule_of(kind, text) for kind, text in (patterns or {}).items())
        known, of_short_words = rules_of(None if kinds is None else frozenset(kinds))
        self._rules = (*self._custom, *known)
        self._rules_of_short_words = (*self._custom, *of_short_words)
        self._paths = [place_of(path) for path in paths]
        self._finders = tuple(finders)
        self._given: dict[str, str] = {}
        # names of attributes and models come again with every span
        self._nothing: set[str] = set()
        self._clean: set[str] = set()
        """Texts of any length that hold nothing, while `spans` goes through them."""
        self.counts: dict[str, int] = {}
        """How many replacements of each kind there were."""

    # -- texts -------------------------------------------------------------------------------------------

    def find(self, text: str) -> list[Finding]:
        """What is to be redacted in a plain text; never overlapping, in order."""
        if text in self._nothing:
            return []
        if not text.isascii() and (shown := SeenText(text)).differs:
            return [Finding(each.kind, *shown.place(each.start, each.end)) for each in self._find(shown.text)]
        return self._find(text)

    def _find(self, text: str) -> list[Finding]:
        searched = SearchedText(text)
        rules = self._rules if searched.long_words else self._rules_of_short_words
        found = [finding for rule in rules for finding in rule.find(searched)]
        for finder in self._finders:
            found += finder(text)
        if found and "<" in text:
            found = outside_of(found, [match.span() for match in _PLACEHOLDER.finditer(text)])
        if not found and len(text) <= _SHORT and len(self._nothing) < _REMEMBERED:
            self._nothing.add(text)
        return apart(found)

    def clean(self, texts: Iterable[str]) -> bool:
        """Whether there is nothing to redact in any of these plain texts, which are looked at together."""
        found = list(texts)
        long = [text for text in found if len(text) > MOST]
        together = "\n".join(text for text in found if len(text) <= MOST)
        return not self.find(together) and not any(self.find(text) for text in long)

    def text(self, text: str, depth: int = 0) -> str:
        """The text with everything found replaced; JSON inside of it, which is ``depth`` deep in other JSON,
        is gone through and stays JSON."""
        return self._text(text, "", depth)

    def name(self, text: str) -> str:
        """A name or a key, which is never JSON itself."""
        return self._text(text, "", DEPTH)

    def _text(self, text: str, place: str, depth: int) -> str:
        if text in self._clean:
            return text
        if depth < DEPTH and text[:1] in ("{", "[", '"') and _is_json(text):
            return self._json(text, place, depth)
        return edited(text, self._edits(text))

    def edits(self, text: str) -> list[Edit]:
        """What `text` replaces, in order."""
        if text[:1] not in ("{", "[", '"') or not _is_json(text):
            return self._edits(text)
        literals = _Literals(self, 0)
        return [
            Edit(*match.span(), new)
            for match in _TOKEN.finditer(text)
            if (new := literals(match)) != match[0]
        ]

    def _edits(self, text: str) -> list[Edit]:
        return [
            Edit(each.start, each.end, self.placeholder(each.kind, text[each.start : each.end]))
            for each in self.find(text)
        ]

    def _json(self, text: str, place: str, depth: int) -> str:
        """Literal by literal in the text itself, so that numbers, order and white space stay as they are."""
        if self._paths:
            value = json.loads(text)
            changed = self._at_paths(value, place)
            if changed is not value:
                text = json.dumps(changed, ensure_ascii=False)
        if self._is_clean(text):
            return text
        return _TOKEN.sub(_Literals(self, depth), without_pairs(text, self.under))

    def _is_clean(self, text: str) -> bool:
        """Whether no literal of a JSON text holds anything: all are looked at together, which is fast, and
        most texts are clean."""
        found = literals(text)
        while words := list(itertools.islice(found, TOGETHER)):
            if None in words or self.find("\n".join(cast("list[str]", words))):
                return False
        return True

    def clean_ones(self, texts: Iterable[str]) -> set[str]:
        """Those of the texts that hold nothing for sure. They are looked at together, each word of them once;
        a text that is left out may be clean all the same."""
        parts: dict[str, list[str]] = {}
        for text in texts:
            if len(text) > MOST:
                continue
            words = list(literals(text)) if text[:1] in ("{", "[", '"') and _is_json(text) else [text]
            if None not in words:
                parts[text] = cast("list[str]", words)
        pool = list(dict.fromkeys(itertools.chain.from_iterable(parts.values())))
        dirty = set[str]()
        for some in together(pool, MOST):
            ends = list(itertools.accumulate(len(part) + 1 for part in some))
            for each in self.find("\n".join(some)):
                dirty.update(some[bisect_right(ends, each.start) : bisect_right(ends, each.end - 1) + 1])
        for rule in self._custom:  # it may look for the end of a text
            dirty.update(part for part in pool if rule.find(SearchedText(part)))
        return {text for text, words in parts.items() if dirty.isdisjoint(words)} if dirty else set(parts)

    def placeholder(self, kind: str, value: str) -> str:
        """``<kind:3f2a>``; more digits where two values of a run would share them."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        data = f"{kind}\0{normal(kind, value)}".encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(data, key=self._key, digest_size=16).hexdigest()
        for length in (4, 6, 8, 12, 32):
            made = f"<{kind}:{digest[:length]}>"
            if self._given.setdefault(made, digest) == digest:
                return made
        return f"<{kind}:{digest}>"

    # -- values ------------------------------------------------------------------------------------------

    def value(self, value: Any) -> Any:
        """Any JSON-like value, with all of its texts and keys redacted; the given one is not changed."""
        return self._value(self._at_paths(value, "") if self._paths else value, "")

    def _value(self, value: Any, place: str) -> Any:
        if isinstance(value, str):
            return self._text(value, place, 0)
        if isinstance(value, dict):
            return self._object(cast("dict[Any, Any]", value), place)
        if isinstance(value, list | tuple):
            pair = cast("list[Any]", value)
            if is_list_pair(pair):
                return [pair[0], self.under(pair[0], pair[1])]
            return [self._value(item, f"{place}.{at}") for at, item in enumerate(cast("list[Any]", value))]
        if isinstance(value, bytes):
            return self._bytes(value)
        return value

    def _object(self, value: dict[Any, Any], place: str) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        pair, clean = pair_name(value), self._clean
        for key, item in value.items():
            plain = type(item) is str and item in clean and key in clean and key not in made
            if plain and not pair and not is_secret_name(key):
                made[key] = item
                continue
            name = self.name(key) if isinstance(key, str) else key
            while name in made:  # two keys that are redacted to the same
                name = f"{name}'"
            secret = pair if key in VALUES else key
            if isinstance(secret, str) and is_secret_name(secret):
                made[name] = self.under(secret, item)
            else:
                made[name] = self._value(item, f"{place}.{key}")
        return made

    def under(self, name: str, value: Any) -> Any:
        """A value that stands under the name of a secret, with all that `is_secret` there replaced."""
        if is_secret(name, value):
            text = str(value)
            return text if _is_placeholder(text) else self.placeholder("secret", text)
        if isinstance(value, list | tuple):
            return [self.under(name, item) for item in cast("list[Any]", value)]
        if isinstance(value, dict) and is_secret_throughout(name):
            items = cast("dict[Any, Any]", value).items()
            return {
                self._value(key, ""): self.under(governing_name(str(key), name), each) for key, each in items
            }
        return self._value(value, "")

    def _bytes(self, value: bytes) -> bytes:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return value
        return self._text(text, "", 0).encode()

    def _at_paths(self, value: Any, place: str) -> Any:
        """The value with what stands at ``paths`` replaced; the very same object where nothing does."""
        if place and any(path.fullmatch(place) for path in self._paths):
            if value is None or (isinstance(value, str) and _is_placeholder(value)):
                return value
            return self.placeholder(
                "redacted", value if isinstance(value, str) else json.dumps(value, default=str)
            )
        if isinstance(value, dict):
            items = cast("dict[Any, Any]", value)
            changed = {key: self._at_paths(item, f"{place}.{key}") for key, item in items.items()}
            return changed if any(changed[key] is not items[key] for key in items) else items
        if is_list(value):
            parts = value
            made = [self._at_paths(item, f"{place}.{at}") for at, item in enumerate(parts)]
            return made if any(new is not old for new, old in zip(made, parts, strict=True)) else parts
        if isinstance(value, str) and value[:1] in ("{", "[") and _is_json(value):
            inner = json.loads(value)
            changed = self._at_paths(inner, place)
            return value if changed is inner else json.dumps(changed, ensure_ascii=False)
        return value

    # -- spans -------------------------------------------------------------------------------------------

    def span(self, span: Span) -> Span:
        """A copy with everything redacted but ids, times and enums."""
        made = Span(*_fields(span))
        made.events, made.links = events, links = list[Event](), list[Link]()
        made.name = self.name(span.name)
        made.attributes = self._attributes(span.attributes, ".attributes")
        for one in span.events:
            clean = self._attributes(one.attributes, ".events.attributes")
            events.append(Event(self.text(one.name), one.time_ns, clean))
        for link in span.links:
            clean = self._attributes(link.attributes, ".links.attributes")
            links.append(Link(link.trace_id, link.span_id, clean))
        made.status_message = None if span.status_message is None else self.text(span.status_message)
        made.resource = self._attributes(span.resource, ".resource")
        made.scope_attributes = self._attributes(span.scope_attributes, ".scope_attributes")
        made.trace_state = None if span.trace_state is None else self.text(span.trace_state)
        return made

    def spans(self, spans: Collection[Span]) -> list[Span]:
        """Copies of them as `span` makes them, and several times as fast: texts that occur again are looked
        at once."""
        if not self._finders:  # what they find depends on where a text ends
            self._clean = self.clean_ones(texts_of_spans(spans))
        try:
            return [self.span(span) for span in spans]
        finally:
            self._clean = set()

    def trace(self, trace: Trace) -> Trace:
        """A copy of the trace with every span and note redacted."""
        return replace(
            trace,
            spans=self.spans(trace.spans),
            notes=[self.text(note) for note in trace.notes],
        )

    def _attributes(self, attributes: Attributes, place: str) -> Attributes:
        if not attributes:
            return {}
        if self._paths:  # each for itself: a path that means all of them leaves their names
            attributes = {key: self._at_paths(item, f"{place}.{key}") for key, item in attributes.items()}
        return self._object(attributes, place)


_fields: Callable[[Span], tuple[Any, ...]] = attrgetter(*(one.name for one in fields(Span)))
"""The fields of a span: `dataclasses.replace` takes five times as long."""


class _Literals:
    """Goes through the tokens of a valid JSON text and replaces its literals one by one."""

    def __init__(self, redactor: Redactor, depth: int) -> None:
        self._redactor = redactor
        self._depth = depth
        self._name = ""
        self._around: list[str] = [""]
        """The name of the secret that each open object or array stands under, the innermost last."""

    def __call__(self, match: re.Match[str]) -> str:
        raw = match[0]
        if match["opens"]:
            name = governing_name(self._name, self._around[-1])
            self._around.append(name if raw == "[" or is_secret_throughout(name) else "")
            self._name = ""
        elif match["closes"]:
            self._around.pop()
            self._name = ""
        elif match["colon"]:
            self._name = json.loads(match["text"])
            done = self._redactor.name(self._name)
            return raw if done == self._name else json.dumps(done, ensure_ascii=False) + match["colon"]
        else:
            return self._literal(raw)
        return raw

    def _literal(self, raw: str) -> str:
        value = json.loads(raw)
        name = governing_name(self._name, self._around[-1])
        if name and is_secret(name, value):
            done = self._redactor.under(name, value)
        elif isinstance(value, str):
            done = self._redactor.text(value, self._depth + 1)
        else:
            return raw
        return raw if done == value else json.dumps(done, ensure_ascii=False)


# -- small things ----------------------------------------------------------------------------------------

_TOKEN = re.compile(
    LITERAL.pattern + r"|(?P<number>-?\d[\d.eE+-]*)|(?P<opens>[{\[])|(?P<closes>[}\]])", re.DOTALL
)
_SHORT, _REMEMBERED = 200, 20_000
"""How long the texts may be that are remembered to hold nothing, and how many of them are."""
TOGETHER = 10_000
"""How many literals are looked at together: more are no faster, and take more memory."""
_PLACEHOLDER = re.compile(r"<[a-z_][a-z0-9_-]*:[0-9a-f]{4,32}>")


def _is_placeholder(text: str) -> bool:
    return _PLACEHOLDER.fullmatch(text) is not None


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
