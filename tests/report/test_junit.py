"""JUnit XML against the rules of Jenkins' junit-10 schema, written here as a table.

`.ci/run` brings the schema itself (pytest's source package has it) and names it in SIMULATE_JUNIT_XSD.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from simulate.errors import EnvironmentFault
from simulate.interfaces.render.junit import junit, write_junit

SURE_FIRE_TIME = re.compile(r"\d+\.\d{0,3}")
RULES = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "time", "tests", "failures", "errors", "skipped", "timestamp"},
        {"properties", "testcase"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, {"failure", "error", "skipped", "system-out"}),
    **dict.fromkeys(("failure", "error", "skipped"), ({"message", "type"}, set())),
    "system-out": (set(), set()),
}


@pytest.fixture
def document(make: SimpleNamespace) -> bytes:
    outcomes = [make.outcome(number)[0] for number in range(40)]
    outcomes += [make.outcome(90, status=status)[0] for status in ("failed", "error", "not_run", "passed")]
    outcomes.append(make.hostile()[0])
    return junit(outcomes, make.run(outcomes))


def test_only_what_the_schema_allows(document: bytes) -> None:
    root = ET.fromstring(document)
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = RULES[element.tag]
        assert set(element.attrib) <= attributes, element.tag
        assert {child.tag for child in element} <= children, element.tag
        if "time" in element.attrib:
            assert SURE_FIRE_TIME.fullmatch(element.attrib["time"])
        if element.tag in ("testcase", "testsuite"):
            assert element.attrib["name"]


@pytest.mark.skipif(
    "SIMULATE_JUNIT_XSD" not in os.environ, reason="SIMULATE_JUNIT_XSD names no schema; .ci/run brings it"
)
def test_the_schema_itself(document: bytes) -> None:
    schema = pytest.importorskip("xmlschema").XMLSchema(os.environ["SIMULATE_JUNIT_XSD"])
    schema.validate(ET.fromstring(document))


def test_counts_are_those_of_the_cases(document: bytes) -> None:
    root = ET.fromstring(document)
    for group in (root, *root.findall("testsuite")):
        cases = list(group.iter("testcase"))
        assert int(group.attrib["tests"]) == len(cases)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            if attribute in group.attrib:
                assert int(group.attrib[attribute]) == sum(case.find(tag) is not None for case in cases)


@pytest.mark.parametrize(
    ("status", "side", "tag"),
    [
        ("failed", "agent", "failure"),
        ("error", "agent", "failure"),
        ("error", "simulator", "error"),
        ("error", "harness", "error"),
        ("error", "environment", "error"),
        ("not_run", "harness", "skipped"),
        ("passed", None, None),
    ],
)
def test_whose_fault_it_was(make: SimpleNamespace, status: str, side: str | None, tag: str | None) -> None:
    outcome, _ = make.outcome(5, status=status)
    outcome.side = side
    case = next(ET.fromstring(junit([outcome])).iter("testcase"))
    found = [child.tag for child in case if child.tag != "system-out"]
    assert found == ([tag] if tag else [])


def test_the_failure_tells_the_whole_story(make: SimpleNamespace) -> None:
    outcome, _ = make.outcome(77, status="failed")
    case = next(ET.fromstring(junit([outcome])).iter("testcase"))
    failure = case.find("failure")
    assert failure is not None
    assert failure.attrib == {"message": "issue_refund was called with amount 425.00", "type": "agent.called"}
    assert failure.text == outcome.explain()
    assert case.attrib["classname"] == "scenarios.refund"
    assert case.attrib["name"] == outcome.key
    assert "time_to_first_token: unknown" in (case.findtext("system-out") or "")


def test_what_xml_cannot_hold_is_not_in_it(make: SimpleNamespace) -> None:
    outcome, _ = make.hostile()
    outcome.scenario, outcome.case = "a\x00\ud800￾b", "c\x0b"
    root = ET.fromstring(junit([outcome]))
    assert next(root.iter("testsuite")).attrib["name"] == "a���b"


def test_the_file_is_whole_or_not_there(make: SimpleNamespace, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "junit.xml"
    write_junit(target, [make.outcome(1)[0]])
    assert ET.parse(target).getroot().tag == "testsuites"
    assert [entry.name for entry in target.parent.iterdir()] == ["junit.xml"]
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot write the file"):
        write_junit(tmp_path / "file" / "junit.xml", [])
