"""A trace as flat lists in depth-first order: what the aligner walks on.

Node ``i`` is the i-th span from the top; its descendants are the next ``size[i] - 1`` nodes, so nothing here
recurses and a chain ten thousand deep costs no more than a flat list. The places are those of `tree`; the
span that a run writes for its conversation is left out: the same agent's production traces have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from simulate.model.shapes import is_object
from simulate.trace.diff import content as contents
from simulate.trace.reading import view
from simulate.trace.root import is_ours
from simulate.trace.span import Kind, Span, View
from simulate.trace.tree import build

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
    seen = {span.span_id: view for span, view in zip(spans, views, strict=True)}
    nodes = [node for node in build(spans) if not is_ours(node.span)]
    place = {id(node): at for at, node in enumerate(nodes)}
    parent = [place.get(id(node.parent), -1) for node in nodes]
    order = [node.span for node in nodes]
    read = [seen.get(span.span_id) or view(span) for span in order]
    count = len(order)
    labels: list[str] = []
    own: list[int] = []
    facts: list[tuple[int, ...]] = []
    texts: list[str] = []
    for span, one in zip(order, read, strict=True):
        name = contents.label(span, one)
        fields = contents.content(span, one)
        labels.append(name)
        own.append(_digest(name if one.kind is not Kind.AGENT else "AGENT", contents.dumped(fields)))
        facts.append(_facts(name, fields))
        texts.append(_wording(fields))
    size = [1] * count
    for node in range(count - 1, 0, -1):
        if parent[node] >= 0:
            size[parent[node]] += size[node]
    return Forest(
        label=labels,
        kind=[one.kind.value for one in read],
        parent=parent,
        size=size,
        own=own,
        whole=_whole(own, parent, size),
        facts=facts,
        text=texts,
        spans=order,
        views=read,
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
        if key == "arguments" and is_object(value):
            leaves = value
            found.extend(hash((name, leaf, contents.dumped(part))) for leaf, part in list(leaves.items())[:6])
    return tuple(found[:FEW_FACTS])


def _wording(fields: dict[str, Any]) -> str:
    best = ""
    for value in fields.values():
        if isinstance(value, str) and len(value) > len(best):
            best = value
    return best
