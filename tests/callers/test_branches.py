"""Scripts with branches, and callers of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from simulate import Scenario, run_sync
from simulate.errors import FileProblems
from simulate.interfaces.cli.main import main
from simulate.model.outcome import Outcome


def agent(message: str) -> str:
    return "Sorry, no." if "refund" in message else f"You said {message}"


def talk(*lines: Mapping[str, object]) -> Outcome:
    return run_sync(
        Scenario.model_validate({"name": "Branches", "script": [dict(line) for line in lines]}), agent
    )


def said(outcome: Outcome) -> list[str]:
    return [each.text for each in outcome.conversation.by("caller")]


def test_a_goto_follows_what_was_said() -> None:
    lines = (
        {"if": {"said": "sorry"}, "goto": "complain"},
        {"says": "thanks"},
        {"goto": "end"},
        {"label": "complain", "says": "The manager, please"},
    )
    assert said(talk({"says": "refund"}, *lines)) == ["refund", "The manager, please"]
    assert said(talk({"says": "hello"}, *lines)) == ["hello", "thanks"]


def test_a_goto_back_goes_on_until_its_condition_ends() -> None:
    outcome = talk(
        {"label": "again", "says": "refund"},
        {"if": {"said": "sorry"}, "goto": "again"},
    )
    assert outcome.conversation.ended_by == "limit" and len(said(outcome)) == 20


def test_a_circle_without_words_is_the_scripts_fault() -> None:
    outcome = talk({"label": "a", "goto": "b"}, {"label": "b", "goto": "a"})
    assert (outcome.status, outcome.side) == ("error", "simulator") and "circle" in str(outcome.reason)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"goto": "complian"}, 'did you mean "complain"'),
        ({"says": "x", "if": {"said": "x"}}, "if: belongs to goto:"),
        ({"goto": "complain", "waits": 1.0}, "takes no time"),
        ({"goto": "complain", "says": "x"}, "does one thing"),
        ({"label": "complain", "says": "y"}, "stands twice"),
    ],
)
def test_what_makes_no_sense_is_refused(line: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        talk({"label": "complain", "says": "x"}, line)


OWN = """
class Insistent:
    def __init__(self, persona):
        self.name = persona["name"]
        self.heard = []
    async def say(self, said):
        self.heard.append(said[-1]["text"] if said else None)
        if len(self.heard) == 3:
            return None
        return f"{self.name} wants a refund, turn {len(self.heard)}"
class Breaks:
    def say(self, said):
        return 1 / 0
class Silent:
    def say(self, said):
        return 42
def needs_two(a, b): ...
def agent(message):
    return "no: " + message
def fits(evidence, least=0):
    return True
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def own(caller: str, more: str = "") -> str:
    return (
        f"name: Own\nagent: python:mine.py:agent\ncaller: python:mine.py:{caller}\n"
        f"persona: {{name: Ann}}\nexpect: [{{said: {{contains: 'no: Ann'}}}}]\n{more}\n"
    )


def test_a_caller_of_ones_own_speaks_and_hangs_up(project: Path) -> None:
    (project / "s.yaml").write_text(own("Insistent"))
    outcome = run_sync("s.yaml")
    assert outcome.passed, outcome.explain()
    assert said(outcome) == ["Ann wants a refund, turn 1", "Ann wants a refund, turn 2"]
    assert outcome.conversation.ended_by == "caller"


@pytest.mark.parametrize("caller", ["Breaks", "Silent"])
def test_a_caller_that_breaks_is_not_the_agents_failure(project: Path, caller: str) -> None:
    (project / "s.yaml").write_text(own(caller))
    outcome = run_sync("s.yaml")
    assert (outcome.status, outcome.side) == ("error", "simulator")


def test_a_caller_and_a_script_exclude_each_other(project: Path) -> None:
    (project / "s.yaml").write_text(own("Insistent", "script: [{says: x}]"))
    with pytest.raises(FileProblems, match="take script: out"):
        Scenario.load("s.yaml")


def test_check_loads_what_a_scenario_names(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pyproject.toml").write_text("[tool.simulate]\n")
    (project / "s.yaml").write_text(
        own("Insistant", "world: python:mine.py:fits\n").replace(
            "expect: [", "expect: [{python: 'mine.py:fits', args: {most: 1}}, {python: 'nowhere:f'}, "
        )
    )
    assert main(["check", "s.yaml"]) == 2
    told = capsys.readouterr().err
    for part in ('did you mean "Insistent"', "callable without arguments", "'most'", "no module nowhere"):
        assert part in told
    assert main(["check", "s.yaml", "--no-import"]) == 0
    (project / "s.yaml").write_text(own("needs_two"))
    assert main(["check", "s.yaml"]) == 2
    (project / "s.yaml").write_text(
        own("Insistent").replace("expect: [", "expect: [{python: 'mine.py:fits', args: {least: 1}}, ")
    )
    assert main(["check", "s.yaml"]) == 0
