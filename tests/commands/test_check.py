"""``simulate check``, ``schema`` and ``new`` at the command line."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from simulate.interfaces.cli.main import main
from simulate.scenario_files import load_scenarios


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text('[tool.simulate.agents]\nsupport = "python:json:dumps"\n')
    Path("scenarios").mkdir()
    return tmp_path


def test_fine_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("scenarios/a.yaml").write_text("name: a\ngoal: '{{x}}'\nagent: support\ncases: [{x: 1}, {x: 2}]")
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "2 scenarios in 1 file are fine\n"
    Path("scenarios/a.yaml").write_text("name: a\ngoal: g")
    assert main(["check", "scenarios/a.yaml"]) == 0
    assert capsys.readouterr().out == "1 scenario in 1 file is fine\n"


def test_bad_files_are_all_told_and_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text("[tool.simulate]\nagnts = 1\n")
    Path("scenarios/a.yaml").write_text("name: a")
    Path("scenarios/b.yaml").write_text("name: b\ngaol: x")
    assert main(["check"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    for part in (
        'did you mean "agents"?',
        "scenarios/a.yaml:1:1: the caller has",
        'scenarios/b.yaml:2:1: unknown key "gaol"',
    ):
        assert part in told.err


def test_a_language_that_cannot_be_spoken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("hibari", reason="needs the extra voice")
    persona = "persona: {speaks: {language: es}}"
    scenario = f"name: a\nagent: pipecat:json:dumps\nmedium: voice\n{persona}\nscript: [{{says: Hola}}]\n"
    Path("scenarios/a.yaml").write_text(scenario)
    assert main(["check"]) == 2
    told = capsys.readouterr().err
    assert "hibari speaks English alone" in told and "espeak" in told
    Path("scenarios/a.yaml").write_text(scenario.replace("voice", "text").replace("pipecat", "python"))
    assert main(["check"]) == 0, "to read it needs no voice"


def test_an_agent_that_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    Path("scenarios/a.yaml").write_text("name: a\ngoal: g\nagent: suport")
    assert main(["check"]) == 2
    assert 'no agent "suport"; did you mean "support"?' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "title"), [([], "A scenario of simulate"), (["persona"], "A persona of simulate")]
)
def test_schema(arguments: list[str], title: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", *arguments]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["title"] == title
    jsonschema.Draft202012Validator.check_schema(schema)


def test_schema_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--write", "deep/er"]) == 0
    assert sorted(path.name for path in Path("deep/er").iterdir()) == [
        "persona.schema.json",
        "scenario.schema.json",
    ]
    Path("file").touch()
    assert main(["schema", "--write", "file"]) == 2
    assert "cannot write" in capsys.readouterr().err


class TestNew:
    """The first thing that a person runs."""

    def test_what_it_writes_is_fine(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("pyproject.toml").unlink()
        assert main(["new", "Where is my parcel?"]) == 0
        assert "Now: simulate run scenarios/where_is_my_parcel.yaml" in capsys.readouterr().out
        assert main(["check"]) == 0
        (loaded,) = load_scenarios(["scenarios"])
        assert loaded.scenario.name == "Where is my parcel?"
        assert loaded.scenario.agent == "python:first_agent.py:agent"
        for schema in ("scenarios/scenario.schema.json", "personas/persona.schema.json"):
            assert Path(schema).is_file()

    def test_its_agent_does_what_its_scenario_expects(self) -> None:
        Path("pyproject.toml").unlink()
        assert main(["new", "x"]) == 0
        names: dict[str, object] = {}
        exec(compile(Path("first_agent.py").read_text(), "first_agent.py", "exec"), names)
        agent = names["agent"]
        assert callable(agent)
        assert agent("Hello, where is my order 4417?").startswith("Order 4417 is")
        assert "4417" not in agent("Thank you, that is all.")

    def test_an_agent_of_the_project_is_used(self) -> None:
        assert main(["new", "x"]) == 0
        assert load_scenarios(["scenarios"])[0].scenario.agent == "support"
        assert not Path("first_agent.py").exists()

    def test_nothing_is_overwritten(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["new", "x"]) == 0
        Path("scenarios/x.yaml").write_text("mine")
        Path("personas/patient_customer.yaml").write_text("name: Mine")
        assert main(["new", "X"]) == 2
        assert "already exists" in capsys.readouterr().err
        assert main(["new", "y"]) == 0
        assert Path("scenarios/x.yaml").read_text() == "mine"
        assert Path("personas/patient_customer.yaml").read_text() == "name: Mine"

    @pytest.mark.parametrize(
        "name", ["a: b", "no", "4417", "{x}", "- y", "'q\"", "#", "ключ", "x" * 200, "key:", "a # b"]
    )
    def test_any_name(self, name: str) -> None:
        assert main(["new", "--", name]) == 0
        (loaded,) = load_scenarios(["scenarios"])
        assert loaded.scenario.name == name

    def test_elsewhere(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("sub").mkdir()
        Path("pyproject.toml").write_text("")
        assert main(["new", "x", "--dir", "sub"]) == 0
        assert "cd sub && simulate run scenarios/x.yaml" in capsys.readouterr().out
        assert Path("sub/first_agent.py").is_file()

    def test_the_project_file_is_left_alone(self) -> None:
        before = Path("pyproject.toml").read_text()
        assert main(["new", "x"]) == 0
        assert Path("pyproject.toml").read_text() == before
        assert tomllib.loads(before)


def test_new_beside_an_agent_of_ones_own_expects_what_any_agent_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("shop.py").write_text("def agent(message: str) -> str:\n    return 'Good morning.'\n")
    Path("pyproject.toml").write_text('[tool.simulate.agents]\nsupport = "python:shop.py:agent"\n')
    assert main(["new", "Where is my parcel"]) == 0
    assert main(["run", "scenarios"]) == 0
    assert "1 passed" in capsys.readouterr().out


def test_what_is_misspelt_is_told_where_the_cases_are_missing_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("scenarios/a.yaml").write_text(
        "name: a\nopens_with: '{{x}}'\ncases: rows.csv\nexpect: [{caled: y}]\nlimits: {turns: '{{n}}'}"
    )
    assert main(["check"]) == 2
    told = capsys.readouterr().err
    assert 'no data file "rows.csv"' in told and 'did you mean "called"?' in told
    assert "limits" not in told


def test_new_in_a_folder_that_is_not_there_yet_runs_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pyproject.toml").unlink()
    assert main(["new", "Where is my parcel", "--dir", "shop"]) == 0
    monkeypatch.chdir(tmp_path / "shop")
    assert main(["run"]) == 0
    assert "1 passed" in capsys.readouterr().out
