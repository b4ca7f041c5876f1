"""The turn-taking panel of one call, which `simulate.conversation.voice.turn_taking` measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from simulate.conversation.voice.speech_segments import Stretch
from simulate.model.percentile import percentile


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """One thing on the time axis. ``seconds`` is how long it lasted or took, None where it never came to an
    end; ``good`` says whether the agent did well, None where that is not a question."""

    kind: Literal[
        "reply",
        "no_reply",
        "barge_in",
        "agent_cut_in",
        "premature",
        "hung_up",
        "backchannel",
        "vocal_tic",
        "aside",
        "hold_music",
        "false_stop",
        "dead_air",
    ]
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
    background: bool = False
    """Whether anything but the caller's words reached the agent: noise, other voices, its own echo."""
    cuts_known: bool = False
    """Whether the agent's side tells when its speech was cut off."""

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
    def agent_interruption_rate(self) -> float | None:
        """The agent's interruptions for each turn of the caller that was due a reply (τ-voice: I_A); above 1
        where it interrupts a turn more than once."""
        return _share(self.agent_interruptions, len(self._of("reply", "no_reply")))

    @property
    def backchannel_selectivity(self) -> float | None:
        """Share of the caller's "mhm" while the agent spoke that did not silence it within
        `BACKCHANNEL_WINDOW` (τ-voice: S_BC)."""
        return self._selectivity("backchannel")

    @property
    def vocal_tic_selectivity(self) -> float | None:
        """Share of the caller's coughs and "um" that neither silenced the agent within `BACKCHANNEL_WINDOW`
        nor were answered within `RESPONSE_WINDOW` where it was silent (τ-voice: S_VT)."""
        return self._selectivity("vocal_tic")

    @property
    def aside_selectivity(self) -> float | None:
        """The same of what the caller said to somebody else (τ-voice: S_ND)."""
        return self._selectivity("aside")

    def tau_voice(self) -> dict[str, float | None]:
        """τ-voice's eight measures under their names; latencies are means, in seconds."""
        yields = [event.seconds for event in self._of("barge_in") if event.good and event.seconds is not None]
        return {
            "L_R": _rounded(_mean(self.response_latencies)),
            "L_Y": _rounded(_mean(yields)),
            "R_R": _rounded(self.response_rate),
            "R_Y": _rounded(self.yield_rate),
            "I_A": _rounded(self.agent_interruption_rate),
            "S_BC": _rounded(self.backchannel_selectivity),
            "S_VT": _rounded(self.vocal_tic_selectivity),
            "S_ND": _rounded(self.aside_selectivity),
        }

    def _selectivity(self, kind: str) -> float | None:
        events = self._of(kind)
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
            **self.tau_voice(),
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
            "background": self.background,
            "cuts_known": self.cuts_known,
            "agent": [(_rounded(one.start), _rounded(one.end)) for one in self.agent],
            "events": events,
        }

    def _of(self, *kinds: str) -> list[TurnEvent]:
        return [event for event in self.events if event.kind in kinds]


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _pace(words: int | None, seconds: float) -> float | None:
    return None if words is None or seconds < 1 else words / seconds * 60


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
