"""From a recording and its conversation to the panel; the conversation gets the times that were heard."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulate.conversation.call_facts import CallFacts
from simulate.conversation.voice.panel import Panel
from simulate.conversation.voice.recording import read_channels
from simulate.conversation.voice.speech_segments import Stretch, stretches
from simulate.conversation.voice.turn_taking import CallerTurn, measure
from simulate.model.transcript import Conversation, Utterance

_EARLY, _LATE = 0.7, 0.5
"""Seconds by which a voice activity detector tells of speech after it began and after it ended, at most."""


def measures_of(
    recording: Path | str,
    conversation: Conversation,
    *,
    agent_first: bool = False,
    facts: CallFacts | None = None,
) -> dict[str, Any]:
    """`panel_of`, as it goes into an outcome's measures: the flat ones, and all of it as ``turn_taking``."""
    panel = panel_of(recording, conversation, agent_first=agent_first, facts=facts)
    return {**panel.measures(), "turn_taking": panel.to_dict()}


def panel_of(
    recording: Path | str,
    conversation: Conversation,
    *,
    agent_first: bool = False,
    facts: CallFacts | None = None,
) -> Panel:
    """Measure a call, and move its utterances' ``start``, ``first`` and ``end`` to what the waveform shows;
    the caller's to when its words were played, where ``facts`` tell.

    The recording's clock is the conversation's. An utterance without any sound of its own keeps its times.
    Raises InputError where the file is not a recording."""
    facts = facts or CallFacts()
    left, right, rate = read_channels(recording)
    # what the recording holds after the caller has hung up is not part of the call
    duration = min(len(left) / rate, conversation.duration or len(left) / rate)
    end = round(duration * rate)
    said = conversation.by("caller")
    unknown = any(facts.sounds(one) is None for one in said if one.kind != "silence")
    caller = stretches(left[:end], rate) if unknown else []
    # as it came, where that is known: the line adds noise, and takes away soft beginnings and ends
    agent = stretches(right[:end], rate) if facts.agent is None else facts.agent.stretches(duration)
    turns = _place_caller(said, caller, facts)
    _place_agent(conversation.by("agent"), agent)
    panel = measure(
        turns,
        agent,
        duration,
        silences=[Stretch(one.start, one.end) for one in said if one.kind == "silence"],
        waits=[Stretch(*wait) for wait in facts.waits],
        cuts=facts.cuts,
        agent_first=agent_first,
        caller_words=_words(said),
        agent_words=_words(conversation.by("agent")),
    )
    panel.background, panel.cuts_known = facts.background, facts.cuts_known
    return panel


def _place_caller(said: Sequence[Utterance], sound: Sequence[Stretch], facts: CallFacts) -> list[CallerTurn]:
    """The caller's utterances at their sound. The harness played them itself and knows when; the channel,
    with its noise and echo, is asked only where nobody noted it."""
    turns: list[CallerTurn] = []
    for one in said:
        if one.kind == "silence":
            continue
        played = facts.sounds(one)
        pieces = [
            Stretch(max(each.start, one.start - _MARGIN), min(each.end, one.end + _MARGIN))
            for each in (sound if played is None else [Stretch(*piece) for piece in played])
            if each.start < one.end and each.end > one.start
        ]
        if pieces:
            one.start, one.end = pieces[0].start, pieces[-1].end
            one.first = one.start
        turns.append(CallerTurn(one.start, one.end, one.kind, one.turn, tuple(pieces), one.interrupted))
    return turns


_MARGIN = 0.1  # seconds by which the clock of playing may be off


def _place_agent(said: Sequence[Utterance], sound: Sequence[Stretch]) -> None:
    """Each stretch of sound belongs to the utterance in whose time most of it lies."""
    mine: dict[int, list[Stretch]] = {}
    for each in sound:
        shares = [
            (min(each.end, one.end + _LATE) - max(each.start, one.start - _EARLY), -number)
            for number, one in enumerate(said)
        ]
        share, number = max(shares, default=(0.0, 0))
        if share > 0:
            mine.setdefault(-number, []).append(each)
    for number, pieces in mine.items():
        one = said[number]
        one.start = one.first = pieces[0].start
        one.end = pieces[-1].end


def _words(said: Sequence[Utterance]) -> int | None:
    """None where nobody knows what was said."""
    texts = [one.received for one in said if one.kind not in ("dtmf", "silence", "vocal_tic", "hold_music")]
    return sum(len(re.findall(r"\w+(?:['’]\w+)?", text)) for text in texts) if texts else None
