"""Whether the agent's answers are whole."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from simulate.model.expect import Complete, Expectation
from simulate.model.text import shorten
from simulate.model.transcript import Utterance
from simulate.model.verdict import Status, Verdict
from simulate.scoring.checks.check import BY_DEFAULT, Check, Evidence, judges
from simulate.trace.reading.finish import finish_of, known


@judges(Complete)
class CompleteCheck(Check[Complete]):
    """Looks at why the model of each answer stopped, where the endpoint or the trace says so."""

    def describe(self) -> str:
        return "the agent's answers are whole" if self.expectation.complete else "answers may be cut off"

    async def judge(self, evidence: Evidence) -> Verdict:
        if not self.expectation.complete:
            return self.verdict("passed", "not asked for")
        answers = evidence.conversation.by("agent")
        cut = cut_off_verdict(answers)
        if cut is not None:
            return cut
        # an answer that no model call produced was not cut off by one
        calls = [span for said in answers if (span := evidence.reading.by_id.get(said.span_id or ""))]
        if not calls or not all(known(evidence.reading.view(span)) for span in calls):
            return self.verdict("not_run", "nothing tells why the model of an answer stopped")
        return self.verdict("passed", f"all {len(answers)} answers are whole")


def by_default(expectations: Sequence[Expectation], evidence: Evidence) -> list[Verdict]:
    """What is wrong with answers that the caller went on from, where the scenario says nothing of it."""
    if any(isinstance(each, Complete) for each in expectations):
        return []
    gone_on_from = [
        said
        for said, after in pairwise(evidence.conversation.utterances)
        if said.speaker == "agent" and after.speaker == "caller"
    ]
    cut = cut_off_verdict(gone_on_from)
    return [] if cut is None else [cut]


def cut_off_verdict(answers: list[Utterance]) -> Verdict | None:
    """A verdict on the first answer that is not whole: the agent's, or where its model broke, nobody's."""
    cut = next((said for said in answers if said.cut_off is not None), None)
    if cut is None:
        return None
    broke = finish_of(cut.cut_off) == "error"
    status: Status = "error" if broke else "failed"
    return Verdict(
        "complete",
        "the agent's answers are whole",
        status,
        f"the answer of turn {cut.turn} was cut off ({cut.cut_off}): …{shorten(cut.text[-120:], 120)}",
        side="environment" if broke else "agent",
        turn=cut.turn,
        span_id=cut.span_id,
        hint="raise the agent's token limit, or allow it: `complete: false`",
    )


BY_DEFAULT.append(by_default)
