"""Which spans: a filter as data, the same in ``span:`` checks, in ``--filter`` and from Python.

::

    kind: TOOL                       or a list of kinds
    name: refund                     or {matches: "refund|order"}, {contains: order}, any matcher
    attribute: {gen_ai.tool.name: issue_refund, request_model: {contains: gpt}, output_tokens: {above: 9000}}
    duration: {above: 1s, below: 5s}
    error: true
    under: {kind: AGENT}             some span above it is so
    has_child: {kind: LLM}           a direct child is so
    has_descendant: {error: true}    some span below it is so
    near: {kind: LLM}                its parent is so, or some span below that parent
    and: […]   or: […]   not: {…}

All words of one filter must hold. ``attribute`` finds raw attributes, then resource attributes, then
fields of the canonical view by their names, and ``score.NAME`` a score; ``{above: …}`` and ``{below: …}``
compare numbers, and hold for nothing that is no number. On the command line the same is written
``kind=TOOL name~refund duration>1s error``; see `filter_terms.parse_short`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, cast

import orjson

from simulate.errors import InputError
from simulate.model import matchers
from simulate.model.nearest import nearest
from simulate.model.shapes import is_list, is_object, object_of
from simulate.model.units import seconds
from simulate.trace.filter_terms import is_bound, parse_short
from simulate.trace.reading import TraceReading
from simulate.trace.span import Kind, Span, Trace, View
from simulate.trace.tree import Node, Tree, build

Test = Callable[["Seen"], bool]

WORDS = (
    "kind", "name", "attribute", "duration", "error", "has_child", "has_descendant", "near", "under",
    "and", "or", "not",
)  # fmt: skip
VIEW_FIELDS = frozenset(each.name for each in fields(View))


@dataclass(slots=True)
class Search:
    """One search through a tree; what several words of a filter ask for is computed once."""

    tree: Tree
    reading: TraceReading | None = None
    above: dict[int, dict[int, bool]] = field(default_factory=dict[int, dict[int, bool]])
    inside: dict[int, dict[int, bool]] = field(default_factory=dict[int, dict[int, bool]])

    def view(self, span: Span) -> View:
        """The canonical view of a span, completed from its neighbours."""
        if self.reading is None:
            self.reading = TraceReading(Trace(self.tree.trace_id, [node.span for node in self.tree]))
        return self.reading.view(span)


@dataclass(frozen=True, slots=True)
class Seen:
    """A span with its place in the tree that is searched."""

    search: Search
    node: Node

    @property
    def span(self) -> Span:
        """The raw span."""
        return self.node.span

    @property
    def view(self) -> View:
        """The canonical view."""
        return self.search.view(self.node.span)

    def at(self, node: Node) -> Seen:
        """The same search at another node."""
        return Seen(self.search, node)


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter; ``data`` is what it was made of."""

    data: dict[str, Any]
    test: Test

    def find(self, within: Trace | Tree | TraceReading | Iterable[Span]) -> list[Span]:
        """The spans it holds for, in the order of the tree."""
        reading = within if isinstance(within, TraceReading) else None
        whole = within.trace if isinstance(within, TraceReading) else within
        tree = whole if isinstance(whole, Tree) else build(whole)
        search = Search(tree, reading)
        return [node.span for node in tree if self.test(Seen(search, node))]

    def holds_somewhere(self, reading: TraceReading) -> bool:
        """Whether it holds for any span of a trace."""
        if _asks_for_others(self.data):
            return bool(self.find(reading))
        search = Search(build([]), reading)  # no place in the tree is asked for
        return any(self.test(Seen(search, Node(span))) for span in reading.spans)


def _asks_for_others(data: Any) -> bool:
    """Whether a filter asks for spans beside the one that it is tried on."""
    if is_object(data):
        return not _OTHERS.isdisjoint(data) or any(map(_asks_for_others, data.values()))
    return is_list(data) and any(map(_asks_for_others, data))


_OTHERS = frozenset({"under", "near", "has_child", "has_descendant"})


def parse(data: Any) -> Filter:
    """A filter from data. Raises InputError that names the unknown word and the nearest known one."""
    if isinstance(data, str):
        data = parse_short(data)
    return Filter(data, _all(data, "filter"))


def _all(data: Any, where: str) -> Test:
    if not isinstance(data, dict):
        raise InputError(f"a filter is an object such as {{kind: TOOL}}, not {data!r}", where=where)
    if not data:
        raise InputError("an empty filter would hold for every span", where=where)
    tests: list[Test] = []
    for word, value in cast("dict[Any, Any]", data).items():
        make = _WORDS.get(word)
        if make is None:
            guess = nearest(str(word), WORDS)
            hint = f"did you mean {guess}?" if guess else f"known words: {', '.join(WORDS)}"
            raise InputError(f"{word!r} is not a word of a filter", where=where, hint=hint)
        tests.append(make(value, f"{where}.{word}"))
    return tests[0] if len(tests) == 1 else lambda seen: all(test(seen) for test in tests)


def _kind(value: Any, where: str) -> Test:
    wanted = set[Kind]()
    for name in value if is_list(value) else [value]:
        try:
            wanted.add(Kind(str(name).upper()))
        except ValueError:
            guess = nearest(str(name).upper(), [kind.value for kind in Kind])
            hint = f"did you mean {guess}?" if guess else f"kinds: {', '.join(Kind)}"
            raise InputError(f"{name!r} is not a kind of span", where=where, hint=hint) from None
    return lambda seen: seen.view.kind in wanted


def _name(value: Any, where: str) -> Test:
    _check(value, where)
    return lambda seen: matchers.matches(value, seen.span.name)


def _attribute(value: Any, where: str) -> Test:
    if not is_object(value) or not value:
        raise InputError("takes an object of attribute names and values", where=where)
    wanted = value
    bounds = {key: _bounds(one, f"{where}.{key}", _number) for key, one in wanted.items() if is_bound(one)}
    others = {key: one for key, one in wanted.items() if key not in bounds}
    _check(list(others.values()), where)
    return lambda seen: (
        all(_has(seen, key, matcher) for key, matcher in others.items())
        and all(_between(_number_at(seen, key), *bound) for key, bound in bounds.items())
    )


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a number")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a number") from None


def _number_at(seen: Seen, key: str) -> float | None:
    """What the span has there, where that is a number."""
    value = seen.span.attributes.get(key, seen.span.resource.get(key))
    try:
        return _number(_of_view(seen, key) if value is None else value)
    except ValueError:
        return None


def _between(value: float | None, above: float, below: float) -> bool:
    return value is not None and above < value < below


def _has(seen: Seen, key: str, matcher: Any) -> bool:
    if key in seen.span.attributes:
        return _matches(matcher, seen.span.attributes[key])
    if key in seen.span.resource:
        return matchers.matches(matcher, seen.span.resource[key])
    found = _of_view(seen, key)
    return found is not None and matchers.matches(matcher, found)


def _matches(matcher: Any, value: Any) -> bool:
    if matchers.matches(matcher, value):
        return True
    # objects are JSON texts in most attributes; who expects an object means what the text says
    if isinstance(value, str) and value[:1] in ("{", "[") and isinstance(matcher, dict | list):
        try:
            return matchers.matches(matcher, orjson.loads(value))
        except orjson.JSONDecodeError:
            return False
    return False


def _of_view(seen: Seen, key: str) -> Any:
    """``request_model``, or inside of a field: ``voice.language``."""
    name, _, inner = key.partition(".")
    if name == "score":
        return next((score.value for score in seen.view.scores if score.name == inner), None)
    if name not in VIEW_FIELDS:
        return None
    value = getattr(seen.view, name)
    if inner:
        return object_of(value).get(inner)
    return value


def _duration(value: Any, where: str) -> Test:
    above, below = _bounds(value, where, lambda amount: float(seconds(amount)))
    return lambda seen: _between(seen.span.duration, above, below)


def _bounds(value: Any, where: str, read: Callable[[Any], float]) -> tuple[float, float]:
    """Above what and below what, as ``read`` reads each."""
    if not is_object(value) or not value:
        raise InputError("takes above: and below:, such as {above: 1s}", where=where)
    bounds = {"above": -math.inf, "below": math.inf}
    for word, amount in value.items():
        if word not in bounds:
            guess = nearest(str(word), ("above", "below"))
            hint = f"did you mean {guess}?" if guess else "known are above and below"
            raise InputError(f"{word!r} is not a bound", where=where, hint=hint)
        try:
            bounds[word] = read(amount)
        except (ValueError, TypeError) as error:
            raise InputError(str(error), where=f"{where}.{word}") from None
    return bounds["above"], bounds["below"]


def _error(value: Any, where: str) -> Test:
    if not isinstance(value, bool):
        raise InputError(f"takes true or false, not {value!r}", where=where)
    return lambda seen: (seen.span.status == "error" or seen.view.error is not None) is value


def _has_child(value: Any, where: str) -> Test:
    test = _all(value, where)
    return lambda seen: any(test(seen.at(child)) for child in seen.node.children)


def _has_descendant(value: Any, where: str) -> Test:
    test = _all(value, where)
    return lambda seen: any(_somewhere(seen, child, test) for child in seen.node.children)


def _near(value: Any, where: str) -> Test:
    test = _all(value, where)
    return lambda seen: _somewhere(seen, seen.node.parent or seen.node, test)


def _somewhere(seen: Seen, top: Node, test: Test) -> bool:
    """Whether the test holds for a node or for one below it; each node is asked once a search."""
    known = seen.search.inside.setdefault(id(test), {})
    if id(top) not in known:
        # children before parents, and no recursion: traces may be thousands deep
        for node in reversed(list(top.walk())):
            if id(node) not in known:
                below = any(known[id(child)] for child in node.children)
                known[id(node)] = below or test(seen.at(node))
    return known[id(top)]


def _under(value: Any, where: str) -> Test:
    test = _all(value, where)
    key = id(test)

    def holds(seen: Seen) -> bool:
        known = seen.search.above.setdefault(key, {})
        unknown: list[Node] = []
        node = seen.node
        while node.parent is not None and id(node) not in known:
            unknown.append(node)
            node = node.parent
        inside = known.get(id(node), False)
        for node in reversed(unknown):
            inside = inside or (node.parent is not None and test(seen.at(node.parent)))
            known[id(node)] = inside
        return inside

    return holds


def _and(value: Any, where: str) -> Test:
    tests = _each(value, where)
    return lambda seen: all(test(seen) for test in tests)


def _or(value: Any, where: str) -> Test:
    tests = _each(value, where)
    return lambda seen: any(test(seen) for test in tests)


def _not(value: Any, where: str) -> Test:
    test = _all(value, where)
    return lambda seen: not test(seen)


def _each(value: Any, where: str) -> list[Test]:
    if not is_list(value) or not value:
        raise InputError("takes a list of filters", where=where)
    return [_all(item, f"{where}[{at}]") for at, item in enumerate(value)]


def _check(matcher: Any, where: str) -> None:
    try:
        matchers.check(matcher)
    except ValueError as error:
        raise InputError(str(error), where=where) from None


_WORDS: dict[Any, Callable[[Any, str], Test]] = {
    "kind": _kind,
    "name": _name,
    "attribute": _attribute,
    "duration": _duration,
    "error": _error,
    "has_child": _has_child,
    "has_descendant": _has_descendant,
    "near": _near,
    "under": _under,
    "and": _and,
    "or": _or,
    "not": _not,
}
