"""A gate's decision for people (Markdown, for a pull request) and for machines (JSON)."""

from __future__ import annotations

import math
import re
from dataclasses import asdict
from typing import Any

from simulate.model.text import counted, line
from simulate.scoring.gate.decide import Decision, RuleResult, shown

MARKS = {"pass": "✅", "fail": "❌", "not enough evidence": "❔"}


def advice(finding: RuleResult, confidence: float) -> str:
    """Why it could not be decided, and how many trials or cases would."""
    if finding.verdict != "not enough evidence":
        return ""
    if finding.value is None:
        return ""  # the sentence says all there is
    if finding.needed is None:
        return "no number of trials tells a value from a threshold that it meets exactly"
    leaves = "leaves" if finding.count == 1 else "leave"
    open_ = f"{counted(finding.count, finding.unit.removesuffix('s'))} {leaves} it open"
    if finding.needed <= finding.count:
        return f"{open_}; take about {2 * finding.count}"
    return f"{open_}; about {finding.needed} would decide it in 4 of 5 runs"


def markdown(decision: Decision) -> str:
    """The summary: what to do, then the figures."""
    percent = f"{decision.gate.confidence:.0%}"
    counts = ""
    if decision.verdict == "not enough evidence":
        counts = f" ({half_judged(decision) or f'counts as {decision.gate.not_enough_evidence}'})"
    against = "" if decision.baseline is None else f" against {_cell(decision.baseline.source)}"
    lines = [
        f"## {MARKS[decision.verdict]} Gate: {decision.verdict}{counts}",
        "",
        f"{_cell(decision.current.source)}{against}: {counted(decision.current.total, 'conversation')}, "
        f"{counted(len(decision.current.passes), 'case')}.",
        "",
        f"| | Rule | Limit | Found | {percent} interval | |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(finding, decision.gate.confidence) for finding in decision.findings]
    for finding in decision.findings:
        if finding.verdict == "fail" and finding.cases:
            lines += [
                "",
                f"**{finding.rule}**, the worst cases: {', '.join(_cell(case) for case in finding.cases)}",
            ]
    if decision.flaky:
        lines += [
            "",
            f"**Flaky** (the same case, different ends): {', '.join(map(_cell, decision.flaky[:10]))}",
        ]
    lines += ["", *(f"- {_cell(note)}" for note in decision.notes)] if decision.notes else []
    return "\n".join(lines) + "\n"


def half_judged(decision: Decision) -> str:
    """Why there is no verdict though more trials would not bring one; empty where they would."""
    if not decision.half:
        return f"not measured: {', '.join(decision.unmeasured)}" if decision.unmeasured else ""
    current = decision.current
    judged = current.total - len(current.unjudged)
    return f"only {judged} of {counted(current.total, 'conversation')} came to a verdict"


def _row(finding: RuleResult, confidence: float) -> str:
    told = advice(finding, confidence)
    if finding.verdict == "fail" and finding.corrected is not None:
        told = f"chance of this without a real change: {_p(finding.corrected)}"
        if finding.limit == 1:
            told = "one failure is enough"
    cells = [
        MARKS[finding.verdict], finding.rule, _value(finding.limit, finding), finding.sentence,
        _range(finding), told,
    ]  # fmt: skip
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _range(finding: RuleResult) -> str:
    return "–" if finding.low is None else f"{_value(finding.low, finding)} … {_value(finding.high, finding)}"


def _p(value: float) -> str:
    return "below 1 in 10,000" if value < 1e-4 else f"{value:.2%}"


def _value(value: float | None, finding: RuleResult) -> str:
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return shown(value, finding.show)


def _cell(text: str) -> str:
    """Safe in a table: case names come from files and traces."""
    return re.sub(r"([|\\`*<>\[\]])", r"\\\1", line(text, 300))


def to_dict(decision: Decision) -> dict[str, Any]:
    """Plain data, ``schema`` 1."""
    return {
        "schema": 1,
        "verdict": decision.verdict,
        "exit_code": decision.exit_code,
        "not_enough_evidence": decision.gate.not_enough_evidence,
        "confidence": decision.gate.confidence,
        "run": decision.current.source,
        "baseline": None if decision.baseline is None else decision.baseline.source,
        "conversations": decision.current.total,
        "judged": decision.current.judged,
        "unjudged": decision.current.unjudged,
        "findings": [
            {**asdict(finding), "advice": advice(finding, decision.gate.confidence)}
            for finding in decision.findings
        ],
        "flaky": decision.flaky,
        "notes": decision.notes,
    }
