"""Outcomes as JUnit XML: the shape of Jenkins' junit-10 schema, which GitLab and GitHub's reporters read.

A test suite is one scenario, a test case one conversation. An expectation that the agent missed is a
``failure``; a verdict that could not be reached, through the simulator, the harness or the environment,
is an ``error``; what did not run is ``skipped``. The schema knows no properties of a test case, so that
measures stand in its ``system-out``, and what holds for all of them in the suite's ``properties``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from simulate.interfaces.render.whole_files import write_bytes
from simulate.model.explain import explain
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.text import line

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


def write_junit(path: str | Path, outcomes: Iterable[Outcome], run: RunRecord | None = None) -> Path:
    """Write the file; it is whole or not there."""
    return write_bytes(path, junit(outcomes, run))


def junit(outcomes: Iterable[Outcome], run: RunRecord | None = None) -> bytes:
    """The XML document, UTF-8."""
    scenarios: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        scenarios.setdefault(outcome.scenario, []).append(outcome)
    everything = [outcome for group in scenarios.values() for outcome in group]
    counts = _counts(everything)
    del counts["skipped"]  # the schema allows it on a test suite only
    root = ET.Element("testsuites", {"name": "simulate", "time": _seconds(everything), **counts})
    for scenario, group in scenarios.items():
        _suite(root, scenario, group, run)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _suite(root: ET.Element, scenario: str, group: Sequence[Outcome], run: RunRecord | None) -> None:
    suite = ET.SubElement(
        root, "testsuite", {"name": _legal(scenario), "time": _seconds(group), **_counts(group)}
    )
    started = min((outcome.started for outcome in group if outcome.started), default="")
    if started:
        suite.set("timestamp", _legal(started[:19]))  # Jenkins and Maven read no offset
    properties = {"agent": group[0].agent, "seed": str(group[0].seed)}
    if group[0].tags:
        properties["tags"] = ",".join(group[0].tags)
    if run is not None:
        properties |= {"run": run.id, "command": " ".join(run.command)}
        properties |= {f"version.{name}": version for name, version in run.versions.items()}
    holder = ET.SubElement(suite, "properties")
    for name, value in properties.items():
        ET.SubElement(holder, "property", name=_legal(name), value=_legal(value))
    for outcome in group:
        _case(suite, outcome)


def _case(suite: ET.Element, outcome: Outcome) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_classname(outcome),
        name=_legal(outcome.key),
        time=f"{max(0.0, outcome.conversation.duration):.3f}",
    )
    kind = kind_of(outcome)
    if kind is not None:
        cause = next((verdict for verdict in outcome.verdicts if verdict.status == outcome.status), None)
        message = outcome.reason or (cause.fact if cause else outcome.status)
        side = f"{outcome.side}." if outcome.side else ""
        found = ET.SubElement(
            case,
            kind,
            message=_legal(line(message, 500)),
            type=_legal(f"{side}{cause.check if cause else kind}"),
        )
        found.text = _legal(explain(outcome))
    said = [f"{name}: {'unknown' if value is None else value}" for name, value in outcome.measures.items()]
    said += [f"note: {line(note, 500)}" for note in outcome.notes]
    if outcome.source:
        said.insert(0, f"source: {outcome.source}")
    if said:
        ET.SubElement(case, "system-out").text = _legal("\n".join(line(entry, 600) for entry in said))


def kind_of(outcome: Outcome) -> str | None:
    """``failure``, ``error``, ``skipped``, or None for one that passed."""
    if outcome.status == "passed":
        return None
    if outcome.status == "not_run":
        return "skipped"
    return "failure" if outcome.status == "failed" or outcome.side == "agent" else "error"


def _classname(outcome: Outcome) -> str:
    """The scenario's file with dots for slashes: Jenkins makes packages of them."""
    file = re.sub(r":\d+(:\d+)?$", "", outcome.source or "") or outcome.scenario
    parts = [
        part for part in re.split(r"[\\/]", re.sub(r"\.ya?ml$", "", file)) if part not in ("", ".", "..")
    ]
    return _legal(".".join(part.replace(".", "_") for part in parts)) or "simulate"


def _counts(group: Sequence[Outcome]) -> dict[str, str]:
    kinds = [kind_of(outcome) for outcome in group]
    names: Mapping[str, str] = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {"tests": str(len(kinds)), **{name: str(kinds.count(kind)) for name, kind in names.items()}}


def _seconds(group: Sequence[Outcome]) -> str:
    return f"{sum(max(0.0, outcome.conversation.duration) for outcome in group):.3f}"


def _legal(text: str) -> str:
    return _ILLEGAL.sub("�", text)
