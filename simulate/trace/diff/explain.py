"""What changed apart from tool calls: models, answers, handoffs, errors, cost, latency, shape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from simulate.model.text import counted, dollars
from simulate.trace.diff import calls, handoffs_and_retrievals
from simulate.trace.diff import content as contents
from simulate.trace.diff.align import Alignment
from simulate.trace.diff.behaviour import ModelCall, Story
from simulate.trace.diff.change import Category, Change, Tolerance
from simulate.trace.diff.sequence import Pair
from simulate.trace.diff.wording import brief, contrast, details, near, seconds, told
from simulate.trace.reading.parts import tool_offered
from simulate.trace.span import Kind


def explain(one: Story, other: Story, alignment: Alignment, tolerance: Tolerance) -> list[Change]:
    """All changes between two stories, in no order."""
    models = _pairs(one.models, other.models, alignment)
    changes: list[Change] = []
    if one.evidence and other.evidence:
        changes += calls.tool_changes(one.tools, other.tools, alignment, tolerance)
    changes += handoffs_and_retrievals.changes_of(one, other, alignment)
    changes += _outcome(one, other)
    changes += _models(one, other, models)
    changes += _answers(one, other, alignment)
    changes += _cost(one, other, tolerance)
    changes += _latency(one, other, tolerance)
    return changes


def _pairs(one: Sequence[ModelCall], other: Sequence[ModelCall], alignment: Alignment) -> list[Pair]:
    at = {call.node: index for index, call in enumerate(other)}
    found = ((i, at.get(alignment.left[call.node], -1)) for i, call in enumerate(one))
    return [(i, j) for i, j in found if j >= 0]


def _outcome(one: Story, other: Story) -> list[Change]:
    """Errors of the run itself and of its model calls; those of tools are told with the tools."""
    changes: list[Change] = []
    ends = [_failure(story) for story in (one, other)]
    if (ends[0] is None) != (ends[1] is None):
        sentence = f"the run failed: {brief(ends[1])}" if ends[1] else "the run no longer fails"
        changes.append(Change(Category.BEHAVIOUR, "outcome.error", sentence, 0.5, ends[0], ends[1]))
    failed = [[call for call in story.models if call.view.error] for story in (one, other)]
    if len(failed[0]) != len(failed[1]):
        last = failed[1][-1].view.error if failed[1] else None
        sentence = (
            f"{counted(len(failed[1]), 'model call')} failed instead of {len(failed[0])}: {brief(last)}"
            if failed[1]
            else f"no model call failed; expected {len(failed[0])} that did"
        )
        changes.append(
            Change(
                Category.BEHAVIOUR, "models.errors", sentence, 5.5, len(failed[0]), len(failed[1]),
                [call.span.span_id for call in failed[0]], [call.span.span_id for call in failed[1]],
            )
        )  # fmt: skip
    if one.turns and other.turns and one.turns != other.turns and one.captured and other.captured:
        changes.append(
            Change(
                Category.BEHAVIOUR, "turns.count",
                f"the conversation took {counted(other.turns, 'turn')} instead of {one.turns}", 8,
                one.turns, other.turns,
            )
        )  # fmt: skip
    return changes


def _failure(story: Story) -> str | None:
    forest = story.forest
    for node in forest.children(-1):
        if forest.spans[node].status == "error" and forest.kind[node] != "TOOL":
            return forest.views[node].error or forest.spans[node].status_message or "error"
    return None


def _models(one: Story, other: Story, pairs: list[Pair]) -> list[Change]:
    changes: list[Change] = []
    readers: tuple[tuple[str, str, float, Callable[[ModelCall], Any]], ...] = (
        ("instructions", "the system prompt changed", 12, _instructions),
        ("prompt", "the prompt's version changed", 13, lambda call: call.view.prompt_version),
        ("offered", "the tools offered to the model changed", 14, _offered),
        ("route", "the gateway went another way", 16, _route),
    )
    changes += _model_names(one, other, pairs)
    for what, sentence, weight, read in readers:
        groups: defaultdict[bytes, list[Pair]] = defaultdict(list)
        for i, j in pairs:
            mine, theirs = read(one.models[i]), read(other.models[j])
            if mine is not None and theirs is not None and not contents.same(mine, theirs):
                groups[contents.dumped([mine, theirs])].append((i, j))
        for found in groups.values():
            i, j = found[0]
            mine, theirs = read(one.models[i]), read(other.models[j])
            more = details(mine, theirs)
            changes.append(
                Change(
                    Category.CONTENT, f"models.{what}", f"{sentence}: {told(more)}", weight, mine, theirs,
                    [one.models[i].span.span_id for i, _ in found],
                    [other.models[j].span.span_id for _, j in found], details=more,
                )
            )  # fmt: skip
    return changes


def _instructions(call: ModelCall) -> str | None:
    if call.view.instructions is not None:
        return call.view.instructions
    found = [message.text for message in call.view.input or () if message.role in ("system", "developer")]
    return found[0] if found else None


def _offered(call: ModelCall) -> Any:
    if call.view.tool_definitions is None:
        return None
    return sorted({name for one in call.view.tool_definitions if (name := tool_offered(one)) is not None})


def _route(call: ModelCall) -> Any:
    known = ("resolved_provider", "fallback", "original_target")
    return {key: call.view.gateway[key] for key in known if call.view.gateway.get(key) is not None} or None


def _model_names(one: Story, other: Story, pairs: list[Pair]) -> list[Change]:
    groups: defaultdict[tuple[str, str], list[Pair]] = defaultdict(list)
    for i, j in pairs:
        mine, theirs = one.models[i].view, other.models[j].view
        before = {_bare(name) for name in (mine.request_model, mine.response_model) if name}
        after = {_bare(name) for name in (theirs.request_model, theirs.response_model) if name}
        if before and after and not before & after:
            was = mine.request_model or mine.response_model or ""
            now = theirs.request_model or theirs.response_model or ""
            groups[was, now].append((i, j))
    return [
        Change(
            Category.CONTENT, f"models.{min(was, now)} and {max(was, now)}.name",
            f"the model changed from {was} to {now}" + (f" in {len(found)} calls" if len(found) > 1 else ""),
            10, was, now,
            [one.models[i].span.span_id for i, _ in found], [other.models[j].span.span_id for _, j in found],
        )
        for (was, now), found in groups.items()
    ]  # fmt: skip


def _bare(name: str) -> str:
    """A model's name without the provider that a gateway puts before it (``openai/gpt-5``)."""
    return name.rsplit("/", 1)[-1].casefold()


def _answers(one: Story, other: Story, alignment: Alignment) -> list[Change]:
    """What the agent said at the end of each turn, by aligned spans first, by its number otherwise."""
    before, after = one.answers(), other.answers()
    by_node = {call.node: turn for turn, call in after.items()}
    changes: list[Change] = []
    taken: set[int] = set()
    rest: list[int] = []
    pairs: list[tuple[int | None, int | None]] = []
    for turn, call in before.items():
        match = by_node.get(alignment.left[call.node])
        if match is None:
            rest.append(turn)
        else:
            pairs.append((turn, match))
            taken.add(match)
    for turn in rest:
        free = turn in after and turn not in taken
        pairs.append((turn, turn if free else None))
        taken.add(turn if free else -1)
    pairs.extend((None, turn) for turn in after if turn not in taken)
    for was, now in pairs:
        mine, theirs = before.get(was or -1, None), after.get(now or -1, None)
        if was == 0:
            mine = before[0]
        if now == 0:
            theirs = after[0]
        if mine is not None and theirs is not None and contents.same(mine.text, theirs.text):
            continue
        if (mine is None and not one.captured) or (theirs is None and not other.captured):
            continue
        changes.append(_answer(mine, theirs, max(turn for turn in (was, now) if turn is not None)))
    return changes


def _answer(mine: ModelCall | None, theirs: ModelCall | None, turn: int | None) -> Change:
    text = None if mine is None else mine.text
    now = None if theirs is None else theirs.text
    name = f"turn {turn}" if turn else "the opening"
    if now is None:
        sentence = f"{name} was not answered; expected {brief(text, 80)}"
    elif text is None:
        sentence = f"{name} answers {brief(now, 80)}, where nothing was expected"
    else:
        after, before = contrast(now, text, 70)
        sentence = f"{name} answers something else: {after} instead of {before}"
    return Change(
        Category.CONTENT, f"answers.{turn or 0}", sentence, 20 + min(turn or 0, 9_000) / 1_000, text, now,
        [] if mine is None else [mine.span.span_id], [] if theirs is None else [theirs.span.span_id], turn,
    )  # fmt: skip


def _cost(one: Story, other: Story, tolerance: Tolerance) -> list[Change]:
    """Tokens and money, with the calls that account for them."""
    parts: list[str] = []
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    shares = (0.0, 0.0, tolerance.tokens, tolerance.tokens, tolerance.cost)
    for (name, noun), share, mine, theirs in zip(_COUNTED, shares, _spent(one), _spent(other), strict=True):
        if mine is None or theirs is None or near(mine, theirs, share):
            continue
        if name == "retrievals" and not (mine and theirs):
            continue
        before[name], after[name] = mine, theirs
        gap = abs(theirs - mine)
        word = "more" if theirs > mine else "fewer" if noun else "less"
        parts.append(
            f"{gap:,.0f} {word} {noun if gap == 1 else noun + 's'}" if noun else f"{dollars(gap)} {word}"
        )
    return [
        Change(Category.COST, f"cost.{name.replace(' ', '_')}", part, 40 + index, before[name], after[name])
        for index, (name, part) in enumerate(zip(before, parts, strict=True))
    ]


_COUNTED = (
    ("retrievals", "retrieval"),
    ("model calls", "model call"),
    ("input tokens", "input token"),
    ("output tokens", "output token"),
    ("dollars", ""),
)


def _spent(story: Story) -> tuple[float | None, ...]:
    sums = (_sum(story, name) for name in ("input_tokens", "output_tokens", "cost"))
    return (len(story.acts[Kind.RETRIEVER]), len(story.models), *sums)


def _sum(story: Story, name: str) -> float | None:
    values = [getattr(call.view, name) for call in story.models]
    known = [value for value in values if value is not None]
    # a sum over some of the calls would pass for one over all of them
    return sum(known) if known and len(known) == len(values) else None


def _latency(one: Story, other: Story, tolerance: Tolerance) -> list[Change]:
    changes: list[Change] = []
    firsts = [
        [value for call in story.models if (value := call.view.time_to_first_token) is not None]
        for story in (one, other)
    ]
    for path, noun, mine, theirs in (
        ("latency.total", "the run took", one.duration, other.duration),
        ("latency.first_token", "the first token took", *(median(f) if f else None for f in firsts)),
    ):
        if mine is None or theirs is None or near(mine, theirs, tolerance.latency, tolerance.seconds):
            continue
        changes.append(
            Change(
                Category.LATENCY,
                path,
                f"{noun} {seconds(theirs)} instead of {seconds(mine)}",
                60,
                mine,
                theirs,
            )
        )
    return changes
