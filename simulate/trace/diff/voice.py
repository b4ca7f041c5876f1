"""Voice: who spoke when, who was interrupted, and how long the other side waited."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from simulate.model.text import counted
from simulate.trace.diff import content as contents
from simulate.trace.diff.behaviour import Speech, Story
from simulate.trace.diff.change import Category, Change, Tolerance
from simulate.trace.diff.sequence import common
from simulate.trace.diff.wording import brief, near, seconds

_WAITS = (
    ("user_to_agent_latency", "the caller waited"),
    ("end_of_turn_delay", "the end of the caller's turn was noticed after"),
    ("time_to_first_byte", "the first sound took"),
)


def voice_changes(one: Story, other: Story, tolerance: Tolerance) -> list[Change]:
    """Nothing, unless both sides are voice."""
    if not one.speech or not other.speech:
        return []
    return [*_turns(one, other), *_interruptions(one, other), *_latencies(one, other, tolerance)]


def _turns(one: Story, other: Story) -> list[Change]:
    """The order of the speakers, and what the caller was understood to say."""
    orders = [_speakers(story.speech) for story in (one, other)]
    changes: list[Change] = []
    if orders[0] != orders[1]:
        same = common(orders[0], orders[1])
        at = next((i for i, (s, t) in enumerate(same) if s != i or t != i), len(same))
        now = orders[1][at] if at < len(orders[1]) else "nobody"
        was = orders[0][at] if at < len(orders[0]) else "nobody"
        when = f"after {counted(at, 'turn')} of speech" if at else "from the start"
        sentence = (
            f"{_the(now)} spoke where {_the(was)} was expected, {when}"
            if now != was
            else f"the two sides spoke {len(orders[1])} times by turns instead of {len(orders[0])}"
        )
        changes.append(Change(Category.BEHAVIOUR, "voice.speakers", sentence, 9, orders[0], orders[1]))
    heard = [[speech for speech in story.speech if speech.speaker == "caller"] for story in (one, other)]
    if len(heard[0]) == len(heard[1]):
        for number, (mine, theirs) in enumerate(zip(*heard, strict=True), start=1):
            unknown = mine.text is None or theirs.text is None
            if not unknown and not contents.same(mine.text, theirs.text):
                changes.append(_understood(one, other, mine, theirs, number))
    return changes


def _the(speaker: str) -> str:
    return speaker if speaker == "nobody" else f"the {speaker}"


def _understood(one: Story, other: Story, mine: Speech, theirs: Speech, number: int) -> Change:
    return Change(
        Category.CONTENT,
        f"voice.heard.{number}",
        f"the caller was understood as {brief(theirs.text)} instead of {brief(mine.text)} in turn {number}",
        25,
        mine.text,
        theirs.text,
        [one.forest.spans[mine.node].span_id],
        [other.forest.spans[theirs.node].span_id],
        number,
    )


def _speakers(speech: list[Speech]) -> list[str]:
    """Who spoke, each change of speaker once."""
    found: list[str] = []
    for part in speech:
        if not found or found[-1] != part.speaker:
            found.append(part.speaker)
    return found


def _interruptions(one: Story, other: Story) -> list[Change]:
    before, after = _interrupted(one), _interrupted(other)
    turns = [[turn for turn, _ in found] for found in (before, after)]
    if turns[0] == turns[1]:
        return []
    was, now = (" and ".join(f"turn {turn}" for turn in found) for found in turns)
    if not after:
        sentence = f"the agent was not interrupted; expected in {was}"
    elif not before:
        sentence = f"the agent was interrupted in {now}, which was not expected"
    else:
        sentence = f"the agent was interrupted in {now} instead of {was}"
    return [
        Change(
            Category.BEHAVIOUR, "voice.interruptions", sentence, 9.5, turns[0], turns[1],
            [span for _, span in before], [span for _, span in after], (turns[1] or turns[0])[0],
        )
    ]  # fmt: skip


def _interrupted(story: Story) -> list[tuple[int, str]]:
    """Turn and span of each interruption: the topmost span that says so and in which the agent spoke."""
    forest = story.forest
    spoken = {speech.node for speech in story.speech if speech.speaker == "agent"}
    turns = [speech.node for speech in story.speech if speech.speaker == "caller"]
    found: list[tuple[int, str]] = []
    until = 0
    for node, view in enumerate(forest.views):
        if node < until or view.voice.get("interrupted") is not True:
            continue
        inside = range(node, node + forest.size[node])
        if any(at in spoken for at in inside):
            moment = forest.spans[max(at for at in inside if at in spoken)].start_ns
            turn = sum(1 for at in turns if forest.spans[at].start_ns <= moment)
            found.append((turn, forest.spans[node].span_id))
            until = inside.stop
    return found


def _latencies(one: Story, other: Story, tolerance: Tolerance) -> list[Change]:
    before, after = _waits(one), _waits(other)
    changes: list[Change] = []
    for name, phrase in _WAITS:
        if not before[name] or not after[name]:
            continue
        mine, theirs = median(before[name]), median(after[name])
        if not near(mine, theirs, tolerance.latency, tolerance.seconds):
            changes.append(
                Change(
                    Category.LATENCY, f"latency.{name}",
                    f"{phrase} {seconds(theirs)} instead of {seconds(mine)} (median)", 55, mine, theirs,
                )
            )  # fmt: skip
    return changes


def _waits(story: Story) -> dict[str, list[float]]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for view in story.forest.views:
        for name, _ in _WAITS:
            value = view.voice.get(name) if view.voice else None
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[name].append(float(value))
    return found
