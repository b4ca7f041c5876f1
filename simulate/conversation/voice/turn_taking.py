"""From who spoke when to the turn-taking panel: who waited for whom, who talked over whom.

Everything is measured from the two channels of the recording, which is what was played and heard, never from
what either side says about itself. The conversation lends only what sound cannot tell: which of the caller's
utterances was a "mhm", where its turns begin and end when it pauses for breath, and the words.

The anchor is τ-voice (tau2-bench, ``docs/interaction-metrics.md``; ``test_panel.py`` holds these measures
against one of its calls), whose windows are ours; where we differ, the docstring says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from simulate.conversation.voice.panel import Panel, TurnEvent
from simulate.conversation.voice.speech_segments import Stretch

YIELD_WINDOW = 2.0
"""Seconds in which an agent that is interrupted should fall silent (τ-voice: no-yield window)."""
BACKCHANNEL_WINDOW = 1.0
"""Seconds after a "mhm" in which falling silent counts as having been stopped by it (τ-voice)."""
SENTENCE_GAP = 0.8
"""Seconds of silence inside what an agent says at once: agents pause 0.4 to 0.8 s between two sentences, and
that neither ends their turn nor counts as having stopped."""
_MARGIN = 0.1  # seconds of overlap that are no interruption: neither side can know within them
_AFTER_PAUSE = 0.3  # seconds after a pause of the caller in which the agent's start still answers that pause

RESPONSE_WINDOW = 2.0
"""Seconds after a cough or an aside into silence in which what the agent says answers it (τ-voice)."""
NO_TURN = ("backchannel", "vocal_tic", "aside", "hold_music")
"""What the caller says with no wish to take the turn."""

Talk = Literal["speech", "backchannel", "dtmf", "vocal_tic", "aside", "hold_music"]


@dataclass(frozen=True, slots=True)
class CallerTurn:
    """One utterance of the caller; ``pieces`` are its stretches of sound, between which it paused."""

    start: float
    end: float
    kind: Talk = "speech"
    turn: int | None = None
    pieces: tuple[Stretch, ...] = ()
    hung_up_on: bool = False
    """The agent ended the call in the middle of it."""


def measure(
    caller: Sequence[CallerTurn],
    agent: Sequence[Stretch],
    duration: float,
    *,
    silences: Sequence[Stretch] = (),
    waits: Sequence[Stretch] = (),
    cuts: Sequence[float] = (),
    agent_first: bool = False,
    caller_words: int | None = None,
    agent_words: int | None = None,
) -> Panel:
    """The panel of a call of ``duration`` seconds.

    ``caller`` and ``agent`` are in the order of time; ``silences`` are those that the caller keeps on
    purpose, ``waits`` those in which it has nothing to say and waits for the agent; ``cuts`` are moments at
    which the agent's speech is known to have been cut off; ``agent_first`` says that the agent owes a
    greeting."""
    caller = sorted(caller, key=lambda turn: turn.start)
    spoken = [piece for turn in caller for piece in turn.pieces or (Stretch(turn.start, turn.end),)]
    panel = Panel(duration, caller_words=caller_words, agent_words=agent_words, agent=agent)
    panel.caller_speech, panel.agent_speech = _total(spoken), _total(agent)
    panel.overlap = _overlap(spoken, agent)
    panel.silence = max(0.0, duration - panel.caller_speech - panel.agent_speech + panel.overlap)
    panel.time_to_first_audio = agent[0].start if agent else None
    turns = [turn for turn in caller if turn.kind not in NO_TURN]
    spurts = spurts_of(agent, turns, cuts)
    panel.events = sorted(
        [
            *_replies(turns, spurts),
            *_barge_ins(turns, spurts, duration),
            *_cut_ins(turns, spurts),
            *(TurnEvent("hung_up", one.end, None, one.turn, good=False) for one in turns if one.hung_up_on),
            *_unasked(caller, turns, spurts),
            *_dead_air(turns, spurts, silences, waits, duration, agent_first),
            *_false_stops(spoken, agent, cuts),
        ],
        key=lambda event: event.at,
    )
    return panel


def spurts_of(
    agent: Sequence[Stretch], turns: Sequence[CallerTurn], cuts: Sequence[float] = ()
) -> list[Stretch]:
    """What the agent said at once: stretches with no more than `SENTENCE_GAP` between them, unless the caller
    ended a turn in between, so that what follows is a reply, or the agent was cut off before it."""
    spurts: list[Stretch] = []
    for one in _parted(agent, cuts):
        last = spurts[-1] if spurts else None
        if (
            last is None
            or one.start - last.end > SENTENCE_GAP
            or _ended(turns, last.end, one.start)
            or any(last.end - _MARGIN <= cut <= one.start for cut in cuts)
        ):
            spurts.append(one)
        else:
            spurts[-1] = Stretch(last.start, max(last.end, one.end))
    return spurts


def _parted(agent: Sequence[Stretch], cuts: Sequence[float]) -> list[Stretch]:
    """The stretches, those that were cut off and went on at once in two."""
    parted: list[Stretch] = []
    for one in agent:
        start = one.start
        for cut in cuts:
            if start + _MARGIN < cut < one.end - _MARGIN:
                parted.append(Stretch(start, cut))
                start = cut
        parted.append(Stretch(start, one.end))
    return parted


def _ended(turns: Sequence[CallerTurn], after: float, until: float) -> bool:
    return any(after < turn.end <= until for turn in turns)


def _replies(turns: Sequence[CallerTurn], spurts: Sequence[Stretch]) -> list[TurnEvent]:
    events: list[TurnEvent] = []
    for number, turn in enumerate(turns):
        if any(spurt.start < turn.end < spurt.end for spurt in spurts):
            continue
        reply = next((spurt for spurt in spurts if spurt.start >= turn.end), None)
        following = next((other for other in turns[number + 1 :] if other.start >= turn.end), None)
        if reply is not None and (following is None or reply.start <= following.start):
            events.append(TurnEvent("reply", turn.end, reply.start - turn.end, turn.turn))
        elif following is not None:
            events.append(TurnEvent("no_reply", turn.end, following.start - turn.end, turn.turn, good=False))
    return events


def _barge_ins(turns: Sequence[CallerTurn], spurts: Sequence[Stretch], duration: float) -> list[TurnEvent]:
    events: list[TurnEvent] = []
    for turn in turns:
        spurt = next((one for one in spurts if one.start < turn.start < one.end - _MARGIN), None)
        if spurt is None or turn.kind != "speech":
            continue
        stopped = None if spurt.end >= duration - _MARGIN else spurt.end - turn.start
        good = stopped is not None and stopped <= YIELD_WINDOW
        events.append(TurnEvent("barge_in", turn.start, stopped, turn.turn, good))
    return events


def _cut_ins(turns: Sequence[CallerTurn], spurts: Sequence[Stretch]) -> list[TurnEvent]:
    events: list[TurnEvent] = []
    for turn in turns:
        for spurt in spurts:
            if not turn.start + _MARGIN < spurt.start < turn.end - _MARGIN:
                continue
            pauses = zip(turn.pieces, turn.pieces[1:], strict=False)
            paused = any(one.end <= spurt.start <= other.start + _AFTER_PAUSE for one, other in pauses)
            kind = "premature" if paused else "agent_cut_in"
            events.append(TurnEvent(kind, spurt.start, turn.end - spurt.start, turn.turn, good=False))
    return events


def _unasked(
    caller: Sequence[CallerTurn], turns: Sequence[CallerTurn], spurts: Sequence[Stretch]
) -> list[TurnEvent]:
    """What became of a "mhm", a cough, an aside or music; good where the agent let it pass."""
    events: list[TurnEvent] = []
    for said in caller:
        kind = said.kind
        if kind == "speech" or kind == "dtmf":
            continue
        spurt = next((one for one in spurts if one.start < said.start < one.end), None)
        if spurt is not None:
            left = spurt.end - said.start
            events.append(TurnEvent(kind, said.start, left, said.turn, left > BACKCHANNEL_WINDOW))
        elif kind != "backchannel" and not _owed(said.start, turns, spurts):
            answer = next((one.start for one in spurts if one.start > said.start), None)
            following = next((turn.start for turn in turns if turn.start > said.end), None)
            if answer is None or (following is not None and following < answer):
                events.append(TurnEvent(kind, said.start, None, said.turn, good=True))
            else:
                good = answer - said.end > RESPONSE_WINDOW
                events.append(TurnEvent(kind, said.start, answer - said.start, said.turn, good))
    return events


def _false_stops(
    spoken: Sequence[Stretch], agent: Sequence[Stretch], cuts: Sequence[float]
) -> list[TurnEvent]:
    """When the agent broke off its speech although the caller had said nothing lately."""
    return [
        TurnEvent("false_stop", cut, good=False)
        for cut in sorted(cuts)
        if any(one.start < cut < one.end + _MARGIN for one in agent)
        and not any(one.start - _MARGIN < cut < one.end + YIELD_WINDOW for one in spoken)
    ]


def _owed(moment: float, turns: Sequence[CallerTurn], spurts: Sequence[Stretch]) -> bool:
    """Whether the agent had yet to answer the caller's last turn, so that its answer tells nothing."""
    last = max((turn.end for turn in turns if turn.start < moment), default=None)
    return last is not None and not any(last <= one.start < moment for one in spurts)


def _dead_air(
    turns: Sequence[CallerTurn],
    spurts: Sequence[Stretch],
    silences: Sequence[Stretch],
    waits: Sequence[Stretch],
    duration: float,
    agent_first: bool,
) -> list[TurnEvent]:
    """Walk along the time axis from one end of speech to the next start of it."""
    said = [(turn.start, turn.end, turn.turn, "caller") for turn in turns]
    said += [(spurt.start, spurt.end, None, "agent") for spurt in spurts]
    if agent_first:
        said.append((0.0, 0.0, 0, "caller"))  # picking up the phone is the caller's turn
    said.sort(key=lambda one: (one[0], one[1]))
    events: list[TurnEvent] = []
    over, number, last = 0.0, None, ""
    for start, end, turn, who in [*said, (duration, duration, None, "end")]:
        waited = last == "agent" and any(one.start < start and one.end > over for one in waits)
        due = waited or (last == "caller" and who != "caller") or last == who == "agent"
        meant = any(one.start < start and one.end > over for one in silences)
        if due and start > over and not meant:
            events.append(TurnEvent("dead_air", over, start - over, number))
        number = turn if turn is not None else number
        if end >= over:
            over, last = end, who
    return events


def _total(found: Sequence[Stretch]) -> float:
    return sum(one.seconds for one in found)


def _overlap(one: Sequence[Stretch], other: Sequence[Stretch]) -> float:
    return sum(max(0.0, min(a.end, b.end) - max(a.start, b.start)) for a in one for b in other)
