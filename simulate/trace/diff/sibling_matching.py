"""Siblings between two that are matched already: told apart by label first, then by how near they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simulate.trace.diff.forest import Forest
from simulate.trace.diff.sequence import common, increasing

SMALL = 2_500
"""Up to this many comparisons a gap is weighed pair by pair; a larger one goes by labels alone."""

NEAR = 64
"""Descendants looked at to tell whether two spans of other names are kin."""

_WORD = re.compile(r"\w+")


def between(
    here: list[int], there: list[int], partner: list[int], back: list[int]
) -> Iterator[tuple[list[int], list[int]]]:
    """The unmatched siblings on both sides, gap by gap, where matched siblings in order are the posts."""
    place = {node: index for index, node in enumerate(there)}
    posts = [(s, place[partner[x]]) for s, x in enumerate(here) if partner[x] in place]
    a = c = 0
    for b, d in [*increasing(posts), (len(here), len(there))]:
        some = [x for x in here[a:b] if partner[x] < 0]
        others = [y for y in there[c:d] if back[y] < 0]
        if some and others:
            yield some, others
        a, c = b + 1, d + 1


def fill(a: Forest, b: Forest, here: list[int], there: list[int]) -> list[tuple[int, int]]:
    """The likeliest pairs of a gap, in order."""
    if len(here) == 1 and len(there) == 1:
        return [(here[0], there[0])] if _alike(a, b, here[0], there[0]) > 0 else []
    if len(here) * len(there) > SMALL:
        return _by_label(a, b, here, there)
    return _by_likeness(a, b, here, there)


def _by_label(a: Forest, b: Forest, here: list[int], there: list[int]) -> list[tuple[int, int]]:
    pairs = common([(a.label[x], a.own[x]) for x in here], [(b.label[y], b.own[y]) for y in there])
    found = [(here[s], there[t]) for s, t in pairs]
    start = end = 0
    for s, t in [*pairs, (len(here), len(there))]:
        some, others = here[start:s], there[end:t]
        start, end = s + 1, t + 1
        if some and others and len(some) * len(others) <= SMALL:
            found.extend(_by_likeness(a, b, some, others))
        elif some and others:
            found.extend(
                (some[p], others[q])
                for p, q in common([a.label[x] for x in some], [b.label[y] for y in others])
            )
    return found


def _by_likeness(a: Forest, b: Forest, here: list[int], there: list[int]) -> list[tuple[int, int]]:
    """The heaviest pairing that keeps the order (Needleman and Wunsch, 1970, without gap costs)."""
    n, m = len(here), len(there)
    words_here = [_words(a.text[x]) for x in here]
    words_there = [_words(b.text[y]) for y in there]
    score = [
        [_alike(a, b, x, y, words_here[s], words_there[t]) for t, y in enumerate(there)]
        for s, x in enumerate(here)
    ]
    best = [[0.0] * (m + 1) for _ in range(n + 1)]
    for s in range(n - 1, -1, -1):
        row, below, weights = best[s], best[s + 1], score[s]
        for t in range(m - 1, -1, -1):
            skip = below[t] if below[t] >= row[t + 1] else row[t + 1]
            both = below[t + 1] + weights[t] if weights[t] > 0 else 0.0
            row[t] = both if both >= skip and weights[t] > 0 else skip
    pairs: list[tuple[int, int]] = []
    s = t = 0
    while s < n and t < m:
        if score[s][t] > 0 and best[s][t] == best[s + 1][t + 1] + score[s][t]:
            pairs.append((here[s], there[t]))
            s, t = s + 1, t + 1
        elif best[s][t] == best[s + 1][t]:
            s += 1
        else:
            t += 1
    return pairs


def _alike(
    a: Forest,
    b: Forest,
    x: int,
    y: int,
    words_x: frozenset[str] | None = None,
    words_y: frozenset[str] | None = None,
) -> float:
    """0 for spans that cannot be the same; above 1 for spans of one label, higher the nearer."""
    if a.label[x] != b.label[y]:
        renamed = a.kind[x] == b.kind[y] == "AGENT" and _kin(a, b, x, y)
        return 0.5 if renamed else 0.0
    value = 1.0
    if a.own[x] == b.own[y]:
        value += 2.0
    elif a.facts[x] and b.facts[y]:
        shared = len(set(a.facts[x]) & set(b.facts[y]))
        value += shared / max(len(a.facts[x]), len(b.facts[y]))
    if words_x and words_y:
        value += len(words_x & words_y) / len(words_x | words_y)
    small, large = sorted((a.size[x], b.size[y]))
    return value + 0.25 * small / large


def _kin(a: Forest, b: Forest, x: int, y: int) -> bool:
    """Whether two spans of other names hold something in common, or nothing at all."""
    if a.size[x] == b.size[y] == 1:
        return True
    inside = [
        {fact for node in range(top, top + min(forest.size[top], NEAR)) for fact in forest.facts[node]}
        for forest, top in ((a, x), (b, y))
    ]
    return not inside[0].isdisjoint(inside[1])


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text[:2_000].casefold()))
