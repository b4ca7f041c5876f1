"""Handoffs, agents, guardrails and retrievals: told like tool calls, by who and how often."""

from __future__ import annotations

from collections import defaultdict

from simulate.model.text import counted
from simulate.trace.diff import calls
from simulate.trace.diff.align import Alignment
from simulate.trace.diff.behaviour import ActionRecord, Story
from simulate.trace.diff.change import Category, Change
from simulate.trace.diff.sequence import Pair
from simulate.trace.diff.wording import details, told, turn_of
from simulate.trace.span import Kind


def changes_of(one: Story, other: Story, alignment: Alignment) -> list[Change]:
    """Handoffs, agents, guardrails and retrievals."""
    changes = _agents(one, other, alignment)
    for kind, root, verb in ((Kind.HANDOFF, "handoffs", "made"), (Kind.GUARDRAIL, "guardrails", "run")):
        before, after = one.acts[kind], other.acts[kind]
        pairs = calls.pair(before, after, alignment).all
        changes += calls.counts(before, after, pairs, root, verb)
        if kind is Kind.GUARDRAIL:
            changes += _verdicts(before, after, pairs)
    changes += _retrievals(one, other, alignment)
    return changes


def _agents(one: Story, other: Story, alignment: Alignment) -> list[Change]:
    """Which agents ran. A trace or a span that does not name its agent says nothing about that."""
    before, after = one.acts[Kind.AGENT], other.acts[Kind.AGENT]
    if not before or not after:
        return []
    renamed = _renamed(before, after, alignment)
    changes = _renamings(before, after, renamed)
    done = {i for i, _ in renamed}, {j for _, j in renamed}
    before = _named(before, done[0], alignment.left, other, after)
    after = _named(after, done[1], alignment.right, one, one.acts[Kind.AGENT])
    for change in calls.counts(before, after, calls.pair(before, after, alignment).all, "agents", "run"):
        change.weight += 0.4  # after the tools
        # how often an agent's own span appears is a matter of instrumentation; whether it ran is not
        if change.expected and change.actual:
            change.category, change.weight = Category.SHAPE, 10
        changes.append(change)
    return changes


def _named(
    acts: list[ActionRecord], done: set[int], partner: list[int], there: Story, others: list[ActionRecord]
) -> list[ActionRecord]:
    """The agents left to account for: not those renamed, nor those whose span is there but names nobody."""
    named = {act.node for act in others}
    return [
        act
        for index, act in enumerate(acts)
        if index not in done
        and not (
            partner[act.node] >= 0
            and there.forest.kind[partner[act.node]] == Kind.AGENT
            and partner[act.node] not in named
        )
    ]


def _renamed(before: list[ActionRecord], after: list[ActionRecord], alignment: Alignment) -> list[Pair]:
    """Agents that do at the same place what one of another name did, where that name is gone."""
    old, new = {act.name for act in before}, {act.name for act in after}
    at = {act.node: index for index, act in enumerate(after)}
    found: list[Pair] = []
    for i, act in enumerate(before):
        j = at.get(alignment.left[act.node], -1)
        if j >= 0 and act.name not in new and after[j].name not in old:
            found.append((i, j))
    return found


def _renamings(before: list[ActionRecord], after: list[ActionRecord], pairs: list[Pair]) -> list[Change]:
    groups: defaultdict[tuple[str, str], list[Pair]] = defaultdict(list)
    for i, j in pairs:
        groups[before[i].name, after[j].name].append((i, j))
    return [
        Change(
            Category.CONTENT, f"agents.{min(was, now)} and {max(was, now)}.name",
            f"the agent {was} is called {now}", 15, was, now,
            [span for i, _ in found for span in before[i].spans],
            [span for _, j in found for span in after[j].spans],
        )
        for (was, now), found in groups.items()
    ]  # fmt: skip


def _verdicts(before: list[ActionRecord], after: list[ActionRecord], pairs: list[Pair]) -> list[Change]:
    changes: list[Change] = []
    for i, j in pairs:
        found = details(before[i].result, after[j].result)
        if found and before[i].result is not None and after[j].result is not None:
            changes.append(
                Change(
                    Category.BEHAVIOUR, f"guardrails.{before[i].name}.verdict",
                    f"the guardrail {before[i].name} said {told(found)}{turn_of(after[j].turn)}", 5,
                    before[i].result, after[j].result, before[i].spans, after[j].spans, after[j].turn, found,
                )
            )  # fmt: skip
    return changes


def _retrievals(one: Story, other: Story, alignment: Alignment) -> list[Change]:
    before, after = one.acts[Kind.RETRIEVER], other.acts[Kind.RETRIEVER]
    if bool(before) != bool(after):
        unexpected = f"{counted(len(after), 'retrieval')}, where none was expected"
        return [
            Change(
                Category.BEHAVIOUR, "retrievals.count",
                "nothing was retrieved" if before else unexpected,
                7, len(before), len(after),
                [span for act in before for span in act.spans], [span for act in after for span in act.spans],
            )
        ]  # fmt: skip
    changes: list[Change] = []
    pairs = calls.pair(before, after, alignment)
    for i, j in pairs.all:
        if (i, j) in pairs.loose and len(pairs.all) > 1:
            continue
        for what, mine, theirs, weight in (
            ("query", before[i].arguments, after[j].arguments, 35),
            ("documents", before[i].result, after[j].result, 36),
        ):
            if mine is None or theirs is None:
                continue
            found = details(mine, theirs)
            if found:
                verb = "asked" if what == "query" else "found other documents:"
                changes.append(
                    Change(
                        Category.CONTENT, f"retrievals.{what}",
                        f"the retrieval {after[j].name} {verb} {told(found)}{turn_of(after[j].turn)}", weight,
                        mine, theirs, before[i].spans, after[j].spans, after[j].turn, found,
                    )
                )  # fmt: skip
    return changes
