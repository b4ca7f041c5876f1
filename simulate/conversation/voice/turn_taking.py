"""The turn-taking panel: who spoke when, who waited for whom, who talked over whom.

Everything is measured from the two channels of the recording, which is what was played and heard, never from
what either side says about itself. The conversation lends only what sound cannot tell: which of the caller's
utterances was a "mhm", where its turns begin and end when it pauses for breath, and the words.

The anchor is τ-voice (tau2-bench, ``docs/interaction-metrics.md``; ``test_panel.py`` holds these measures
against one of its calls), whose windows are ours; where we differ, the docstring says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from simulate.conversation.voice.speech_segments import Stretch
from simulate.model.percentile import percentile

YIELD_WINDOW = 2.0
"""Seconds in which an agent that is interrupted should fall silent (τ-voice: no-yield window)."""
BACKCHANNEL_WINDOW = 1.0
"""Seconds after a "mhm" in which falling silent counts as having been stopped by it (τ-voice)."""
SENTENCE_GAP = 0.8
"""Seconds of silence inside what an agent says at once: agents pause 0.4 to 0.8 s between two sentences, and
that neither ends their turn nor counts as having stopped."""
_MARGIN = 0.1  # seconds of overlap that are no interruption: neither side can know within them
_AFTER_PAUSE = 0.3  # seconds after a pause of the caller in which the agent's start still answers that pause

Talk = Literal["speech", "backchannel", "dtmf"]


@dataclass(frozen=True, slots=True)
class CallerTurn:
    """One utterance of the caller; ``pieces`` are its stretches of sound, between which it paused."""

    start: float
    end: float
    kind: Talk = "speech"
    turn: int | None = None
    pieces: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """One thing on the time axis. ``seconds`` is how long it lasted or took, None where it never came to an
    end; ``good`` says whether the agent did well, None where that is not a question."""

    kind: Literal["reply", "no_reply", "barge_in", "agent_cut_in", "premature", "backchannel", "dead_air"]
    at: float
    seconds: float | None = None
    turn: int | None = None
    good: bool | None = None


@dataclass(slots=True)
class Panel:
    """The measures of one call; seconds, shares between 0 and 1, None where there was nothing to measure."""

    duration: float
    events: list[TurnEvent] = field(default_factory=list[TurnEvent])
    caller_speech: float = 0.0
    """Seconds of sound of the caller."""
    agent_speech: float = 0.0
    overlap: float = 0.0
    """Seconds in which both spoke."""
    silence: float = 0.0
    """Seconds in which nobody spoke."""
    time_to_first_audio: float | None = None
    """From the begin of the call to the agent's first sound; a greeting, or the first reply."""
    caller_words: int | None = None
    agent_words: int | None = None
    agent: Sequence[Stretch] = ()
    """The agent's sound, stretch by stretch."""

    @property
    def response_latencies(self) -> list[float]:
        """End of a turn of the caller to the start of the agent's reply (τ-voice: L_R, which is their mean).

        Left out, as there: turns at whose end the agent was speaking, since nobody waited."""
        return [event.seconds for event in self._of("reply") if event.seconds is not None]

    @property
    def response_rate(self) -> float | None:
        """Share of the caller's turns that got a reply before the caller had to speak again (τ-voice: R_R).
        A last turn after which nobody spoke is not counted."""
        return _share(len(self._of("reply")), len(self._of("reply", "no_reply")))

    @property
    def caller_interruptions(self) -> int:
        """How often the caller began to speak, and not to say "mhm", while the agent was speaking.
        τ-voice also counts a start in the same 0.2 s as the agent's own."""
        return len(self._of("barge_in"))

    @property
    def stop_times(self) -> list[float | None]:
        """Start of each interruption by the caller to the agent's silence (τ-voice: L_Y); None where the
        agent spoke until the call's end. Silence between two sentences is none (`SENTENCE_GAP`)."""
        return [event.seconds for event in self._of("barge_in")]

    @property
    def yield_rate(self) -> float | None:
        """Share of the caller's interruptions at which the agent fell silent within `YIELD_WINDOW`
        (τ-voice: R_Y)."""
        events = self._of("barge_in")
        return _share(sum(event.good is True for event in events), len(events))

    @property
    def agent_interruptions(self) -> int:
        """How often the agent began to speak inside a turn of the caller, more than 0.1 s from its ends
        (τ-voice: the count behind I_A, without the margin)."""
        return len(self._of("agent_cut_in", "premature"))

    @property
    def premature_ends(self) -> int:
        """Those of them that came in, or right after, a pause of the caller: the agent took a breath for the
        end of the turn (Full-Duplex-Bench's pause handling, as a count)."""
        return len(self._of("premature"))

    @property
    def backchannel_selectivity(self) -> float | None:
        """Share of the caller's "mhm" while the agent spoke that did not silence it within
        `BACKCHANNEL_WINDOW` (τ-voice: S_BC)."""
        events = self._of("backchannel")
        return _share(sum(event.good is True for event in events), len(events))

    @property
    def dead_air(self) -> list[TurnEvent]:
        """Each silence of both sides while the agent was due: from the end of a turn of the caller to the
        agent's reply, between two things the agent said in a row, before a greeting it owes, and after its
        own words where the caller waited for more; not while the caller stays silent on purpose. The words
        are those of callback-voice and hotato; the bounds ours."""
        return self._of("dead_air")

    @property
    def talk_ratio(self) -> float | None:
        """The agent's share of all seconds of speech, overlaps counted on both sides."""
        both = self.agent_speech + self.caller_speech
        return _share(self.agent_speech, both)

    @property
    def words_per_minute(self) -> tuple[float | None, float | None]:
        """Of caller and agent: words over minutes of own sound, pauses up to 0.2 s included."""
        return _pace(self.caller_words, self.caller_speech), _pace(self.agent_words, self.agent_speech)

    def measures(self) -> dict[str, float | int | None]:
        """Flat, for an outcome's ``measures``; unknown is None."""
        replies = self.response_latencies
        stops = [seconds for seconds in self.stop_times if seconds is not None]
        caller_pace, agent_pace = self.words_per_minute
        # an agent that never stopped has no slowest stop: a figure would make it look better than it was
        endless = len(stops) < len(self.stop_times)
        return {
            "reply_p50_seconds": _rounded(percentile(replies, 50)),
            "reply_p95_seconds": _rounded(percentile(replies, 95)),
            "time_to_first_audio_seconds": _rounded(self.time_to_first_audio),
            "response_rate": _rounded(self.response_rate),
            "caller_interruptions": self.caller_interruptions,
            "stop_p50_seconds": None if endless else _rounded(percentile(stops, 50)),
            "stop_max_seconds": None if endless else _rounded(percentile(stops, 100)),
            "yield_rate": _rounded(self.yield_rate),
            "agent_interruptions": self.agent_interruptions,
            "premature_ends": self.premature_ends,
            "backchannel_selectivity": _rounded(self.backchannel_selectivity),
            "overlap_seconds": _rounded(self.overlap),
            "silence_seconds": _rounded(self.silence),
            "dead_air_max_seconds": _rounded(
                percentile([event.seconds or 0.0 for event in self.dead_air], 100)
            ),
            "talk_ratio": _rounded(self.talk_ratio),
            "caller_words_per_minute": _rounded(caller_pace, 0),
            "agent_words_per_minute": _rounded(agent_pace, 0),
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything, for checks and the report: ``events`` in the order of time, and the amounts."""
        events = [asdict(event) for event in self.events]
        for event in events:
            event["at"], event["seconds"] = _rounded(event["at"]), _rounded(event["seconds"])
        return {
            "duration": _rounded(self.duration),
            "caller_speech": _rounded(self.caller_speech),
            "agent_speech": _rounded(self.agent_speech),
            "talk_ratio": _rounded(self.talk_ratio),
            "agent": [(_rounded(one.start), _rounded(one.end)) for one in self.agent],
            "events": events,
        }

    def _of(self, *kinds: str) -> list[TurnEvent]:
        return [event for event in self.events if event.kind in kinds]


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
    turns = [turn for turn in caller if turn.kind != "backchannel"]
    spurts = spurts_of(agent, turns, cuts)
    panel.events = sorted(
        [
            *_replies(turns, spurts),
            *_barge_ins(turns, spurts, duration),
            *_cut_ins(turns, spurts),
            *_backchannels(caller, spurts),
            *_dead_air(turns, spurts, silences, waits, duration, agent_first),
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


def _backchannels(caller: Sequence[CallerTurn], spurts: Sequence[Stretch]) -> list[TurnEvent]:
    events: list[TurnEvent] = []
    for said in caller:
        spurt = next((one for one in spurts if one.start < said.start < one.end), None)
        if said.kind != "backchannel" or spurt is None:
            continue
        left = spurt.end - said.start
        events.append(TurnEvent("backchannel", said.start, left, said.turn, left > BACKCHANNEL_WINDOW))
    return events


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


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _pace(words: int | None, seconds: float) -> float | None:
    return None if words is None or seconds < 1 else words / seconds * 60


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def _total(found: Sequence[Stretch]) -> float:
    return sum(one.seconds for one in found)


def _overlap(one: Sequence[Stretch], other: Sequence[Stretch]) -> float:
    return sum(max(0.0, min(a.end, b.end) - max(a.start, b.start)) for a in one for b in other)
