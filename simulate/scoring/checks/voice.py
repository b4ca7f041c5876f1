"""``stops_within``, ``ignores_backchannel``, ``no_dead_air``, ``talk_ratio``, ``heard``, ``dtmf``: what only
a call shows.

All but the last two are read from the turn-taking panel, which is measured from the recording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

from simulate.conversation.voice.normalise import says
from simulate.model.base import Expectation
from simulate.model.expect_voice import (
    Dtmf,
    Heard,
    IgnoresAsides,
    IgnoresBackchannel,
    IgnoresBackground,
    IgnoresHoldMusic,
    IgnoresVocalTics,
    LetsCallerFinish,
    NoDeadAir,
    StopsWithin,
    TalkRatio,
)
from simulate.model.verdict import Verdict
from simulate.scoring.checks.amounts import show_seconds
from simulate.scoring.checks.check import Check, Evidence, judges
from simulate.trace.span import Kind, Span

NO_PANEL = "the call was not recorded, so nothing can be measured from it"

V = TypeVar("V", bound=Expectation)


class _PanelCheck(Check[V], Generic[V]):
    """A check on the panel; without one it is not run."""

    async def judge(self, evidence: Evidence) -> Verdict:
        panel: dict[str, Any] | None = evidence.measures.get("turn_taking")
        if panel is None:
            return self.verdict("not_run", NO_PANEL)
        return self.look(panel)

    def look(self, panel: dict[str, Any]) -> Verdict:
        """The verdict on a panel, which is `simulate.conversation.voice.turn_taking.Panel.to_dict`."""
        raise NotImplementedError


def _events(panel: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [event for event in panel["events"] if event["kind"] == kind]


def _at(event: dict[str, Any]) -> str:
    return f"at {event['at']:.1f} s"


@judges(StopsWithin)
class StopsWithinCheck(_PanelCheck[StopsWithin]):
    """Interrupted, the agent fell silent in time, every time."""

    def describe(self) -> str:
        return f"the agent stops within {show_seconds(self.expectation.stops_within)} when interrupted"

    def look(self, panel: dict[str, Any]) -> Verdict:
        interruptions = _events(panel, "barge_in")
        if not interruptions:
            return self.verdict("not_run", "the caller never interrupted: the agent was silent when it spoke")
        endless = [event for event in interruptions if event["seconds"] is None]
        worst = endless[0] if endless else max(interruptions, key=lambda event: event["seconds"])
        took = worst["seconds"]
        passed = took is not None and took <= self.expectation.stops_within
        fact = (
            f"interrupted {_at(worst)}, it spoke on until the call ended"
            if took is None
            else f"interrupted {_at(worst)}, it fell silent after {show_seconds(took)}"
        )
        if len(interruptions) > 1:
            fact += f" (the slowest of {len(interruptions)})"
        return self.verdict(
            "passed" if passed else "failed",
            fact,
            turn=worst["turn"],
            expected=self.expectation.stops_within,
            actual=took,
        )


class _UnaskedCheck(_PanelCheck[V]):
    """A check on what the agent should have let pass."""

    kind: ClassVar[str]
    what: ClassVar[str]

    def look(self, panel: dict[str, Any]) -> Verdict:
        heard = _events(panel, self.kind)
        if not heard:
            return self.verdict("not_run", f"the caller said no {self.what} that could be answered wrongly")
        wrong = [event for event in heard if not event["good"]]
        if not wrong:
            return self.verdict("passed", f"it let pass {len(heard)} of {len(heard)}")
        first = wrong[0]
        return self.verdict(
            "failed",
            f"it reacted {show_seconds(first['seconds'])} after the {self.what} {_at(first)}"
            + (f", and {len(wrong)} of {len(heard)} times in all" if len(heard) > 1 else ""),
            turn=first["turn"],
            actual=first["seconds"],
        )


@judges(IgnoresBackchannel)
class IgnoresBackchannelCheck(_UnaskedCheck[IgnoresBackchannel]):
    """A "mhm" stopped the agent at no time."""

    kind, what = "backchannel", "“mhm”"

    def describe(self) -> str:
        return "the agent talks on when the caller only says “mhm”"


@judges(IgnoresVocalTics)
class IgnoresVocalTicsCheck(_UnaskedCheck[IgnoresVocalTics]):
    """No cough or "um" stopped the agent or was answered."""

    kind, what = "vocal_tic", "cough or the like"

    def describe(self) -> str:
        return "the agent lets a cough or an “um” pass"


@judges(IgnoresAsides)
class IgnoresAsidesCheck(_UnaskedCheck[IgnoresAsides]):
    """Nothing that was meant for somebody else stopped the agent or was answered."""

    kind, what = "aside", "words to somebody else"

    def describe(self) -> str:
        return "the agent lets pass what the caller says to somebody else"


@judges(IgnoresHoldMusic)
class IgnoresHoldMusicCheck(_UnaskedCheck[IgnoresHoldMusic]):
    """No hold music stopped the agent or was answered."""

    kind, what = "hold_music", "hold music"

    def describe(self) -> str:
        return "the agent waits while it is on hold"


@judges(IgnoresBackground)
class IgnoresBackgroundCheck(_PanelCheck[IgnoresBackground]):
    """The agent broke off for the caller alone; unknown where its side does not tell of breaking off."""

    def describe(self) -> str:
        return "the agent is stopped by nothing but the caller"

    def look(self, panel: dict[str, Any]) -> Verdict:
        if not panel.get("background"):
            return self.verdict(
                "not_run", "the agent heard nothing but the caller: give it a noise or an echo"
            )
        if not panel["agent_speech"]:
            return self.verdict("not_run", "the agent said nothing")
        stops = _events(panel, "false_stop")
        if stops:
            more = f" (and {len(stops) - 1} times more)" if len(stops) > 1 else ""
            fact = f"it broke off {_at(stops[0])}, when the caller had said nothing for two seconds{more}"
            return self.verdict("failed", fact, actual=len(stops))
        if not panel.get("cuts_known"):
            return self.verdict("not_run", "the agent's side does not tell when its speech is cut off")
        return self.verdict("passed", "it never broke off without the caller")


@judges(LetsCallerFinish)
class LetsCallerFinishCheck(_PanelCheck[LetsCallerFinish]):
    """The agent neither talked into a turn of the caller nor hung up in it."""

    def describe(self) -> str:
        return "the agent lets the caller finish"

    def look(self, panel: dict[str, Any]) -> Verdict:
        if not panel["caller_speech"]:
            return self.verdict("not_run", "the caller said nothing")
        cuts = [each for kind in ("agent_cut_in", "premature", "hung_up") for each in _events(panel, kind)]
        if not cuts:
            return self.verdict("passed", "it never began to speak inside a turn of the caller")
        first = min(cuts, key=lambda event: event["at"])
        where = " at a pause for breath" if first["kind"] == "premature" else ""
        fact = (
            f"it hung up {_at(first)}, in the middle of the caller's words"
            if first["kind"] == "hung_up"
            else f"it began to speak{where} {_at(first)}, "
            f"{show_seconds(first['seconds'])} before the caller's end"
        )
        more = f" (and {len(cuts) - 1} times more)" if len(cuts) > 1 else ""
        return self.verdict("failed", fact + more, turn=first["turn"], actual=len(cuts))


@judges(NoDeadAir)
class NoDeadAirCheck(_PanelCheck[NoDeadAir]):
    """No silence was too long while the agent was due to speak."""

    def describe(self) -> str:
        limit = show_seconds(self.expectation.no_dead_air)
        return f"nobody is silent for more than {limit} while the agent is due"

    def look(self, panel: dict[str, Any]) -> Verdict:
        if not panel["agent_speech"] and not panel["caller_speech"]:
            return self.verdict("not_run", "nobody spoke")
        silences = _events(panel, "dead_air")
        if not silences:
            return self.verdict("passed", "there was no silence while the agent was due")
        longest = max(silences, key=lambda event: event["seconds"])
        passed = longest["seconds"] <= self.expectation.no_dead_air
        return self.verdict(
            "passed" if passed else "failed",
            f"the longest silence was {show_seconds(longest['seconds'])}, {_at(longest)}",
            turn=longest["turn"],
            expected=self.expectation.no_dead_air,
            actual=longest["seconds"],
        )


@judges(TalkRatio)
class TalkRatioCheck(_PanelCheck[TalkRatio]):
    """The agent's share of all speech is within bounds."""

    def describe(self) -> str:
        bounds = self.expectation.talk_ratio
        return f"the agent's share of all speech is between {bounds.at_least:.0%} and {bounds.at_most:.0%}"

    def look(self, panel: dict[str, Any]) -> Verdict:
        share = panel["talk_ratio"]
        if share is None:
            return self.verdict("not_run", "nobody spoke")
        bounds = self.expectation.talk_ratio
        passed = bounds.at_least <= share <= bounds.at_most
        agent, caller = panel["agent_speech"], panel["caller_speech"]
        fact = f"it is {share:.0%}: {agent:.1f} s of the agent's, {caller:.1f} s of the caller's"
        return self.verdict("passed" if passed else "failed", fact, actual=share)


@judges(Heard)
class HeardCheck(Check[Heard]):
    """The agent's own speech recognition got it right."""

    def describe(self) -> str:
        where = "" if self.expectation.in_turn is None else f" in turn {self.expectation.in_turn}"
        return f"the agent hears “{self.expectation.heard}”{where}"

    async def judge(self, evidence: Evidence) -> Verdict:
        heard, language = list(_transcripts(evidence)), evidence.scenario.language
        if not heard:
            return self.verdict(
                "not_run",
                "no span of the agent's holds what its speech recognition understood",
                hint="LiveKit's and Pipecat's own tracing write it; see docs/livekit.md",
            )
        if self.expectation.in_turn is not None:
            heard = [each for each in heard if each[2] == self.expectation.in_turn]
        for span, text, turn in heard:
            if says(text, self.expectation.heard, language):
                return self.verdict("passed", f"it heard: {text}", turn=turn, span_id=span.span_id)
        # recognition may have split one utterance; together they may still hold it
        together = " ".join(text for _, text, _ in heard)
        if says(together, self.expectation.heard, language):
            return self.verdict("passed", f"it heard: {together}", span_id=heard[0][0].span_id)
        fact = (
            f"it heard: {' / '.join(text for _, text, _ in heard)}"
            if heard
            else "it heard nothing in that turn"
        )
        last = heard[-1] if heard else None
        return self.verdict(
            "failed",
            fact,
            turn=self.expectation.in_turn if last is None else last[2],
            span_id=last[0].span_id if last else None,
            expected=self.expectation.heard,
            actual=[text for _, text, _ in heard],
        )


def _transcripts(evidence: Evidence) -> Iterator[tuple[Span, str, int]]:
    """Span, text and turn of each thing that the agent's speech recognition understood, in order. A turn's
    span often repeats what its recognition's span says: then it counts once."""
    view = evidence.reading.view
    told = [
        span
        for span in sorted(evidence.trace.spans, key=lambda span: span.start_ns)
        if view(span).voice.get("transcript")
    ]
    told = [span for span in told if view(span).kind == Kind.STT] or told
    origin = evidence.conversation.started_ns
    for span in told:
        end = ((span.end_ns or span.start_ns) - origin) / 1e9
        turns = [said.turn for said in evidence.conversation.by("caller") if said.start <= end]
        yield span, str(view(span).voice["transcript"]), max(turns, default=0)


@judges(Dtmf)
class DtmfCheck(Check[Dtmf]):
    """The keys that the caller pressed turn up in what the agent did."""

    def describe(self) -> str:
        return f"the agent gets the keys {self.expectation.dtmf}"

    async def judge(self, evidence: Evidence) -> Verdict:
        keys = self.expectation.dtmf
        pressed = "".join(said.text for said in evidence.conversation.by("caller") if said.kind == "dtmf")
        if not pressed:
            return self.verdict("not_run", "the caller pressed no keys")
        if not evidence.trace.spans:
            return self.verdict("not_run", "the agent left no trace, so what it got cannot be known")
        for where, text, span_id in _places_of_keys(evidence):
            if keys in text.replace(" ", ""):
                return self.verdict("passed", f"{where} holds them", span_id=span_id)
        captured = evidence.reading.evidence.content
        if not captured and not evidence.tool_calls:
            return self.verdict("not_run", f"what the agent got cannot be known: {captured.why_not}")
        return self.verdict(
            "failed",
            f"the caller pressed {pressed}; nothing in the agent's trace holds {keys}",
            expected=keys,
        )


def _places_of_keys(evidence: Evidence) -> Iterator[tuple[str, str, str | None]]:
    """Where keys show: attributes and events that name them, what a model was told, what a tool was given."""
    for call in evidence.tool_calls:
        yield f"the call of {call.name}", json.dumps(call.arguments, default=str), call.span_id
    for span, view in evidence.reading:
        named = [value for key, value in span.attributes.items() if "dtmf" in key.lower()]
        for event in span.events:
            if "dtmf" in event.name.lower():
                named += event.attributes.values()
        yield f"the span {span.name}", " ".join(map(str, named)), span.span_id
        yield f"the span {span.name}", str(view.voice.get("transcript") or ""), span.span_id
        for message in view.input or ():
            if message.role == "user":
                yield f"what the model was told in {span.name}", message.text, span.span_id
