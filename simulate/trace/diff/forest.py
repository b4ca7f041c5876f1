"""A trace as flat lists in depth-first order: what the aligner walks on.

Node ``i`` is the i-th span from the top; its descendants are the next ``size[i] - 1`` nodes, so nothing here
recurses and a chain ten thousand deep costs no more than a flat list. Siblings stand by start time. Spans
whose parent is not in the trace are roots, and a ring of parents is opened at its earliest span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, cast

from simulate.trace.diff import content as contents
from simulate.trace.span import Kind, Span, View

FEW_FACTS = 12


@dataclass(slots=True)
class Forest:
    """``parent`` is -1 for a root. ``own`` tells a node's content, ``whole`` that of all its subtree."""

    label: list[str]
    kind: list[str]
    parent: list[int]
    size: list[int]
    own: list[int]
    whole: list[int]
    facts: list[tuple[int, ...]]
    text: list[str]
    """The node's longest wording, to tell near from far; empty where it has none."""
    spans: list[Span] = field(default_factory=list[Span])
    views: list[View] = field(default_factory=list[View])

    def __len__(self) -> int:
        return len(self.parent)

    def children(self, node: int) -> list[int]:
        """The node's children in order; those of -1 are the roots."""
        at, end = (0, len(self.parent)) if node < 0 else (node + 1, node + self.size[node])
        found: list[int] = []
        while at < end:
            found.append(at)
            at += self.size[at]
        return found


def plant(spans: Sequence[Span], views: Sequence[View]) -> Forest:
    """The forest of a trace, whose views come in the order of its spans."""
    order, parent = _depth_first(spans)
    count = len(order)
    labels: list[str] = []
    own: list[int] = []
    facts: list[tuple[int, ...]] = []
    texts: list[str] = []
    for index in order:
        span, view = spans[index], views[index]
        name = contents.label(span, view)
        fields = contents.content(span, view)
        labels.append(name)
        own.append(_digest(name if view.kind is not Kind.AGENT else "AGENT", contents.dumped(fields)))
        facts.append(_facts(name, fields))
        texts.append(_wording(fields))
    size = [1] * count
    for node in range(count - 1, 0, -1):
        if parent[node] >= 0:
            size[parent[node]] += size[node]
    return Forest(
        label=labels,
        kind=[views[index].kind.value for index in order],
        parent=parent,
        size=size,
        own=own,
        whole=_whole(own, parent, size),
        facts=facts,
        text=texts,
        spans=[spans[index] for index in order],
        views=[views[index] for index in order],
    )


def _whole(own: list[int], parent: list[int], size: list[int]) -> list[int]:
    below: list[list[int] | None] = [None] * len(own)
    whole = [0] * len(own)
    for node in range(len(own) - 1, -1, -1):
        parts = below[node]
        below[node] = None
        if parts is None:
            whole[node] = own[node]
        else:
            packed = b"".join(part.to_bytes(8, "big") for part in reversed(parts))
            whole[node] = _digest(str(own[node]), packed)
        above = parent[node]
        if above >= 0:
            known = below[above]
            if known is None:
                below[above] = [whole[node]]
            else:
                known.append(whole[node])
    return whole


def _digest(name: str, data: bytes) -> int:
    return int.from_bytes(
        blake2b(data, digest_size=8, key=name.encode("utf-8", "surrogatepass")[:64]).digest(), "big"
    )


def _facts(name: str, fields: dict[str, Any]) -> tuple[int, ...]:
    """What could make this span recognisable: each field, and each leaf of its arguments."""
    found: list[int] = []
    for key, value in fields.items():
        if key in ("tool", "model", "language", "voice", "interrupted"):
            continue
        if isinstance(value, str):
            value = contents.plain_text(value)
        found.append(hash((key, contents.dumped(value))))
        if key == "arguments" and isinstance(value, dict):
            leaves = cast("dict[str, Any]", value)
            found.extend(hash((name, leaf, contents.dumped(part))) for leaf, part in list(leaves.items())[:6])
    return tuple(found[:FEW_FACTS])


def _wording(fields: dict[str, Any]) -> str:
    best = ""
    for value in fields.values():
        if isinstance(value, str) and len(value) > len(best):
            best = value
    return best


def _depth_first(spans: Sequence[Span]) -> tuple[list[int], list[int]]:
    """The spans' indices from the top, and each one's parent as a position in that order."""
    first: dict[str, int] = {}
    for index, span in enumerate(spans):
        first.setdefault(span.span_id, index)
    below: dict[int, list[int]] = {}
    for index, span in enumerate(spans):
        above = first.get(span.parent_id, -1) if span.parent_id else -1
        below.setdefault(-1 if above == index else above, []).append(index)
    for siblings in below.values():
        siblings.sort(key=lambda index: (spans[index].start_ns, index))
    order: list[int] = []
    parent: list[int] = []
    seen = bytearray(len(spans))
    _walk(below.get(-1, []), below, seen, order, parent)
    if len(order) < len(spans):
        for index in sorted(range(len(spans)), key=lambda index: spans[index].start_ns):
            if not seen[index]:
                _walk([index], below, seen, order, parent)
    return order, parent


def _walk(
    roots: list[int], below: dict[int, list[int]], seen: bytearray, order: list[int], parent: list[int]
) -> None:
    waiting = [(index, -1) for index in reversed(roots)]
    while waiting:
        index, above = waiting.pop()
        if seen[index]:
            continue
        seen[index] = 1
        at = len(order)
        order.append(index)
        parent.append(above)
        waiting.extend((child, at) for child in reversed(below.get(index, ())))
