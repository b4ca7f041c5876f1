"""What in a text is to be redacted: places with their kinds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to redact: ``text[start:end]`` is of this ``kind`` (secret, email, phone, card, …)."""

    kind: str
    start: int
    end: int


Finder = Callable[[str], Iterable[Finding]]


def outside_of(found: list[Finding], done: list[tuple[int, int]]) -> list[Finding]:
    """What is not inside of a placeholder of an earlier pass."""
    kept: list[Finding] = []
    for each in found:
        at = bisect_right(done, (each.start, 2**62)) - 1
        if at < 0 or each.end > done[at][1]:
            kept.append(each)
    return kept


def apart(found: list[Finding]) -> list[Finding]:
    """Overlapping findings joined, so that no piece of any is left; the first rule gives the kind."""
    if len(found) < 2:
        return found
    order = {id(each): at for at, each in enumerate(found)}
    joined: list[Finding] = []
    for each in sorted(found, key=lambda one: (one.start, order[id(one)])):
        last = joined[-1] if joined else None
        if last is not None and each.start < last.end:
            first = last if order.get(id(last), 0) <= order[id(each)] else each
            joined[-1] = Finding(first.kind, last.start, max(last.end, each.end))
        else:
            joined.append(each)
    return joined
