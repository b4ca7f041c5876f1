"""The decision: each rule of a gate held against a run, and against the run before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal

from simulate.errors import InputError
from simulate.model.reliability import pass_hat_k
from simulate.model.text import counted, dollars
from simulate.scoring.gate import statistics as stats
from simulate.scoring.gate.measured import Measured, Values
from simulate.scoring.gate.spec import DiffRule, Floor, Gate
from simulate.trace.conversations import whole_file
from simulate.trace.diff import compare

Verdict = Literal["pass", "fail", "not enough evidence"]


@dataclass(slots=True)
class RuleResult:
    """One rule, and what the run has to say about it."""

    rule: str
    """As the gate file has it: ``pass_rate: at_least``."""
    verdict: Verdict = "not enough evidence"
    sentence: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    method: str = ""
    p: float | None = None
    """Before it was corrected for the number of rules."""
    corrected: float | None = None
    needed: int | None = None
    """How many trials or cases would decide."""
    unit: Literal["trials", "cases"] = "trials"
    count: int = 0
    """How many there are."""
    breaks: bool = False
    """The estimate alone is beyond the limit."""
    holds: bool = False
    """The whole interval is within the limit."""
    measured: bool = True
    """There are values of it, and so few are unknown that they stand for all."""
    show: Literal["share", "score", "dollars"] = "share"
    cases: list[str] = field(default_factory=list[str])
    """The cases behind it, the worst first."""

    def take(self, found: stats.Interval) -> None:
        """What was estimated."""
        self.value, self.low, self.high, self.method = found.value, found.low, found.high, found.method


@dataclass(slots=True)
class Decision:
    """What the gate says."""

    gate: Gate
    current: Measured
    baseline: Measured | None
    findings: list[RuleResult] = field(default_factory=list[RuleResult])
    flaky: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    @property
    def verdict(self) -> Verdict:
        """The worst of all: a breach, else a rule that could not be decided."""
        verdicts = {finding.verdict for finding in self.findings}
        if "fail" in verdicts:
            return "fail"
        return "not enough evidence" if "not enough evidence" in verdicts or self.half else "pass"

    @property
    def half(self) -> bool:
        """Too many conversations came to no verdict."""
        return self.current.judged < self.gate.judged

    @property
    def unmeasured(self) -> list[str]:
        """The rules that nothing was measured for, or too little: more trials would not help."""
        return [finding.rule for finding in self.findings if not finding.measured]

    @property
    def exit_code(self) -> int:
        """1 on a breach, or where the gate wants missing evidence to fail; 3 where too few conversations
        came to a verdict, or what a rule is about was not measured; else 0."""
        if self.verdict == "fail":
            return 1
        if self.half or self.unmeasured:
            return 3
        return int(self.verdict == "not enough evidence" and self.gate.not_enough_evidence == "fail")


def decide(gate: Gate, current: Measured, baseline: Measured | None = None) -> Decision:
    """Hold a run against a gate. Raises InputError where a rule compares and there is no baseline."""
    if baseline is None and gate.needs_baseline:
        raise InputError(
            f"these rules compare with an earlier run: {', '.join(gate.needs_baseline)}",
            hint="name it with --baseline RUN",
        )
    decision = Decision(gate, current, baseline, flaky=list(current.flaky))
    decision.findings = list(_findings(gate, current, baseline))
    _conclude(decision)
    _tell(decision)
    return decision


def _findings(gate: Gate, now: Measured, before: Measured | None) -> Iterator[RuleResult]:
    confidence = gate.confidence
    if gate.pass_rate is not None:
        yield from _floor("pass_rate", gate.pass_rate, now.passes, before and before.passes, confidence, now)
    if gate.pass_hat is not None:
        yield _pass_hat(gate.pass_hat.k, gate.pass_hat.at_least, now.passes, confidence)
    for given, rule in gate.scores.items():
        name = given.rpartition(":")[2]  # one's own is module:Class, and its results say Class
        was = None if before is None else before.scores.get(name, {})
        yield from _floor(f"scores: {name}", rule, now.scores.get(name, {}), was, confidence, now, "score")
    if gate.caller_fidelity is not None:
        was = None if before is None else before.caller_fidelity
        missing = None if now.caller_fidelity else "no caller improvised"
        floor, values = gate.caller_fidelity, now.caller_fidelity
        yield from _floor("caller_fidelity", floor, values, was, confidence, now, "score", missing)
    if gate.latency is not None:
        rule = gate.latency
        if rule.at_most is not None:
            within = {case: [float(one <= rule.at_most) for one in all] for case, all in now.latency.items()}
            finding = _at_least(
                "latency: at_most", rule.percentile / 100, within, confidence, now.lacking.get("latency")
            )
            finding.sentence = f"replies within {rule.at_most:g} s in {finding.sentence}"
            yield finding
        if rule.may_grow is not None and before is not None:
            yield _may_grow("latency: may_grow", rule.may_grow, now.latency, before.latency, confidence)
    if gate.cost is not None:
        if gate.cost.at_most is not None:
            yield _at_most("cost: at_most", gate.cost.at_most, now.cost, confidence, now.lacking.get("cost"))
        if gate.cost.may_grow is not None and before is not None:
            yield _may_grow("cost: may_grow", gate.cost.may_grow, now.cost, before.cost, confidence)
    yield from _measures(gate, now)
    if gate.diff is not None and before is not None:
        yield _differs(gate.diff, now, before, confidence)


def _measures(gate: Gate, now: Measured) -> Iterator[RuleResult]:
    for name, rule in gate.measures.items():
        found = now.measures.get(name, {})
        within = {case: [float(rule.allows(one)) for one in values] for case, values in found.items()}
        missing = f"no conversation has the measure {name}"
        finding = _at_least(f"measures: {name}", rule.percentile / 100, within, gate.confidence, missing)
        finding.sentence = f"{rule.told} in {finding.sentence}" if found else finding.sentence
        yield finding


def _floor(
    name: str,
    rule: Floor,
    now: Values,
    before: Values | None,
    confidence: float,
    run: Measured,
    show: Any = "share",
    lacking: str | None = None,
) -> Iterator[RuleResult]:
    if rule.at_least is not None:
        lacking = lacking or run.lacking.get(name.removeprefix("scores: "))
        if show == "score" and lacking is None:
            lacking = "the run scored nothing of that name; simulate score RUN --gate FILE does"
        yield _at_least(f"{name}: at_least", rule.at_least, now, confidence, lacking, show)
    if rule.may_drop is not None and before is not None:
        yield _may_drop(f"{name}: may_drop", rule.may_drop, now, before, confidence, show)


def _at_least(
    rule: str, limit: float, cases: Values, confidence: float, lacking: str | None = None, show: Any = "share"
) -> RuleResult:
    values = [value for trials in cases.values() for value in trials]
    finding = RuleResult(rule, limit=limit, count=len(values), show=show)
    if not values:
        finding.sentence = f"it has no value ({lacking or 'nothing was measured'})"
        return finding
    found = stats.mean_interval(values, confidence)
    finding.take(found)
    finding.p = stats.below(values, limit)
    finding.breaks = found.value < limit
    finding.holds = found.low >= limit or (limit == 1 and found.value == 1)
    finding.needed = stats.needed_for_threshold(found.value, limit, confidence)
    finding.sentence = f"{shown(found.value, show)} of {counted(len(values), 'trial')}"
    if show == "score":
        finding.sentence = f"{shown(found.value, show)} on average over {counted(len(values), 'trial')}"
    finding.cases = _worst({case: -fmean(trials) for case, trials in cases.items() if fmean(trials) < limit})
    return finding


def _pass_hat(k: int, limit: float, cases: Values, confidence: float) -> RuleResult:
    """One case: its rate's interval to the power k. Several: the mean over cases of the unbiased estimate,
    with the better of two lower bounds, each at half of the risk: over cases, and over all trials."""
    rule = f"pass_hat: k={k}"
    short = [case for case, trials in cases.items() if len(trials) < k]
    if short or not cases:
        told = f"{short[0]} has {counted(len(cases[short[0]]), 'trial')}" if short else "there are no trials"
        return RuleResult(
            rule,
            limit=limit,
            needed=k,
            count=min(map(len, cases.values()), default=0),
            sentence=f"pass^{k} needs {k} trials of each case; {told}",
        )
    if len(cases) == 1:
        (trials,) = cases.values()
        finding = _at_least(rule, limit ** (1 / k), cases, confidence)
        value = pass_hat_k(len(trials), int(sum(trials)), k)
        # the estimate may lie below the power of the rate's lower bound: 3 of 4 passed, pass^4 is 0
        finding.low, finding.high = min((finding.low or 0.0) ** k, value), (finding.high or 0.0) ** k
        finding.value, finding.limit = value, limit
        finding.method = f"{finding.method}, to the power {k}"
    else:
        each = {case: [pass_hat_k(len(trials), int(sum(trials)), k)] for case, trials in cases.items()}
        finding = _at_least(rule, limit, each, confidence)
        finding.unit = "cases"
        split = (1 + confidence) / 2
        across = stats.mean_interval([value for (value,) in each.values()], split).low
        finding.low = min(finding.value or 0.0, max(across, stats.pass_hat_low(cases, k, split)))
        finding.holds = finding.low >= limit or (limit == 1 and finding.value == 1)
    finding.sentence = (
        f"pass^{k} is {shown(finding.value or 0.0, 'share')} over {counted(len(cases), 'case')}"
    )
    return finding


def _may_drop(
    rule: str, effect: float, now: Values, before: Values, confidence: float, show: Any
) -> RuleResult:
    pairs = stats.paired(before, now)
    finding = RuleResult(rule, limit=effect, unit="cases", count=len(pairs), show=show)
    if not pairs:
        finding.sentence = "the two runs share no case with a value of it"
        return finding
    found = stats.drop_interval(before, now, confidence)
    finding.take(found)
    finding.p = stats.fell(before, now)
    finding.breaks, finding.holds = found.value >= effect and found.value > 0, found.high <= effect
    falls = {case: fmean(was) - fmean(new) for case, was, new in pairs}
    discordant = fmean(fall * fall for fall in falls.values())
    finding.needed = stats.needed_for_drop(effect, discordant, confidence)
    how = "fell" if found.value > 0 else "rose" if found.value < 0 else "did not change:"
    finding.sentence = f"{how} by {shown(abs(found.value), show)} over {counted(len(pairs), 'case')}"
    finding.cases = _worst({case: fall for case, fall in falls.items() if fall > 0})
    return finding


def _at_most(rule: str, limit: float, cases: Values, confidence: float, lacking: str | None) -> RuleResult:
    values = [value for trials in cases.values() for value in trials]
    finding = RuleResult(rule, limit=limit, count=len(values), show="dollars")
    if not values:
        finding.sentence = f"it has no value ({lacking or 'nothing was measured'})"
        return finding
    found = stats.amount_interval(values, confidence)
    finding.take(found)
    finding.p = stats.above(values, limit)
    finding.breaks, finding.holds = found.value > limit, found.high <= limit
    finding.sentence = f"{shown(found.value, 'dollars')} a conversation, over {len(values)}"
    finding.cases = _worst({case: fmean(trials) for case, trials in cases.items() if fmean(trials) > limit})
    return finding


def _may_grow(rule: str, effect: float, now: Values, before: Values, confidence: float) -> RuleResult:
    pairs = stats.paired(stats.logs(before), stats.logs(now))
    finding = RuleResult(rule, limit=effect, unit="cases", count=len(pairs))
    if not pairs:
        finding.sentence = "the two runs share no case with a value of it"
        return finding
    found = stats.rise_interval(before, now, confidence)
    finding.take(found)
    finding.p = stats.rose(before, now)
    finding.breaks, finding.holds = found.value >= effect, found.high <= effect
    how = "grew" if found.value > 0 else "shrank"
    change = f"{how} by {abs(found.value):.0%}" if abs(found.value) >= 0.005 else "did not change"
    finding.sentence = f"{change} over {counted(len(pairs), 'case')}"
    finding.cases = _worst(
        {case: fmean(new) - fmean(was) for case, was, new in pairs if fmean(new) > fmean(was)}
    )
    return finding


def _differs(rule: DiffRule, now: Measured, before: Measured, confidence: float) -> RuleResult:
    """Each case's first trace against the baseline's first; its further trials show what varies."""
    order = ["none", "shape", "latency", "cost", "content", "behaviour"]
    seen: dict[str, int] = {}
    for case in before.traces:
        was = [path for path in before.traces[case] if path.is_file() and path.stat().st_size]
        new = [path for path in now.traces.get(case, []) if path.is_file() and path.stat().st_size]
        if was and new:
            first, *more = map(whole_file, was)
            changes = compare(first, whole_file(new[0]), repeats=more, ignore=rule.ignore).changes
            seen[case] = max((order.index(change.category.value) for change in changes), default=0)
    cases = {case: [float(grave <= order.index(rule.worst))] for case, grave in seen.items()}
    finding = _at_least(
        "diff: worst", 1 - rule.may_differ, cases, confidence, "no case has a trace in both runs"
    )
    graver = {
        f"{case} ({order[grave]})": float(grave)
        for case, grave in seen.items()
        if grave > order.index(rule.worst)
    }
    finding.unit, finding.cases = "cases", _worst(graver)
    if cases:
        told = f"differing from the baseline by more than {rule.worst}"
        finding.sentence = f"{len(graver)} of {counted(len(cases), 'case')} {told}"
    return finding


def _conclude(decision: Decision) -> None:
    """Correct for the number of rules, then give each its verdict. Tests are one-sided: half of the level."""
    level = (1 - decision.gate.confidence) / 2
    for finding in decision.findings:
        finding.measured = finding.count > 0 and not _thin(finding, decision)
    tested = [finding for finding in decision.findings if finding.p is not None]
    for finding, corrected in zip(tested, stats.holm([finding.p or 0.0 for finding in tested]), strict=True):
        finding.corrected = corrected
        if corrected < level and finding.breaks:
            finding.verdict = "fail"
        elif finding.holds and finding.measured and not decision.half:
            finding.verdict = "pass"


def _thin(finding: RuleResult, decision: Decision) -> bool:
    """Too many values are unknown for those that are known to stand for all; the sentence says so."""
    unknown = decision.current.unknown.get(_measure(finding), 0)
    known = finding.count if finding.unit == "trials" else 0
    if not unknown or not known or known / (known + unknown) >= decision.gate.judged:
        return False
    finding.sentence += f"; {unknown} of {known + unknown} are unknown"
    return True


def _measure(finding: RuleResult) -> str:
    """What of `Measured` a rule is about."""
    parts = finding.rule.split(": ")
    return parts[1] if parts[0] == "scores" else parts[0]


def _tell(decision: Decision) -> None:
    current, baseline = decision.current, decision.baseline
    if current.unjudged:
        many = f"{len(current.unjudged)} of {current.total} conversations"
        why = "; ".join(current.unjudged[:3])
        decision.notes.append(f"{many} have no verdict and are not counted: {why}")
    for finding in decision.findings:
        name = _measure(finding)
        if finding.count and name in current.lacking:
            decision.notes.append(f"some values of {name} are missing ({current.lacking[name]})")
    if baseline is not None:
        lost = [case for case in baseline.passes if case not in current.passes]
        new = [case for case in current.passes if case not in baseline.passes]
        if lost:
            decision.notes.append(
                f"{counted(len(lost), 'case')} of the baseline not in this run: {', '.join(lost[:5])}"
            )
        if new:
            told = f"{counted(len(new), 'case')} new and not compared: {', '.join(new[:5])}"
            decision.notes.append(told)
        decision.flaky += [f"{case}, before" for case in baseline.flaky if case not in decision.flaky]
    decision.notes = list(dict.fromkeys(decision.notes))


def _worst(cases: dict[str, float]) -> list[str]:
    return sorted(cases, key=lambda case: -cases[case])[:10]


def shown(value: float, how: str) -> str:
    """A figure as its rule shows it."""
    if how == "dollars":
        return dollars(value)
    return f"{value:.3g}" if how == "score" else f"{value:.1%}"
