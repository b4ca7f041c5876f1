"""``matches_trace``: the agent behaves as a recorded trace did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from simulate.errors import HarnessFault, InputError
from simulate.model.expect import MatchesTrace
from simulate.model.loading.places import Surroundings
from simulate.model.transcript import Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks.check import Check, Evidence, judges
from simulate.scoring.checks.tools import BLIND
from simulate.trace.diff import Category, Change, Diff, Tolerance, judged, matches

if TYPE_CHECKING:
    from simulate.scoring.judge import Judge


@judges(MatchesTrace)
class MatchesTraceCheck(Check[MatchesTrace]):
    """Behaviour and content are those of the recorded trace; cost, latency and shape are only told."""

    def describe(self) -> str:
        return f"the agent's trace behaves as {self.expectation.matches_trace}"

    async def judge(self, evidence: Evidence) -> Verdict:
        word = self.expectation
        # the search begins beside a file of the scenario's folder
        beside = (evidence.folder or Path.cwd()) / "scenario.yaml"
        path = Surroundings(beside).find(word.matches_trace)
        if path is None:
            raise HarnessFault(f"there is no trace {word.matches_trace}")
        try:
            limits = Tolerance.of({str(name): share for name, share in word.tolerance.items()})
            diff = matches(path, evidence.reading, word.ignore, limits)
        except InputError as error:
            raise HarnessFault(error.message, where=error.where, hint=error.hint) from error
        if not diff.same and evidence.judge is not None:
            diff = await judged(diff, same_meaning(evidence.judge))
        deciding = diff.of(Category.BEHAVIOUR, Category.CONTENT)
        if not deciding and diff.not_compared:
            return self.verdict("not_run", diff.not_compared[0], evidence=diff.not_compared[1:], hint=BLIND)
        if not deciding:
            others = f"; besides: {diff.changes[0].sentence}" if diff.changes else ""
            return self.verdict("passed", f"{len(diff.expected)} spans against {len(diff.actual)}{others}")
        first = deciding[0]
        return self.verdict(
            "failed",
            _told(diff, deciding),
            turn=first.turn,
            span_id=first.actual_spans[0] if first.actual_spans else None,
            evidence=[change.sentence for change in deciding[1:6]] + (diff.notes[:1] if diff.unmet else []),
            expected=first.expected,
            actual=first.actual,
            hint=f"to accept it: simulate diff {path} <the trace of this outcome> --update",
        )


def same_meaning(judge: Judge) -> Callable[[str, str], Awaitable[bool]]:
    """Two texts mean the same when each says what the other does."""

    async def says(text: str, what: str) -> bool:
        judgement = await judge.means(what, [Utterance("agent", text, 1, 0.0, 0.0)], [])
        return judgement.label == "yes"

    async def same(one: str, other: str) -> bool:
        return await says(one, other) and await says(other, one)

    return same


def _told(diff: Diff, deciding: list[Change]) -> str:
    more = f" (and {len(deciding) - 1} more changes)" if len(deciding) > 1 else ""
    return f"{deciding[0].sentence}{more}"
