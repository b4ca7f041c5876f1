"""``said``, ``not_said``, ``ended_by``: what was said, and how it ended."""

from __future__ import annotations

from typing import Any

from simulate.conversation.voice.normalise import says
from simulate.model.bounded_regex import bounded
from simulate.model.expect import EndedBy, NotSaid, Said, Text
from simulate.model.outcome import Status, Verdict
from simulate.model.text import folded, shorten
from simulate.model.transcript import Utterance
from simulate.scoring.checks.check import Check, Evidence, judges

NO_JUDGE = "no model is configured to judge a meaning"
NO_JUDGE_HINT = (
    "configure one under [tool.simulate.models] as `judge`, or set OPENAI_BASE_URL and OPENAI_API_KEY; "
    "a plain text is checked without one: `said: {contains: …}`"
)


def _text(value: str | Text) -> Text:
    return Text(means=value) if isinstance(value, str) else value


def _describe(value: Text) -> str:
    parts = [
        f"“{value.contains}”" if value.contains else "",
        f"something that matches /{value.matches}/" if value.matches else "",
        f"that {value.means[0].lower()}{value.means[1:]}" if value.means else "",
    ]
    return " and ".join(part for part in parts if part).replace("that that ", "that ")


def _holds(wanted: Text, text: str, *, spoken: bool) -> bool:
    """The parts that need no judge. What was spoken has no one spelling: "order 4-4-1-7" is order 4417."""
    if wanted.contains is not None:
        heard = folded(wanted.contains) in folded(text)
        if not heard and not (spoken and says(text, wanted.contains)):
            return False
    return wanted.matches is None or bounded(wanted.matches).search(text) is not None


def _considered(evidence: Evidence, in_turn: int | None) -> list[Utterance]:
    said = evidence.conversation.by("agent")
    return said if in_turn is None else [each for each in said if each.turn == in_turn]


@judges(Said)
class SaidCheck(Check[Said]):
    """The agent said a text, or what it means."""

    def describe(self) -> str:
        where = "" if self.expectation.in_turn is None else f" in turn {self.expectation.in_turn}"
        return f"the agent says {_describe(_text(self.expectation.said))}{where}"

    async def judge(self, evidence: Evidence) -> Verdict:
        wanted = _text(self.expectation.said)
        spoken = evidence.conversation.medium == "voice"
        candidates = _considered(evidence, self.expectation.in_turn)
        fitting = [each for each in candidates if _holds(wanted, each.received, spoken=spoken)]
        if not fitting:
            last = candidates[-1] if candidates else None
            fact = (
                "it never said so; its last words were: " + shorten(last.received, 200)
                if last
                else "it said nothing"
            )
            return self.verdict(
                "failed", fact, turn=last.turn if last else None, span_id=last.span_id if last else None
            )
        if wanted.means is None:
            found = fitting[0]
            return self.verdict(
                "passed", shorten(found.received, 200), turn=found.turn, span_id=found.span_id
            )
        return await _by_meaning(self, evidence, wanted.means, fitting, on_yes="passed", on_no="failed")


@judges(NotSaid)
class NotSaidCheck(Check[NotSaid]):
    """The agent never said a text, or what it means."""

    def describe(self) -> str:
        where = "" if self.expectation.in_turn is None else f" in turn {self.expectation.in_turn}"
        return f"the agent never says {_describe(_text(self.expectation.not_said))}{where}"

    async def judge(self, evidence: Evidence) -> Verdict:
        wanted = _text(self.expectation.not_said)
        spoken = evidence.conversation.medium == "voice"
        fitting = [
            each
            for each in _considered(evidence, self.expectation.in_turn)
            if _holds(wanted, each.received, spoken=spoken)
        ]
        if not fitting:
            return self.verdict("passed", "it never said so")
        if wanted.means is None:
            found = fitting[0]
            return self.verdict(
                "failed", f"it said: {shorten(found.received, 200)}", turn=found.turn, span_id=found.span_id
            )
        return await _by_meaning(self, evidence, wanted.means, fitting, on_yes="failed", on_no="passed")


async def _by_meaning(
    check: Check[Any], evidence: Evidence, means: str, said: list[Utterance], *, on_yes: Status, on_no: Status
) -> Verdict:
    """Ask the judge; without one, or where it cannot tell, nothing is proved either way."""
    if evidence.judge is None:
        return check.verdict("not_run", NO_JUDGE, hint=NO_JUDGE_HINT)
    judgement = await evidence.judge.means(means, said, evidence.tool_calls)
    if judgement.label == "cannot tell":
        fact = f"the judge cannot tell: {judgement.reason}"
        return check.verdict("not_run", fact, evidence=judgement.evidence)
    return check.verdict(
        on_yes if judgement.label == "yes" else on_no,
        judgement.reason,
        evidence=judgement.evidence,
        turn=_turn_of(judgement.evidence, said),
    )


def _turn_of(quotes: list[str], utterances: list[Utterance]) -> int | None:
    for quote in quotes:
        for each in utterances:
            if folded(quote) in folded(each.received):
                return each.turn
    return utterances[-1].turn if utterances else None


@judges(EndedBy)
class EndedByCheck(Check[EndedBy]):
    """Who ended the conversation."""

    def describe(self) -> str:
        return f"the conversation is ended by the {self.expectation.ended_by}"

    async def judge(self, evidence: Evidence) -> Verdict:
        conversation = evidence.conversation
        why = f" ({conversation.end_reason})" if conversation.end_reason else ""
        passed = conversation.ended_by == self.expectation.ended_by
        return self.verdict(
            "passed" if passed else "failed",
            f"it was ended by the {conversation.ended_by}{why}",
            turn=conversation.turns,
        )
