"""Which span of one trace is which span of the other.

A cascade, from what cannot be mistaken to what is only likely:

1. whole subtrees with the same content, in order (heaviest increasing subsequence);
2. spans that share something which occurs once on either side: a tool's arguments, an answer's wording;
3. parents whose children found each other, from the bottom up (so a renamed or wrapped span is found);
4. from the top down, the children of matched parents: same subtrees, then shared facts in any order (parallel
   tool calls come back in any order), then labels with the nearest wording, gap by gap;
5. what is left but unmistakable, wherever it went.

The answer does not depend on which trace comes first: `align` always works in one direction, chosen by the
traces' own content, and turns the result around where needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from simulate.trace.diff import sibling_matching
from simulate.trace.diff.forest import Forest
from simulate.trace.diff.sequence import common, heaviest

CLIMB = 3
"""How many spans one side may have wrapped around another before we stop looking through them."""


@dataclass(slots=True)
class Alignment:
    """``left[i]`` is the node of the right forest that node ``i`` of the left one is, or -1."""

    left: list[int]
    right: list[int]
    turned: bool = False
    """True when the two were aligned from right to left; order of calls is judged in the same direction."""

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Matched nodes, in the left one's order."""
        return [(i, j) for i, j in enumerate(self.left) if j >= 0]


def align(left: Forest, right: Forest) -> Alignment:
    """Match the nodes of two forests; each has at most one partner."""
    turned = _key(right) < _key(left)
    matcher = _Matcher(right, left) if turned else _Matcher(left, right)
    matcher.run()
    if turned:
        return Alignment(matcher.there, matcher.here, turned=True)
    return Alignment(matcher.here, matcher.there)


def _key(forest: Forest) -> tuple[int, list[int], list[int]]:
    return len(forest), forest.whole, forest.parent


class _Matcher:
    """One alignment under way: ``here`` and ``there`` hold what is matched so far, -1 where nothing is."""

    def __init__(self, a: Forest, b: Forest) -> None:
        self.a, self.b = a, b
        self.here = [-1] * len(a)
        self.there = [-1] * len(b)

    def run(self) -> None:
        self.same_subtrees()
        self.rare_facts(range(len(self.a)), range(len(self.b)), ordered=True)
        self.parents_of_matched()
        self.top_down()
        self.parents_of_matched()
        if self.moved():
            self.parents_of_matched()
            self.top_down()

    def join(self, i: int, j: int) -> None:
        self.here[i], self.there[j] = j, i

    def join_subtrees(self, i: int, j: int) -> None:
        for offset in range(self.a.size[i]):
            if self.here[i + offset] < 0 and self.there[j + offset] < 0:
                self.join(i + offset, j + offset)

    def same_subtrees(self) -> None:
        a, b = self.a, self.b
        once_here, once_there = _once(a.whole), _once(b.whole)
        pairs: list[tuple[int, int]] = []
        i = 0
        while i < len(a):
            j = once_there.get(a.whole[i], -1)
            if j >= 0 and a.whole[i] in once_here and a.size[i] == b.size[j] and self._telling(i):
                pairs.append((i, j))
                i += a.size[i]
            else:
                i += 1
        for index in heaviest(pairs, [float(a.size[i]) for i, _ in pairs]):
            self.join_subtrees(*pairs[index])

    def _telling(self, i: int) -> bool:
        return self.a.size[i] > 1 or bool(self.a.facts[i])

    def rare_facts(self, here: Iterable[int], there: Iterable[int], *, ordered: bool) -> int:
        """Match nodes that share facts which occur once on either side; returns how many."""
        owner_here = self._owners(self.a, here, self.here)
        owner_there = self._owners(self.b, there, self.there)
        votes: Counter[tuple[int, int]] = Counter()
        for fact, i in owner_here.items():
            j = owner_there.get(fact, -1)
            if i >= 0 and j >= 0 and self.a.label[i] == self.b.label[j]:
                votes[i, j] += 1
        best = _mutual(votes)
        if ordered:
            weights = [float(votes[pair]) for pair in best]
            fixed = [(i, j) for i, j in enumerate(self.here) if j >= 0]
            every = sorted(best + fixed)
            known = dict(zip(best, weights, strict=True))
            chosen = heaviest(every, [known.get(pair, 1e6) for pair in every])
            best = [every[index] for index in chosen if every[index] in known]
        for i, j in best:
            self.join(i, j)
        return len(best)

    @staticmethod
    def _owners(forest: Forest, nodes: Iterable[int], matched: list[int]) -> dict[int, int]:
        owner: dict[int, int] = {}
        for node in nodes:
            if matched[node] < 0:
                for fact in forest.facts[node]:
                    owner[fact] = -1 if owner.get(fact, node) != node else node
        return owner

    def parents_of_matched(self) -> None:
        """From the bottom up: a span is the one whose children its own children are."""
        a, b = self.a, self.b
        wish: list[Counter[int] | None] = [None] * len(a)
        for i in range(len(a) - 1, -1, -1):
            votes = wish[i]
            wish[i] = None
            j = self.here[i]
            if j < 0 and votes:
                j = self._best_parent(i, votes)
                if j >= 0:
                    self.join(i, j)
            above = a.parent[i]
            if above < 0 or self.here[above] >= 0:
                continue
            passed = wish[above]
            if passed is None:
                passed = wish[above] = Counter()
            if j >= 0:
                if b.parent[j] >= 0:
                    passed[b.parent[j]] += 1
            elif votes:
                passed.update(dict(votes.most_common(2)))

    def _best_parent(self, i: int, votes: Counter[int]) -> int:
        a, b = self.a, self.b
        for j, _ in votes.most_common(3):
            for _ in range(CLIMB):
                if j < 0:
                    break
                if self.there[j] < 0 and a.label[i] == b.label[j] and self._fits(i, j):
                    return j
                j = b.parent[j]
        j, count = votes.most_common(1)[0]
        alike = self.there[j] < 0 and a.kind[i] == b.kind[j] and self._fits(i, j)
        siblings = len(a.children(i))
        return j if alike and 2 * count >= siblings and self._free_of(i, j) else -1

    def _fits(self, i: int, j: int) -> bool:
        """Whether what stands above both agrees as far as it is known already."""
        up, down = self.a.parent[i], self.b.parent[j]
        for _ in range(CLIMB):
            if up < 0:
                return True
            partner = self.here[up]
            if partner >= 0:
                return partner <= j < partner + self.b.size[partner]
            up = self.a.parent[up]
        return down < 0 or self.there[down] < 0 or self.there[down] <= i

    def _free_of(self, i: int, j: int) -> bool:
        """A renamed span: its old name is not near on the other side, or it would have been found."""
        near = self.b.parent[j]
        return near < 0 or self.a.label[i] != self.b.label[near] or self.there[near] >= 0

    def top_down(self) -> None:
        self.siblings(-1, -1)
        for i in range(len(self.a)):
            j = self.here[i]
            if j >= 0:
                self.siblings(i, j)

    def siblings(self, i: int, j: int) -> None:
        """Match the children of a matched pair."""
        a, b = self.a, self.b
        if i >= 0 and (a.size[i] == 1 or b.size[j] == 1):
            return
        all_here, all_there = a.children(i), b.children(j)
        here = [x for x in all_here if self.here[x] < 0]
        there = [y for y in all_there if self.there[y] < 0]
        if not here or not there:
            return
        for s, t in common([a.whole[x] for x in here], [b.whole[y] for y in there]):
            self.join_subtrees(here[s], there[t])
        self.rare_facts(here, there, ordered=False)
        for some, others in sibling_matching.between(all_here, all_there, self.here, self.there):
            for x, y in sibling_matching.fill(a, b, some, others):
                self.join(x, y)
        self._out_of_order(here, there)
        self._through_wraps(here, there)

    def _out_of_order(self, here: list[int], there: list[int]) -> None:
        """The same subtrees among these siblings, but elsewhere."""
        waiting: dict[int, list[int]] = {}
        for y in reversed(there):
            if self.there[y] < 0:
                waiting.setdefault(self.b.whole[y], []).append(y)
        for x in here:
            if self.here[x] < 0 and waiting.get(self.a.whole[x]):
                self.join_subtrees(x, waiting[self.a.whole[x]].pop())

    def _through_wraps(self, here: list[int], there: list[int]) -> None:
        """A span that only one side has may hold the very spans that the other side has at its place."""
        left = [x for x in here if self.here[x] < 0]
        right = [y for y in there if self.there[y] < 0]
        if not left or not right or len(left) * len(right) > sibling_matching.SMALL:
            return
        opened_left = [c for x in left for c in self.a.children(x) if self.here[c] < 0]
        opened_right = [c for y in right for c in self.b.children(y) if self.there[c] < 0]
        for some, others in ((opened_left, right), (left, opened_right)):
            for s, t in common([self.a.own[x] for x in some], [self.b.own[y] for y in others]):
                x, y = some[s], others[t]
                if self.here[x] < 0 and self.there[y] < 0 and self.a.facts[x]:
                    self.join(x, y)

    def moved(self) -> int:
        """What is unmistakable among the rest, wherever it stands now."""
        rest_here = {i: self.a.whole[i] for i in range(len(self.a)) if self.here[i] < 0}
        rest_there = {j: self.b.whole[j] for j in range(len(self.b)) if self.there[j] < 0}
        once_here, once_there = _once_of(rest_here), _once_of(rest_there)
        count = 0
        for whole, i in once_here.items():
            j = once_there.get(whole, -1)
            if j < 0 or self.here[i] >= 0 or self.there[j] >= 0 or self.a.size[i] != self.b.size[j]:
                continue
            if len(self.a.facts[i]) + self.a.size[i] > 2:
                self.join_subtrees(i, j)
                count += 1
        return count


def _mutual(votes: Counter[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs that are each other's best, by rising left node."""
    best_here: dict[int, tuple[int, int]] = {}
    best_there: dict[int, tuple[int, int]] = {}
    for (i, j), count in sorted(votes.items()):
        if count > best_here.get(i, (0, -1))[0]:
            best_here[i] = (count, j)
        if count > best_there.get(j, (0, -1))[0]:
            best_there[j] = (count, i)
    return sorted((i, j) for i, (_, j) in best_here.items() if best_there[j][1] == i)


def _once(values: list[int]) -> dict[int, int]:
    return _once_of(dict(enumerate(values)))


def _once_of(values: dict[int, int]) -> dict[int, int]:
    """Where each value stands that occurs once."""
    found: dict[int, int] = {}
    for node, value in values.items():
        found[value] = -1 if value in found else node
    return {value: node for value, node in found.items() if node >= 0}
