"""The tree of a trace, from spans in any order and whatever is wrong with them.

What had to be guessed is marked on the node (``placement``) and told in the tree's notes; the spans stay as
they came. Nothing here recurses, so a chain of 10,000 spans is as good as any other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from simulate.model.text import counted
from simulate.trace.joining import joined, names
from simulate.trace.span import Span, Trace

Placement = Literal["follows", "link", "remote parent", "time", "orphan", "cycle"]
"""Why a span stands where it stands, if not by its parent id:

- ``follows``: it names no parent, but links to a span of the trace, beside which it stands (below it, where
  that is a root): OpenTracing's ``FOLLOWS_FROM``;
- ``link``: its parent is not in the file, and it links to this one;
- ``remote parent``: its parent is not in the file, and this is the other service's call at that time;
- ``time``: its parent is not in the file, and this is the smallest span around it;
- ``orphan``: its parent is not in the file, and nothing tells where it belongs;
- ``cycle``: it was its own ancestor; the circle was cut here.
"""


@dataclass(slots=True, eq=False)
class Node:
    """A span in its place."""

    span: Span
    parent: Node | None = None
    children: list[Node] = field(default_factory=list["Node"])
    depth: int = 0
    placement: Placement | None = None
    shift_ns: int = 0
    """What to add to the span's times so that its service's clock agrees with its caller's."""

    @property
    def start_ns(self) -> int:
        """Corrected for clock skew, for display; 0 where the span does not say."""
        return self.span.start_ns and self.span.start_ns + self.shift_ns

    @property
    def end_ns(self) -> int | None:
        """Corrected for clock skew; None while the span has no end."""
        return None if self.span.end_ns is None else self.span.end_ns + self.shift_ns

    def walk(self) -> Iterator[Node]:
        """This node and all below it, each before its children."""
        waiting: list[Node] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


@dataclass(eq=False)
class Tree:
    """The roots in the order of their starts, and what a reader should know."""

    trace_id: str
    roots: list[Node]
    notes: list[str]
    lost: list[Node]
    """Nodes whose parent is named and not there, wherever they were placed."""

    @cached_property
    def nodes(self) -> list[Node]:
        """Every node, each before its children."""
        return [node for root in self.roots for node in root.walk()]

    @cached_property
    def start_ns(self) -> int:
        """When the first span began, clocks corrected; 0 where none says."""
        return min((node.start_ns for node in self.nodes if node.start_ns), default=0)

    @cached_property
    def end_ns(self) -> int | None:
        """When the last span ended, clocks corrected; None where none says."""
        return max((node.end_ns for node in self.nodes if node.end_ns is not None), default=None)

    @property
    def duration(self) -> float | None:
        """Seconds from the first start to the last end; None where either is unknown."""
        return (self.end_ns - self.start_ns) / 1e9 if self.start_ns and self.end_ns is not None else None

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def get(self, span_id: str) -> Node | None:
        """The node of that span id."""
        return next((node for node in self if node.span.span_id == span_id), None)


def build(source: Trace | Iterable[Span]) -> Tree:
    """The tree of these spans, which should be of one trace; what came twice is joined first."""
    spans, notes = joined(source.spans if isinstance(source, Trace) else list(source))
    if isinstance(source, Trace):
        notes = source.notes + notes
    nodes = [Node(span) for span in spans]
    by_id = {node.span.span_id: node for node in nodes}
    orphans = _connect(nodes, by_id)
    _follow(nodes, by_id)
    _cut_cycles(nodes, notes)
    lost = list(orphans)
    _place(nodes, orphans, by_id, notes)
    roots = _in_order([node for node in nodes if node.parent is None])
    for root in roots:
        _settle(root)
    _correct_clocks(roots, notes)
    notes += _times_missing(spans)
    trace_id = source.trace_id if isinstance(source, Trace) else (spans[0].trace_id if spans else "")
    return Tree(trace_id, roots, notes, lost)


def _times_missing(spans: list[Span]) -> Iterator[str]:
    untimed = [span.name for span in spans if not span.start_ns]
    if untimed:
        yield f"{counted(len(untimed), 'span')} without a start time: {names(untimed)}"
    open_ended = [span.name for span in spans if span.end_ns is None and span.start_ns]
    if open_ended:
        yield f"{counted(len(open_ended), 'span')} never ended: {names(open_ended)}"
    backwards = [span.name for span in spans if (span.duration or 0) < 0]
    if backwards:
        yield f"{counted(len(backwards), 'span')} ended before starting: {names(backwards)}"


# -- parents ---------------------------------------------------------------------------------------------


def _connect(nodes: list[Node], by_id: dict[str, Node]) -> list[Node]:
    """Give each node its parent; returns those whose parent is not there."""
    orphans: list[Node] = []
    for node in nodes:
        parent_id = node.span.parent_id
        if parent_id is None:
            continue
        parent = by_id.get(parent_id)
        if parent is None:
            orphans.append(node)
        elif parent is not node:
            node.parent = parent
        else:
            node.placement = "cycle"
    return orphans


def _follow(nodes: list[Node], by_id: dict[str, Node]) -> None:
    """Put each span that names no parent beside the one that it links to in this trace."""
    for node in _in_order([node for node in nodes if node.span.links]):
        if node.span.parent_id is None:
            links = (link for link in node.span.links if link.trace_id == node.span.trace_id)
            target = next((by_id[link.span_id] for link in links if link.span_id in by_id), None)
            if target is not None and target is not node:
                node.parent, node.placement = target.parent or target, "follows"


def _cut_cycles(nodes: list[Node], notes: list[str]) -> None:
    done, cut = set[int](), list[str]()
    for start in nodes:
        path, on_path = list[Node](), set[int]()
        node: Node | None = start
        while node is not None and id(node) not in done and id(node) not in on_path:
            path.append(node)
            on_path.add(id(node))
            node = node.parent
        if node is not None and id(node) in on_path:
            circle = path[path.index(node) :]
            # a link is the weakest of its ties: a span that names no parent is simply a root
            loose = [one for one in circle if one.placement == "follows"]
            first = min(loose or circle, key=_by_start)
            first.parent, first.placement = None, None if loose else "cycle"
        done |= on_path
    for node in nodes:
        if node.placement == "cycle":
            cut.append(node.span.name)
    if cut:
        notes.append(f"{counted(len(cut), 'circle')} of parents cut at: {names(cut)}")
    for node in nodes:
        if node.parent is not None:
            node.parent.children.append(node)


REACH = 200
"""How many candidates are looked at to place one orphan by time."""


def _place(nodes: list[Node], orphans: list[Node], by_id: dict[str, Node], notes: list[str]) -> None:
    """Put each orphan where links, the other service's call, or time say; mark it in any case."""
    if not orphans:
        return
    orphans = _in_order(orphans)
    lost = set(map(id, orphans))
    homes = [node for node in nodes if node.parent is None and id(node) not in lost]
    if not homes:
        # the true root was not exported: those that lack the same parent as the first are the roots
        missing = orphans[0].span.parent_id
        homes = [node for node in orphans if node.span.parent_id == missing]
        for node in homes:
            node.placement = node.placement or "orphan"
    inside = {id(node): node for home in homes for node in home.walk()}
    candidates = _Candidates(inside.values())
    counts: dict[str, list[str]] = {}
    for node in orphans:
        if id(node) not in inside:
            found = _home(node, by_id, inside, candidates)
            if found is None:
                node.placement = node.placement or "orphan"
            else:
                node.parent, node.placement = found
                node.parent.children.append(node)
                inside.update((id(each), each) for each in node.walk())
        counts.setdefault(str(node.placement), []).append(node.span.name)
    for how, found in counts.items():
        told = _TOLD.get(how, "left as roots")
        notes.append(
            f"{counted(len(found), 'span')} without their parent in the file, {told}: {names(found)}"
        )


_TOLD = {
    "link": "placed by a link",
    "remote parent": "placed under the remote call",
    "time": "placed by time",
}


def _home(
    node: Node, by_id: dict[str, Node], inside: dict[int, Node], candidates: _Candidates
) -> tuple[Node, Placement] | None:
    for link in node.span.links:
        target = by_id.get(link.span_id)
        if target is not None and id(target) in inside and link.trace_id == node.span.trace_id:
            return target, "link"
    if node.span.otel_kind in ("server", "consumer"):
        caller = candidates.around(node.span, caller=True)
        if caller is not None:
            return caller, "remote parent"
    around = candidates.around(node.span)
    return None if around is None else (around, "time")


class _Candidates:
    """Spans by start, to find the smallest one around another."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        ended = [node for node in nodes if node.span.end_ns is not None and node.span.start_ns]
        self.nodes = sorted(ended, key=lambda node: (node.span.start_ns, -(node.span.end_ns or 0)))
        self.starts = [node.span.start_ns for node in self.nodes]

    def around(self, span: Span, *, caller: bool = False) -> Node | None:
        """The span around this one that started last; with ``caller``, a call of another service."""
        if not span.start_ns:
            return None
        end = span.end_ns if span.end_ns is not None else span.start_ns
        last = bisect_right(self.starts, span.start_ns)
        near = self.nodes[max(0, last - REACH) : last]
        for node in [*reversed(near), *self.nodes[: 0 if last <= REACH else 8]]:
            other = node.span
            if (other.end_ns or 0) < end or other.parent_id == span.parent_id:
                continue
            calls = other.otel_kind in ("client", "producer") and other.service != span.service
            if not caller or calls:
                return node
        return None


# -- order and clocks ------------------------------------------------------------------------------------


def _by_start(node: Node) -> float:
    return node.span.start_ns or float("inf")


def _in_order(nodes: list[Node]) -> list[Node]:
    """By start; those whose start is unknown come last, in the order of the file."""
    return sorted(nodes, key=_by_start)


def _settle(root: Node) -> None:
    for node in root.walk():
        node.children = _in_order(node.children)
        for child in node.children:
            child.depth = node.depth + 1


def _correct_clocks(roots: list[Node], notes: list[str]) -> None:
    """Move the spans of a service whose clock differs: a call cannot be served before it is made.

    The serving span is put into the middle of the call, as Jaeger does, and what it started in its own
    service moves along.
    """
    told: dict[tuple[str, str], int] = {}
    for root in roots:
        for node in root.walk():
            parent = node.parent
            if parent is None:
                continue
            if node.span.service == parent.span.service:
                node.shift_ns = parent.shift_ns
                continue
            node.shift_ns = _skew(node, parent)
            if node.shift_ns:
                pair = (str(node.span.service), str(parent.span.service))
                if abs(node.shift_ns) > abs(told.get(pair, 0)):
                    told[pair] = node.shift_ns
            node.children.sort(key=_by_start)
    for (service, caller), shift in told.items():
        side = "behind" if shift > 0 else "ahead of"
        notes.append(
            f"the clock of {service} is at least {abs(shift) / 1e6:,.1f} ms {side} that of {caller};"
            " shown corrected"
        )


def _skew(node: Node, parent: Node) -> int:
    start, end = parent.start_ns, parent.end_ns
    if not start or not node.span.start_ns:
        return 0
    served = node.span.otel_kind == "server" and parent.span.otel_kind == "client"
    if node.span.end_ns is None or end is None:
        return max(0, start - node.span.start_ns)
    late = served and node.span.end_ns > end
    if node.span.start_ns >= start and not late:
        return 0
    spare = (end - start) - (node.span.end_ns - node.span.start_ns)
    return start + max(0, spare // 2) - node.span.start_ns if spare >= 0 or node.span.start_ns < start else 0
