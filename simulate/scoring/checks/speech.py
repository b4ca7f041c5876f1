"""``said``, ``not_said``, ``ended_by``: what was said, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from simulate.model.expect import EndedBy, NotSaid, Said
from simulate.model.expect_text import Text
from simulate.model.persona import Persona
from simulate.model.text import folded, shorten
from simulate.model.text_values import statements
from simulate.model.transcript import Utterance
from simulate.model.verdict import Status, Verdict
from simulate.scoring.checks.check import Check, Evidence, judges
from simulate.scoring.checks.text_parts import describe_text, holds, json_mismatch
from simulate.trace.reading import Fact, Unknown

NO_JUDGE = "no model is configured to judge a meaning"
NO_JUDGE_HINT = (
    "configure one under [tool.simulate.models] as `judge`, or set OPENAI_BASE_URL and OPENAI_API_KEY; "
    "a plain text is checked without one: `said: {contains: …}`"
)


def _text(value: str | Text) -> Text:
    return Text(means=value) if isinstance(value, str) else value


def _language(evidence: Evidence) -> str:
    """The language of the conversation, in which numbers in words are read."""
    persona = evidence.scenario.persona
    return persona.speaks.language[:2].lower() if isinstance(persona, Persona) else "en"


def _considered(evidence: Evidence, in_turn: int | None) -> list[Utterance]:
    """The agent's utterances."""
    said = evidence.conversation.by("agent")
    return said if in_turn is None else [each for each in said if each.turn == in_turn]


@judges(Said)
class SaidCheck(Check[Said]):
    """The agent said a text, or what it means."""

    def describe(self) -> str:
        where = "" if self.expectation.in_turn is None else f" in turn {self.expectation.in_turn}"
        says = f"the agent says {describe_text(_text(self.expectation.said))}{where}"
        whenever = self.expectation.whenever
        return says if whenever is None else f"{says} whenever it says {describe_text(whenever)}"

    async def judge(self, evidence: Evidence) -> Verdict:
        wanted = _text(self.expectation.said)
        candidates = _considered(evidence, self.expectation.in_turn)
        if self.expectation.whenever is not None:
            return self._whenever(evidence, wanted, self.expectation.whenever, candidates)
        fitting, unknown = _parted(evidence, wanted, candidates)
        if not fitting and unknown:
            return await _by_judge_alone(self, evidence, wanted, unknown, on_yes="passed", on_no="failed")
        if not fitting:
            last = candidates[-1] if candidates else None
            fact = "it said nothing"
            if last is not None:
                fact = f"it never said so; its last words were: {shorten(last.audible, 200)}"
                if wanted.json_ is not None:
                    fact += f" ({json_mismatch(wanted.json_, last.audible)})"
            return self.verdict(
                "failed", fact, turn=last.turn if last else None, span_id=last.span_id if last else None
            )
        if wanted.means is None:
            found = fitting[0]
            return self.verdict("passed", shorten(found.audible, 200), turn=found.turn, span_id=found.span_id)
        found = await _by_meaning(self, evidence, wanted.means, fitting, on_yes="passed", on_no="failed")
        if found.status == "failed" and unknown:
            return await _by_judge_alone(self, evidence, wanted, unknown, on_yes="passed", on_no="failed")
        return found

    def _whenever(
        self, evidence: Evidence, wanted: Text, trigger: Text, said: Sequence[Utterance]
    ) -> Verdict:
        spoken, language = evidence.conversation.medium == "voice", _language(evidence)
        kept, unknown = 0, list[str]()
        for each in said:
            for sentence in statements(f"{each.audible}\n{each.doubt or ''}"):
                named = holds(trigger, sentence, spoken=spoken, language=language)
                if named is False:
                    continue
                kept_to = holds(wanted, sentence, spoken=spoken, language=language, every=True)
                if named is True and kept_to is False:
                    if each.doubt is not None:
                        unknown.append(_doubted(each))
                        continue
                    fact = f"it said: {shorten(sentence, 200)}"
                    return self.verdict("failed", fact, turn=each.turn, span_id=each.span_id)
                unknown += [one.why for one in (named, kept_to) if isinstance(one, Unknown)]
                kept += 1
        if unknown:
            return self.verdict("not_run", unknown[0])
        return self.verdict("passed", f"{kept} sentences keep to it" if kept else "it never spoke of that")


_Unsure = tuple[Utterance, str]
"""An utterance of which no rule can tell whether it holds what is expected, and why."""


def _parted(
    evidence: Evidence, wanted: Text, said: Sequence[Utterance], *, denied: bool = False
) -> tuple[list[Utterance], list[_Unsure]]:
    """The utterances that hold what needs no judge, and those of which that cannot be told."""
    spoken, language = evidence.conversation.medium == "voice", _language(evidence)
    found: list[tuple[Utterance, Fact[bool]]] = []
    for each in said:
        fits = holds(wanted, each.audible, spoken=spoken, language=language, denied=denied)
        if each.doubt is not None and fits is not holds(
            wanted, each.spoken or "", spoken=spoken, language=language, denied=denied
        ):
            fits = Unknown(_doubted(each))
        found.append((each, fits))
    return (
        [each for each, fits in found if fits is True],
        [(each, fits.why) for each, fits in found if isinstance(fits, Unknown)],
    )


async def _by_judge_alone(
    check: Check[Any],
    evidence: Evidence,
    wanted: Text,
    unsure: list[_Unsure],
    *,
    on_yes: Status,
    on_no: Status,
) -> Verdict:
    """Ask the judge what no rule can tell; what was spoken where that is in doubt, no judge can either."""
    doubted = next(((each, why) for each, why in unsure if each.doubt is not None), None)
    asked = [each for each, _ in unsure if each.doubt is None]
    if evidence.judge is not None and asked:
        means = f"It says {describe_text(wanted)}"
        found = await _by_meaning(check, evidence, means, asked, on_yes=on_yes, on_no=on_no)
        if found.status == on_yes or doubted is None:
            return found
    said, why = doubted or unsure[0]
    hint = NO_JUDGE_HINT if doubted is None else None
    return check.verdict(
        "not_run", why, turn=said.turn, span_id=said.span_id, evidence=[said.audible], hint=hint
    )


def _doubted(said: Utterance) -> str:
    return (
        f"its voice was asked to say “{shorten(said.doubt or '', 120)}”, and the caller understood "
        f"“{shorten(said.audible, 120)}”; only listening at {said.start:.1f} s tells which is wrong"
    )


@judges(NotSaid)
class NotSaidCheck(Check[NotSaid]):
    """The agent never said a text, or what it means."""

    def describe(self) -> str:
        where = "" if self.expectation.in_turn is None else f" in turn {self.expectation.in_turn}"
        return f"the agent never says {describe_text(_text(self.expectation.not_said))}{where}"

    async def judge(self, evidence: Evidence) -> Verdict:
        wanted = _text(self.expectation.not_said)
        said = _considered(evidence, self.expectation.in_turn)
        fitting, unknown = _parted(evidence, wanted, said, denied=True)
        if not fitting and unknown:
            return await _by_judge_alone(self, evidence, wanted, unknown, on_yes="failed", on_no="passed")
        if not fitting:
            return self.verdict("passed", "it never said so")
        if wanted.means is None:
            found = fitting[0]
            return self.verdict(
                "failed", f"it said: {shorten(found.audible, 200)}", turn=found.turn, span_id=found.span_id
            )
        found = await _by_meaning(self, evidence, wanted.means, fitting, on_yes="failed", on_no="passed")
        if found.status == "passed" and unknown:
            return await _by_judge_alone(self, evidence, wanted, unknown, on_yes="failed", on_no="passed")
        return found


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
    doubted = next((each for each in said if each.doubt is not None), None)
    if doubted is not None:
        as_asked = [each if each.doubt is None else replace(each, text=each.spoken or "") for each in said]
        other = await evidence.judge.means(means, as_asked, evidence.tool_calls)
        if other.label != judgement.label:
            return check.verdict("not_run", _doubted(doubted), evidence=judgement.evidence)
    return check.verdict(
        on_yes if judgement.label == "yes" else on_no,
        judgement.reason,
        evidence=judgement.evidence,
        turn=_turn_of(judgement.evidence, said),
    )


def _turn_of(quotes: list[str], utterances: list[Utterance]) -> int | None:
    for quote in quotes:
        for each in utterances:
            if folded(quote) in folded(each.audible):
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
