"""A recording of any call, caller left and agent right: its turns, its measures, the caller's own words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from simulate.conversation.voice.panel import Panel
from simulate.conversation.voice.pcm import Pcm
from simulate.conversation.voice.recording import read_channels
from simulate.conversation.voice.speech_segments import Stretch, stretches
from simulate.conversation.voice.turn_taking import SENTENCE_GAP, CallerTurn, measure
from simulate.errors import InputError

_EDGE = 0.15  # seconds around a line that are played with it: its soft beginning and end


def panel_of_sound(recording: Path | str) -> Panel:
    """The panel as far as sound alone tells: nobody says which of the caller's sounds was a "mhm".

    Raises InputError where the file is not a recording of two channels."""
    left, right, rate = read_channels(recording)
    said, agent = stretches(left, rate), stretches(right, rate)
    turns = [
        CallerTurn(one[0].start, one[-1].end, turn=number, pieces=tuple(one))
        for number, one in enumerate(_turns(said, agent), 1)
    ]
    first = bool(agent) and (not said or agent[0].start < said[0].start)
    return measure(turns, agent, len(left) / rate, agent_first=first)


def caller_lines(recording: Path | str, count: int) -> list[Pcm]:
    """The caller's sound as ``count`` lines: between them are the longest pauses, those in which the agent
    spoke before all others.

    Raises InputError where the file is not a recording of two channels, or the caller said less."""
    left, right, rate = read_channels(recording)
    said, agent = stretches(left, rate), stretches(right, rate)
    if len(said) < count:
        raise InputError(
            f"the caller's channel holds {len(said)} pieces of speech, and the caller has {count} lines",
            where=str(recording),
            hint="the caller is on the left channel, the agent on the right",
        )
    gaps = [
        (any(before.end < one.start < after.start for one in agent), after.start - before.end, number)
        for number, (before, after) in enumerate(pairwise(said), 1)
    ]
    ends = sorted(number for *_, number in sorted(gaps, reverse=True)[: count - 1])
    lines = [said[begin:end] for begin, end in zip([0, *ends], [*ends, len(said)], strict=True)]
    return [
        Pcm(left[max(0, round((one[0].start - _EDGE) * rate)) : round((one[-1].end + _EDGE) * rate)], rate)
        for one in lines
    ]


def _turns(said: Sequence[Stretch], agent: Sequence[Stretch]) -> list[list[Stretch]]:
    turns: list[list[Stretch]] = []
    for one in said:
        last = turns[-1][-1] if turns else None
        if last is not None and (
            one.start - last.end <= SENTENCE_GAP
            and not any(last.end < other.start < one.start for other in agent)
        ):
            turns[-1].append(one)
        else:
            turns.append([one])
    return turns
