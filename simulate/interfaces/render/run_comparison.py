"""What became better or worse from one run to the next, scenario by scenario, and by which causes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from simulate.interfaces.render.page import page
from simulate.model.cause import cause
from simulate.model.explain import Line
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.text import line
from simulate.model.whole_file import write_pieces
from simulate.trace.redaction.mask import SecretMask

Change = Literal["broke", "worse", "failing", "unclear", "gone", "new", "better", "mended", "passing"]
SAYS: dict[Change, str] = {
    "broke": "passed before and fails now",
    "worse": "fails more often",
    "failing": "still fails",
    "unclear": "came to no verdict before or now",
    "gone": "did not run this time",
    "new": "did not run before",
    "better": "fails less often",
    "mended": "failed before and passes now",
    "passing": "passes as before",
}
"""In the order in which they are shown."""
BAD = ("broke", "worse")


@dataclass(frozen=True, slots=True)
class Trials:
    """What one run has of one scenario and case."""

    outcomes: int
    judged: int
    passed: int
    """Clean passes: those on retry do not count."""
    seconds: float
    cost: float | None
    """US dollars; None where one of them is unknown."""
    causes: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def rate(self) -> float | None:
        return self.passed / self.judged if self.judged == self.outcomes else None

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Trials:
        verdicts = [each.clean for each in outcomes if each.clean is not None]
        costs = [each.measures.get("cost_usd") for each in outcomes]
        known = [cost for cost in costs if isinstance(cost, int | float)]
        return cls(
            len(outcomes),
            len(verdicts),
            sum(verdicts),
            sum(each.conversation.duration for each in outcomes),
            sum(known) if len(known) == len(costs) else None,
            dict(causes_of(outcomes)),
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """One scenario and case in both runs."""

    name: str
    before: Trials | None
    after: Trials | None
    excused: bool = False
    """Quarantined or known to fail: told, and never the reason for a red comparison."""

    @property
    def change(self) -> Change:
        if self.before is None or self.after is None:
            return "new" if self.before is None else "gone"
        before, after = self.before.rate, self.after.rate
        if before == 1 and self.after.passed < self.after.judged:
            return "broke"  # whatever the trials without a verdict would have come to
        if before is None or after is None:
            return "unclear"
        if before == after:
            return "passing" if after == 1 else "failing"
        if after < before:
            return "worse"
        return "mended" if after == 1 else "better"


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs, the scenarios of both."""

    before: RunRecord | None
    after: RunRecord | None
    cases: list[Compared]

    def of(self, *changes: Change) -> list[Compared]:
        return [each for each in self.cases if each.change in changes]

    @property
    def exit_code(self) -> int:
        """1 where something broke, became worse or is new and fails; 3 where something came to no verdict."""
        counted = [each for each in self.cases if not each.excused]
        fails = [
            each
            for each in counted
            if each.change == "new" and each.after and each.after.passed < each.after.judged
        ]
        if fails or any(each.change in BAD for each in counted):
            return 1
        lost = any(
            each.change in ("unclear", "gone")
            or (each.change == "new" and each.after and each.after.rate is None)
            for each in counted
        )
        return 3 if lost else 0


def causes_of(outcomes: Sequence[Outcome]) -> list[tuple[str, int]]:
    """Why outcomes are no clean passes, the most frequent cause first."""
    return Counter(why for each in outcomes if (why := cause(each)) is not None).most_common()


def compare_runs(
    before: tuple[RunRecord | None, Sequence[Outcome]], after: tuple[RunRecord | None, Sequence[Outcome]]
) -> RunComparison:
    """Compare two runs as `load_run` gives them."""
    then, now = _by_case(before[1]), _by_case(after[1])
    cases = [
        Compared(
            name,
            Trials.of(then[name]) if name in then else None,
            Trials.of(now[name]) if name in now else None,
            any(each.quarantine or each.xfail for each in now.get(name, then.get(name, []))),
        )
        for name in dict.fromkeys((*now, *then))
    ]
    order = list(SAYS)
    cases.sort(key=lambda each: order.index(each.change))
    return RunComparison(before[0], after[0], cases)


def _by_case(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for each in outcomes:
        found.setdefault(each.key.removesuffix(f"-{each.trial}"), []).append(each)
    return found


def told(comparison: RunComparison) -> Iterator[Line]:
    """The comparison for a terminal, what broke first; what passes as before is only counted."""
    for change, says in SAYS.items():
        cases = comparison.of(change)
        if not cases:
            continue
        style = (
            "failed"
            if change in BAD
            else "passed"
            if change in ("mended", "better", "passing")
            else "not_run"
        )
        yield [(style, f"{change}"), ("dim", f"  {len(cases):,}: {says}")]
        if change == "passing":
            continue
        for each in cases:
            excused = "  (excused)" if each.excused else ""
            yield [
                ("", f"  {line(each.name, 100)}"),
                ("dim", f"  {_rate(each.before)} → {_rate(each.after)}{excused}"),
            ]
            for why, number in (each.after.causes if each.after else {}).items():
                yield [("dim", f"      {number} × "), ("", line(why, 200))]


def _rate(trials: Trials | None) -> str:
    if trials is None:
        return "–"
    unjudged = trials.outcomes - trials.judged
    return f"{trials.passed}/{trials.judged}" + (f" (+{unjudged} without a verdict)" if unjudged else "")


def comparison_data(comparison: RunComparison) -> dict[str, object]:
    """The comparison as plain JSON values."""
    return {
        "before": None if comparison.before is None else comparison.before.id,
        "after": None if comparison.after is None else comparison.after.id,
        "exit_code": comparison.exit_code,
        "says": SAYS,
        "cases": [
            {
                "name": each.name,
                "change": each.change,
                "excused": each.excused,
                "before": _plain(each.before),
                "after": _plain(each.after),
            }
            for each in comparison.cases
        ],
    }


def _plain(trials: Trials | None) -> dict[str, object] | None:
    if trials is None:
        return None
    return {
        "outcomes": trials.outcomes,
        "judged": trials.judged,
        "passed": trials.passed,
        "seconds": trials.seconds,
        "cost_usd": trials.cost,
        "causes": trials.causes,
    }


def write_comparison_html(path: str | Path, comparison: RunComparison) -> Path:
    """Write the page; it is whole or not there."""
    mask = SecretMask()  # the outcomes' files may be older than the masking of secrets, or edited
    data = [("comparison", mask.value(comparison_data(comparison)))]
    broke = len(comparison.of("broke", "worse"))
    title = f"{broke} broke" if broke else "nothing broke"
    scripts, styles = ("base.js", "comparison.js"), ("base.css", "report.css", "comparison.css")
    return write_pieces(path, page(title, data, scripts=scripts, styles=styles))
