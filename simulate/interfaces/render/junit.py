"""JUnit XML: the shape of Jenkins' junit-10 schema, which GitLab and GitHub's reporters read.

Of outcomes, a test suite is one scenario, a test case one conversation. An expectation that the agent missed
is a ``failure``; a verdict that could not be reached, through the simulator, the harness or the environment,
is an ``error``; what did not run is ``skipped``. The schema knows no properties of a test case, so that
measures stand in its ``system-out``, and what holds for all of them in the suite's ``properties``. Of a gate,
a test case is one rule.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from simulate.interfaces.render.gate import advice, half_judged
from simulate.model.explain import WORD, explain
from simulate.model.loading.project import project_root
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.text import line
from simulate.model.whole_file import write_whole
from simulate.scoring.gate.decide import Decision, RuleResult

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""

Kind = Literal["failure", "error", "skipped"]


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test case; ``kind`` is None where it passed, and ``text`` says at length what ``message`` says."""

    classname: str
    name: str
    seconds: float = 0.0
    kind: Kind | None = None
    message: str = ""
    type: str | None = None
    text: str = ""
    output: str = ""


def write_junit(path: str | Path, outcomes: Iterable[Outcome], run: RunRecord | None = None) -> Path:
    """Write the file; it is whole or not there."""
    return write_whole(path, junit(outcomes, run))


def junit(outcomes: Iterable[Outcome], run: RunRecord | None = None) -> bytes:
    """The XML document of outcomes, UTF-8."""
    scenarios: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        scenarios.setdefault(outcome.scenario, []).append(outcome)
    cases = {scenario: [_of_outcome(each) for each in group] for scenario, group in scenarios.items()}
    everything = [case for group in cases.values() for case in group]
    counts = _counts(everything)
    del counts["skipped"]  # the schema allows it on a test suite only
    root = ET.Element("testsuites", {"name": "simulate", "time": _seconds(everything), **counts})
    for scenario, group in scenarios.items():
        root.append(_suite(scenario, cases[scenario], _properties(group[0], run), _started(group)))
    return _document(root)


def gate_junit(decision: Decision) -> bytes:
    """The XML document of a gate: a breach is a failure; what could not be decided is skipped, or a failure
    where the gate wants that. Not measured is an error, and so are too few conversations with a verdict."""
    cases = [_of_finding(finding, decision) for finding in decision.findings]
    if decision.half:
        unjudged = "\n".join(line(each, 300) for each in decision.current.unjudged)
        cases.append(TestCase("gate", "judged", 0, "error", half_judged(decision), text=unjudged))
    return _document(_suite("simulate gate", cases))


def _of_finding(finding: RuleResult, decision: Decision) -> TestCase:
    told = line(advice(finding, decision.gate.confidence) or finding.sentence, 500)
    if finding.verdict == "pass":
        return TestCase("gate", finding.rule, output=told)
    undecided: Kind = "failure" if decision.gate.not_enough_evidence == "fail" else "skipped"
    kind: Kind = "failure" if finding.verdict == "fail" else undecided if finding.measured else "error"
    return TestCase("gate", finding.rule, 0, kind, told, text="\n".join(finding.cases) or told)


def _of_outcome(outcome: Outcome) -> TestCase:
    said = [f"source: {outcome.source}"] if outcome.source else []
    said += [f"{name}: {'unknown' if value is None else value}" for name, value in outcome.measures.items()]
    if outcome.standing != outcome.status:
        said.append(f"counts as: {WORD[outcome.standing]}")
    excused = {"known to fail": outcome.xfail, "quarantined": outcome.quarantine}
    said += [f"{name}: {reason}" for name, reason in excused.items() if reason is not None]
    said += [f"attempt {number} failed: {reason}" for number, reason in enumerate(outcome.retried, 1)]
    said += [f"note: {line(note, 500)}" for note in outcome.notes]
    output = "\n".join(line(entry, 600) for entry in said)
    classname, seconds = _classname(outcome), max(0.0, outcome.conversation.duration)
    kind = kind_of(outcome)
    if kind is None:
        return TestCase(classname, outcome.key, seconds, output=output)
    cause = next((verdict for verdict in outcome.verdicts if verdict.status == outcome.status), None)
    excuse = outcome.quarantine or outcome.xfail if kind == "skipped" else None
    reason = outcome.reason or (cause.fact if cause else outcome.status)
    message = line(f"{WORD[outcome.standing]}: {excuse}; {reason}" if excuse else reason, 500)
    side = f"{outcome.side}." if outcome.side else ""
    kind_type = f"{side}{cause.check if cause else kind}"
    return TestCase(classname, outcome.key, seconds, kind, message, kind_type, explain(outcome), output)


def kind_of(outcome: Outcome) -> Kind | None:
    """``failure``, ``error``, ``skipped``, or None for one that passed.

    What is quarantined or known to fail is skipped, as pytest's xfail is."""
    if outcome.standing in ("passed", "xpassed", "flaky"):
        return None
    if outcome.standing in ("not_run", "xfailed", "quarantined"):
        return "skipped"
    return "failure" if outcome.status == "failed" or outcome.side == "agent" else "error"


def _properties(outcome: Outcome, run: RunRecord | None) -> dict[str, str]:
    """What holds for all outcomes of a scenario."""
    properties = {"agent": outcome.agent, "seed": str(outcome.seed)}
    if outcome.tags:
        properties["tags"] = ",".join(outcome.tags)
    if run is not None:
        properties |= {"run": run.id, "command": " ".join(run.command)}
        properties |= {f"version.{name}": version for name, version in run.versions.items()}
    return properties


def _started(group: Sequence[Outcome]) -> str:
    """When the first began; Jenkins and Maven read no offset."""
    return min((outcome.started for outcome in group if outcome.started), default="")[:19]


def _classname(outcome: Outcome) -> str:
    """The scenario's file with dots for slashes: Jenkins makes packages of them."""
    file = re.sub(r":\d+(:\d+)?$", "", outcome.source or "") or outcome.scenario
    if Path(file).is_absolute():
        # a package of Jenkins is the same on each machine
        below = Path(file).is_relative_to(Path.cwd())
        file = os.path.relpath(file, Path.cwd() if below else project_root(file))
    parts = [
        part for part in re.split(r"[\\/]", re.sub(r"\.ya?ml$", "", file)) if part not in ("", ".", "..")
    ]
    return ".".join(part.replace(".", "_") for part in parts) or "simulate"


# -- the document ----------------------------------------------------------------------------------------


def _suite(
    name: str, cases: Sequence[TestCase], properties: Mapping[str, str] | None = None, started: str = ""
) -> ET.Element:
    suite = ET.Element("testsuite", {"name": _legal(name), "time": _seconds(cases), **_counts(cases)})
    if started:
        suite.set("timestamp", _legal(started))
    if properties is not None:
        holder = ET.SubElement(suite, "properties")
        for key, value in properties.items():
            ET.SubElement(holder, "property", name=_legal(key), value=_legal(value))
    for each in cases:
        case = ET.SubElement(
            suite, "testcase",
            classname=_legal(each.classname), name=_legal(each.name), time=f"{each.seconds:.3f}",
        )  # fmt: skip
        if each.kind is not None:
            found = ET.SubElement(case, each.kind, message=_legal(each.message))
            if each.type is not None:
                found.set("type", _legal(each.type))
            found.text = _legal(each.text)
        if each.output:
            ET.SubElement(case, "system-out").text = _legal(each.output)
    return suite


def _counts(cases: Sequence[TestCase]) -> dict[str, str]:
    kinds = [each.kind for each in cases]
    names: Mapping[str, Kind] = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {"tests": str(len(kinds)), **{name: str(kinds.count(kind)) for name, kind in names.items()}}


def _seconds(cases: Sequence[TestCase]) -> str:
    return f"{sum(each.seconds for each in cases):.3f}"


def _legal(text: str) -> str:
    return _ILLEGAL.sub("�", text)


def _document(root: ET.Element) -> bytes:
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"
