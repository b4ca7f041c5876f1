"""Which tools were called, with what, in which order, and how they answered."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from simulate.model.text import counted
from simulate.trace.diff import content as contents
from simulate.trace.diff.align import Alignment
from simulate.trace.diff.behaviour import ActionRecord
from simulate.trace.diff.change import Category, Change, Detail, Tolerance
from simulate.trace.diff.sequence import Pair, common
from simulate.trace.diff.wording import MOST_DETAILS, brief, details, times, told, turn_of
from simulate.trace.reading.tool_name import keys


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which act is which. ``loose`` ones share their name and nothing else that would tell them apart."""

    all: list[Pair]
    loose: set[Pair]


def pair(expected: Sequence[ActionRecord], actual: Sequence[ActionRecord], alignment: Alignment) -> Pairs:
    """By the aligned spans, then by name and arguments, then by name alone.

    Works in the aligner's direction, so that swapping the traces swaps the pairs and changes nothing else.
    """
    if alignment.turned:
        back = _paired(actual, expected, alignment.right)
        return Pairs(sorted((i, j) for j, i in back.all), {(i, j) for j, i in back.loose})
    return _paired(expected, actual, alignment.left)


def _paired(expected: Sequence[ActionRecord], actual: Sequence[ActionRecord], partner: list[int]) -> Pairs:
    own = _nodes_of_their_own(expected)
    theirs = _nodes_of_their_own(actual)
    at = {act.node: index for index, act in enumerate(actual) if act.node in theirs}
    pairs: dict[int, int] = {}
    for i, act in enumerate(expected):
        j = at.get(partner[act.node], -1) if act.node in own else -1
        if j >= 0 and actual[j].key == act.key:
            pairs[i] = j
    _together(expected, actual, pairs)
    firm = 0
    for number, tell in enumerate((_given, _by_name)):
        if number == 1:
            firm = len(pairs)
        here = [i for i in range(len(expected)) if i not in pairs]
        taken = set(pairs.values())
        there = [j for j in range(len(actual)) if j not in taken]
        for s, t in common([tell(expected[i]) for i in here], [tell(actual[j]) for j in there]):
            pairs[here[s]] = there[t]
        _in_any_order(expected, actual, pairs, tell)
    made = list(pairs.items())
    return Pairs(sorted(made), set(made[firm:]))


def _together(
    expected: Sequence[ActionRecord], actual: Sequence[ActionRecord], pairs: dict[int, int]
) -> None:
    """Calls of one tool that were asked for together came in no order: equal arguments pair them."""
    groups: defaultdict[tuple[str, int, int], list[int]] = defaultdict(list)
    for i, j in pairs.items():
        groups[expected[i].key, expected[i].batch, actual[j].batch].append(i)
    for group in groups.values():
        if len(group) < 2 or all(_given(expected[i]) == _given(actual[pairs[i]]) for i in group):
            continue
        free = [pairs.pop(i) for i in group]
        for tell in (_given, _by_name):
            for i in group:
                j = next((j for j in free if tell(actual[j]) == tell(expected[i])), None)
                if i not in pairs and j is not None:
                    pairs[i] = j
                    free.remove(j)


def _nodes_of_their_own(acts: Sequence[ActionRecord]) -> set[int]:
    """Nodes that tell of one act alone; a model call that asked for several tools is the node of them all."""
    return {node for node, many in Counter(act.node for act in acts).items() if node >= 0 and many == 1}


def _in_any_order(
    expected: Sequence[ActionRecord],
    actual: Sequence[ActionRecord],
    pairs: dict[int, int],
    tell: Callable[[ActionRecord], Hashable],
) -> None:
    taken = set(pairs.values())
    waiting: defaultdict[Hashable, list[int]] = defaultdict(list)
    for j in range(len(actual) - 1, -1, -1):
        if j not in taken:
            waiting[tell(actual[j])].append(j)
    for i, act in enumerate(expected):
        if i not in pairs and waiting[tell(act)]:
            pairs[i] = waiting[tell(act)].pop()


def _given(act: ActionRecord) -> tuple[str, bytes]:
    return act.key, contents.dumped(act.arguments)


def _by_name(act: ActionRecord) -> str:
    return act.key


def tool_changes(
    expected: Sequence[ActionRecord],
    actual: Sequence[ActionRecord],
    alignment: Alignment,
    tolerance: Tolerance,
) -> list[Change]:
    """Everything about tools that is not as it was."""
    names = keys(act.name for acts in (expected, actual) for act in acts)
    for act in (*expected, *actual):
        act.key = names[act.name]
    pairs = pair(expected, actual, alignment)
    changes = counts(expected, actual, pairs.all, "tools", "called")
    before, after = (Counter(act.key for act in acts) for acts in (expected, actual))
    certain = [
        (i, j) for i, j in pairs.all
        if (i, j) not in pairs.loose or before[expected[i].key] == after[expected[i].key] == 1
    ]  # fmt: skip
    changes.extend(_order(expected, actual, certain, alignment.turned))
    for i, j in pairs.all:
        changes.extend(_call(expected[i], actual[j], tolerance))
    return changes


def counts(
    expected: Sequence[ActionRecord],
    actual: Sequence[ActionRecord],
    pairs: Sequence[Pair],
    root: str,
    verb: str,
) -> list[Change]:
    """Acts that only one side has, told by name."""
    left, right = {i for i, _ in pairs}, {j for _, j in pairs}
    missing: defaultdict[str, list[ActionRecord]] = defaultdict(list)
    extra: defaultdict[str, list[ActionRecord]] = defaultdict(list)
    before: defaultdict[str, int] = defaultdict(int)
    after: defaultdict[str, int] = defaultdict(int)
    for acts, matched, lost, count in ((expected, left, missing, before), (actual, right, extra, after)):
        for index, act in enumerate(acts):
            count[act.key] += 1
            if index not in matched:
                lost[act.key].append(act)
    return [
        _count(name, before[name], after[name], missing[name], extra[name], root, verb)
        for name in dict.fromkeys([*missing, *extra])
        if missing[name] or extra[name]
    ]


_NOUNS = {
    "tools": "the tool ",
    "handoffs": "a handoff to ",
    "agents": "the agent ",
    "guardrails": "the guardrail ",
}


def _count(
    name: str,
    before: int,
    after: int,
    missing: list[ActionRecord],
    extra: list[ActionRecord],
    root: str,
    verb: str,
) -> Change:
    what = f"{_NOUNS[root]}{name}"
    turn = (missing or extra)[0].turn
    only = (missing or extra)[0]
    given = f" with {brief(only.arguments, 80)}" if root == "tools" and only.arguments else ""
    if after == 0:
        sentence = f"{what} was not {verb}"
        if before > 1:
            sentence += f" (expected {times(before)})"
        elif given:
            sentence += f" (expected{given})"
    elif before == 0:
        sentence = f"{what} was {verb}{' ' + times(after) if after > 1 else given}, which was not expected"
    else:
        sentence = f"{what} was {verb} {times(after)} instead of {times(before)}"
    return Change(
        Category.BEHAVIOUR,
        f"{root}.{name}.count",
        sentence,
        weight=0 if after == 0 else 1 if before == 0 else 3,
        expected=before,
        actual=after,
        expected_spans=[span for act in missing for span in act.spans],
        actual_spans=[span for act in extra for span in act.spans],
        turn=turn,
        details=[
            *(Detail("arguments", expected=act.arguments) for act in missing[:MOST_DETAILS] if act.arguments),
            *(Detail("arguments", actual=act.arguments) for act in extra[:MOST_DETAILS] if act.arguments),
        ],
    )


def _order(
    expected: Sequence[ActionRecord], actual: Sequence[ActionRecord], pairs: list[Pair], turned: bool
) -> list[Change]:
    """Pairs of calls that changed places, each told once. Calls asked for together have no order."""
    partner = dict(pairs)
    if turned:
        back = {j: i for i, j in pairs}
        found = [(back[j], back[m]) for j, m in _inversions(sorted(back.items()), actual, expected)]
    else:
        found = _inversions(pairs, expected, actual)
    changes: dict[str, Change] = {}
    for i, k in found:
        first, second = (i, k) if actual[partner[i]].batch < actual[partner[k]].batch else (k, i)
        change = _swapped(expected, actual, partner, first, second)
        changes.setdefault(change.path, change)
    return list(changes.values())


def _swapped(
    expected: Sequence[ActionRecord],
    actual: Sequence[ActionRecord],
    partner: dict[int, int],
    first: int,
    second: int,
) -> Change:
    one, other = actual[partner[first]], actual[partner[second]]
    names = [one.name, other.name]
    if one.name == other.name:
        names = [f"{act.name} with {brief(act.arguments, 40)}" for act in (one, other)]
    key = " and ".join(sorted((one.key, other.key)))
    return Change(
        Category.BEHAVIOUR,
        f"order.{key}",
        f"{names[0]} was called before {names[1]}",
        weight=2,
        expected=f"{other.key} first",
        actual=f"{one.key} first",
        expected_spans=[*expected[second].spans, *expected[first].spans],
        actual_spans=[*one.spans, *other.spans],
        turn=one.turn,
    )


def _inversions(pairs: list[Pair], here: Sequence[ActionRecord], there: Sequence[ActionRecord]) -> list[Pair]:
    """Each act of ``here`` that moved, with the nearest that stayed and that it changed places with."""
    ordered = sorted(pairs, key=lambda p: (here[p[0]].batch, there[p[1]].batch, p))
    stayed = _rising([there[j].batch for _, j in ordered])
    kept = set(stayed)
    before = [here[ordered[s][0]].batch for s in stayed]
    found: list[Pair] = []
    for index, (i, j) in enumerate(ordered):
        if index in kept:
            continue
        last_before = bisect_left(before, here[i].batch) - 1
        first_after = bisect_right(before, here[i].batch)
        for place in (last_before, first_after):
            if not 0 <= place < len(stayed):
                continue
            k, m = ordered[stayed[place]]
            if (here[i].batch < here[k].batch) != (there[j].batch < there[m].batch) and (
                there[j].batch != there[m].batch
            ):
                found.append((i, k))
                break
    return found


def _rising(values: list[int]) -> list[int]:
    """Indices of the longest run that never falls."""
    ends: list[int] = []
    at: list[int] = []
    before = [-1] * len(values)
    for index, value in enumerate(values):
        pile = bisect_right(ends, value)
        before[index] = at[pile - 1] if pile else -1
        if pile == len(ends):
            ends.append(value)
            at.append(index)
        else:
            ends[pile], at[pile] = value, index
    chosen: list[int] = []
    index = at[-1] if at else -1
    while index >= 0:
        chosen.append(index)
        index = before[index]
    return chosen[::-1]


def _call(one: ActionRecord, other: ActionRecord, tolerance: Tolerance) -> list[Change]:
    changes: list[Change] = []
    name = one.key

    def add(category: Category, what: str, sentence: str, weight: float, **more: object) -> None:
        change = Change(
            category, f"tools.{name}.{what}", sentence + turn_of(other.turn), weight,
            expected_spans=one.spans, actual_spans=other.spans, turn=other.turn,
        )  # fmt: skip
        for key, value in more.items():
            setattr(change, key, value)
        changes.append(change)

    told_by_both = one.arguments is not None and other.arguments is not None
    found = details(one.arguments, other.arguments, tolerance.arguments) if told_by_both else []
    if found:
        add(
            Category.BEHAVIOUR, "arguments", f"{name} was called {_with(told(found))}", 4,
            expected=one.arguments, actual=other.arguments, details=found,
        )  # fmt: skip
    if (one.error is None) != (other.error is None):
        failed = f"{name} failed: {brief(other.error)}" if other.error else f"{name} no longer fails"
        add(Category.BEHAVIOUR, "error", failed, 1.5, expected=one.error, actual=other.error)
    elif one.result_known and other.result_known:
        found = details(one.result, other.result, tolerance.arguments)
        if found:
            add(
                Category.CONTENT, "result", f"{name} answered {told(found)}", 30,
                expected=one.result, actual=other.result, details=found,
            )  # fmt: skip
    if one.attempts != other.attempts:
        sentence = f"{name} took {counted(other.attempts, 'attempt')} instead of {one.attempts}"
        add(Category.BEHAVIOUR, "attempts", sentence, 6, expected=one.attempts, actual=other.attempts)
    return changes


def _with(clause: str) -> str:
    return clause if clause.startswith(("with", "without")) else f"with {clause}"
