"""Common subsequences in near-linear time, for lists of any length.

Exact longest-common-subsequence methods cost the product of the lengths, which ten thousand siblings do not
forgive. So: common ends first, then symbols that occur once on both sides ("patience"), then Myers'
O(ND) search, in stretches where the difference is large.

Source: E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1 (1986).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Sequence

Pair = tuple[int, int]

MAX_DIFFERENCES = 128
"""Insertions and deletions that one search may make; its cost grows with the square."""
STRETCH = 4_096
"""Symbols of either side that one search sees."""


def common(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[Pair]:
    """Index pairs of equal symbols, increasing on both sides."""
    pairs: list[Pair] = []
    ranges = [(0, len(left), 0, len(right))]
    while ranges:
        a, b, c, d = ranges.pop()
        while a < b and c < d and left[a] == right[c]:
            pairs.append((a, c))
            a, c = a + 1, c + 1
        while a < b and c < d and left[b - 1] == right[d - 1]:
            b, d = b - 1, d - 1
            pairs.append((b, d))
        if a == b or c == d:
            continue
        anchors = _unique(left, right, a, b, c, d)
        if anchors:
            for i, j in anchors:
                pairs.append((i, j))
                ranges.append((a, i, c, j))
                a, c = i + 1, j + 1
            ranges.append((a, b, c, d))
        else:
            pairs.extend((a + i, c + j) for i, j in myers(left[a:b], right[c:d]))
    pairs.sort()
    return pairs


def increasing(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest run of pairs, by rising left index, that rises on the right too (patience sorting)."""
    ends: list[int] = []
    at: list[int] = []
    before: list[int] = [-1] * len(pairs)
    for index, (_, right) in enumerate(pairs):
        pile = bisect_left(ends, right)
        if pile:
            before[index] = at[pile - 1]
        if pile == len(ends):
            ends.append(right)
            at.append(index)
        else:
            ends[pile] = right
            at[pile] = index
    chosen: list[Pair] = []
    index = at[-1] if at else -1
    while index >= 0:
        chosen.append(pairs[index])
        index = before[index]
    return chosen[::-1]


def heaviest(pairs: Sequence[Pair], weights: Sequence[float]) -> list[int]:
    """Indices of the pairs, given by rising left index, that rise on the right with the greatest weight.

    A Fenwick tree over the right side keeps the best sum so far: O(n log n).
    """
    ranks = {value: rank for rank, value in enumerate(sorted({right for _, right in pairs}), start=1)}
    best: list[tuple[float, int]] = [(0.0, -1)] * (len(ranks) + 1)
    before = [-1] * len(pairs)
    for index, (_, right) in enumerate(pairs):
        rank = ranks[right]
        total, last = 0.0, -1
        at = rank - 1
        while at:
            if best[at][0] > total:
                total, last = best[at]
            at &= at - 1
        before[index] = last
        total += weights[index]
        at = rank
        while at < len(best):
            if total > best[at][0]:
                best[at] = (total, index)
            at += at & -at
    index = max(best)[1] if pairs else -1
    chosen: list[int] = []
    while index >= 0:
        chosen.append(index)
        index = before[index]
    return chosen[::-1]


def _unique(
    left: Sequence[Hashable], right: Sequence[Hashable], a: int, b: int, c: int, d: int
) -> list[Pair]:
    there = Counter(right[c:d])
    here = Counter(left[a:b])
    where = {right[j]: j for j in range(c, d) if there[right[j]] == 1}
    found = [(i, where[left[i]]) for i in range(a, b) if here[left[i]] == 1 and left[i] in where]
    return increasing(found)


def myers(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[Pair]:
    """Myers' search in stretches: exact up to ``MAX_DIFFERENCES``, and beyond that the furthest is kept."""
    pairs: list[Pair] = []
    a = c = 0
    while a < len(left) and c < len(right):
        found, x, y = _stretch(left[a : a + STRETCH], right[c : c + STRETCH])
        pairs.extend((a + i, c + j) for i, j in found)
        a, c = a + x, c + y
    return pairs


def _stretch(left: Sequence[Hashable], right: Sequence[Hashable]) -> tuple[list[Pair], int, int]:
    """The pairs up to where the search came, and that place."""
    n, m = len(left), len(right)
    furthest: dict[int, int] = {1: 0}
    history: list[dict[int, int]] = []
    distance = 0
    for distance in range(min(n + m, MAX_DIFFERENCES) + 1):
        history.append(dict(furthest))
        for diagonal in range(-distance, distance + 1, 2):
            x = _step(furthest, diagonal, distance)
            while x < n and x - diagonal < m and left[x] == right[x - diagonal]:
                x += 1
            furthest[diagonal] = x
            if x >= n and x - diagonal >= m:
                return _walk_back(history, n, m), n, m
    ends = [(x, x - diagonal) for diagonal, x in furthest.items() if (diagonal - distance) % 2 == 0]
    x, y = max((end for end in ends if end[0] <= n and end[1] <= m), key=lambda end: (sum(end), end))
    return _walk_back(history, x, y), x, y


def _down(furthest: dict[int, int], diagonal: int, distance: int) -> bool:
    return diagonal == -distance or (
        diagonal != distance and furthest.get(diagonal - 1, -1) < furthest.get(diagonal + 1, -1)
    )


def _step(furthest: dict[int, int], diagonal: int, distance: int) -> int:
    if _down(furthest, diagonal, distance):
        return furthest[diagonal + 1]
    return furthest[diagonal - 1] + 1


def _walk_back(history: list[dict[int, int]], x: int, y: int) -> list[Pair]:
    pairs: list[Pair] = []
    for distance in range(len(history) - 1, -1, -1):
        furthest, diagonal = history[distance], x - y
        start = _step(furthest, diagonal, distance) if distance else 0
        while x > start:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        if distance and _down(furthest, diagonal, distance):
            y -= 1
        elif distance:
            x -= 1
    return pairs[::-1]
