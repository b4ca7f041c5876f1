"""``scores``: named evaluators on the agent's trace, one verdict each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulate.model.expect import Called, NotCalled, Scores
from simulate.model.loading.project import Project
from simulate.model.reference import ExpectedCall, Reference
from simulate.model.scenario import Scenario
from simulate.model.verdict import Verdict
from simulate.scoring.checks.check import Check, Evidence, judges
from simulate.scoring.evaluators.attach import emit_logs
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.result import Result
from simulate.scoring.evaluators.scoring import choose, score


@judges(Scores)
class ScoresCheck(Check[Scores]):
    """Each evaluator reaches its least score."""

    def describe(self) -> str:
        least = ", ".join(f"{name} {value:g}" for name, value in self.expectation.scores.items())
        return f"the agent reaches at least {least}"

    async def verdicts(self, evidence: Evidence) -> list[Verdict]:
        wanted = self.expectation.scores
        reference = reference_of(evidence.scenario, self.expectation.reference)
        if reference.writes is None:
            reference = reference.model_copy(update={"writes": evidence.writes})
        material = EvaluationContext(
            evidence.reading,
            reference,
            evidence.conversation,
            evidence.tool_calls,
            evidence.no_tools_because,
            contacts=Project.find(evidence.project or ".").contacts,
        )
        least = {name.rpartition(":")[2]: value for name, value in wanted.items()}
        results = await score(material, choose(wanted, wanted), judge=evidence.judge, thresholds=least)
        evidence.scores += results
        emit_logs(results)
        return [self._verdict(result, evidence) for result in results]

    def _verdict(self, result: Result, evidence: Evidence) -> Verdict:
        said = [
            one for one in evidence.conversation.utterances if one.span_id and one.span_id == result.span_id
        ]
        calls = [one for one in evidence.tool_calls if one.span_id and one.span_id == result.span_id]
        details: dict[str, Any] = {
            "score": result.value,
            "threshold": result.threshold,
            "evidence": list(result.evidence),
            "span_id": result.span_id,
            "turn": next((one.turn for one in [*said, *calls]), None),
            "hint": result.hint,
        }
        expected = f"{result.evaluator} is at least {result.threshold:g}"
        status = "not_run" if result.passed is None else "passed" if result.passed else "failed"
        if result.status == "error":
            return Verdict("scores", expected, "error", result.explanation, side=result.side, **details)
        side = "agent" if status == "failed" else None
        return Verdict("scores", expected, status, result.explanation, side=side, **details)


def reference_of(scenario: Scenario, given: Reference | None = None) -> Reference:
    """What is right in a scenario: as the expectation says, and where it leaves something open, as the rest
    of the scenario does: ``goal:``, the tools of ``called:`` in any order, each call once, those of
    ``not_called:``."""
    reference = given or Reference()
    found: dict[str, Any] = {}
    if reference.goal is None and scenario.goal:
        found["goal"] = scenario.goal
    calls = [one for one in scenario.expect if isinstance(one, Called) and not _never(one)]
    if reference.tools is None and calls:
        found["tools"] = expected_calls(calls)
        found["order"] = reference.order if "order" in reference.model_fields_set else "any_order"
    named = {one.name for one in found.get("tools", reference.tools or ())}
    if not reference.forbidden:
        found["forbidden"] = [
            one.not_called
            for one in scenario.expect
            if isinstance(one, NotCalled) and one.with_ is None and one.not_called not in named
        ]
    return reference.model_copy(update=found)


def expected_calls(expected: Sequence[Called]) -> list[ExpectedCall]:
    """The fewest calls that keep all these expectations: two lines about one tool may mean one call, unless
    their arguments contradict each other."""
    found: list[ExpectedCall] = []
    for one in expected:
        free = [at for at, call in enumerate(found) if call.name == one.called]
        for _ in range(_least(one)):
            at = next((at for at in free if _may_be_one(found[at].arguments, one.with_)), None)
            if at is None:
                found.append(ExpectedCall(name=one.called, arguments=one.with_))
                continue
            free.remove(at)
            if one.with_ is not None:
                both = {**one.with_, **(found[at].arguments or {})}
                found[at] = ExpectedCall(name=one.called, arguments=both)
    return found


def _may_be_one(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Whether one call can have both arguments: what is written out in both is equal. What a matcher lets
    through is not worked out."""
    shared = (one or {}).keys() & (other or {}).keys()
    pairs = (((one or {})[key], (other or {})[key]) for key in shared)
    return all(a == b or isinstance(a, dict) or isinstance(b, dict) for a, b in pairs)


def _least(one: Called) -> int:
    if one.times is None:
        return 1
    return one.times if isinstance(one.times, int) else one.times.at_least


def _never(one: Called) -> bool:
    return _least(one) == 0
