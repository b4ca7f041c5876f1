"""What one does daily with a suite: select, run what failed, excuse and retry, look at earlier runs."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from simulate.errors import FileProblems, InputError
from simulate.interfaces.cli import watch
from simulate.interfaces.cli.main import main
from simulate.interfaces.cli.selection import parse
from simulate.interfaces.render.junit import junit
from simulate.llm.config import PLACEHOLDER
from simulate.load_object import own_traceback
from simulate.model.loading.environment import read_env_file, set_environment
from simulate.model.loading.project import Project
from simulate.model.outcome_json import outcome_from_json
from simulate.model.text import IN_ASCII
from simulate.run_folder import RunFolder, find_run
from simulate.scenario_files import load_scenarios

AGENT = """
import itertools, os
turns = itertools.count()
def odd(message):  # answers right every other time, the first time wrong
    return "nine" if next(turns) % 2 else "eight"
def right(message):
    return "nine"
def wrong(message):
    return "eight"
def broken(message):
    raise SystemError(os.environ.get("SHOP", "no shop"))
def key(message):
    return os.environ["OPENAI_API_KEY"]
"""


def scenario(name: str, agent: str, more: str = "") -> str:
    said = "expect: [{said: {contains: nine}}]"
    return f"name: {name}\nagent: python:mine.py:{agent}\nscript: [{{says: when}}]\n{said}\n{more}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.simulate]\nscenarios = ["cases"]\n')
    (tmp_path / "mine.py").write_text(AGENT)
    (tmp_path / "cases").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(project: Path, *documents: str) -> None:
    (project / "cases" / "all.yaml").write_text("---\n".join(documents))


def standings(run: Path | None = None) -> dict[str, str]:
    return {outcome.scenario: outcome.standing for outcome in RunFolder(run or find_run()).outcomes()}


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ("refund", True),
        ("never issued", True),
        ("never voice", False),
        ("refund and not voice", True),
        ("refund and not (slow or voice)", False),
        ("not refund or slow", True),
        ('"never issued" and slow', True),
        ("REFUND AND slow", True),
        ("orders (eu)", True),
        ("not not slow", True),
    ],
)
def test_an_expression_selects(expression: str, fits: bool) -> None:
    texts = ["a refund never issued", "slow", "orders (eu)"]
    assert parse(expression)(texts) is fits


@pytest.mark.parametrize("expression", ["and a", "a and", "not", "(a or b", "a or b)", "a and (or b)"])
def test_half_an_expression_is_refused(expression: str) -> None:
    with pytest.raises(InputError, match="-k"):
        parse(expression)


def test_what_is_excused_makes_no_run_red_and_is_no_clean_pass(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        project,
        scenario("Sure", "right"),
        scenario("Known", "wrong", "xfail: ticket 12"),
        scenario("Mended", "right", "xfail: ticket 13"),
        scenario("Shaky", "wrong", "quarantine: under repair"),
        scenario("Now and then", "odd", "retries: 1"),
    )
    assert main(["run", "--junit", "j.xml"]) == 0
    assert standings() == {
        "Sure": "passed", "Known": "xfailed", "Mended": "xpassed", "Shaky": "quarantined",
        "Now and then": "flaky",
    }  # fmt: skip
    shown = capsys.readouterr().out
    for told in ("ticket 12", "ticket 13", "under repair", "attempt 1 failed", "1 passed"):
        assert told in shown
    record = RunFolder(find_run()).read_run()
    assert record.counts["passed"] == 1 and record.flaky == ["Now and then"]
    xml = (project / "j.xml").read_text()
    assert 'failures="0"' in xml and "ticket 12" in xml and "attempt 1 failed" in xml


def test_an_excuse_covers_no_error_and_no_retry_hides_a_failure(project: Path) -> None:
    write(
        project,
        scenario("Unreachable", "right", "xfail: known").replace(
            "python:mine.py:right", "http://127.0.0.1:9/v1"
        ),
    )
    assert main(["run"]) == 3
    write(project, scenario("Always", "wrong", "retries: 2"))
    assert main(["run"]) == 1
    (outcome,) = RunFolder(find_run()).outcomes()
    assert outcome.standing == "failed" and len(outcome.retried) == 2
    write(project, scenario("Alone", "right", "quarantine: nobody trusts it"))
    assert main(["run"]) == 3, "nothing that counts came to a verdict"


def test_reliability_counts_first_attempts(project: Path) -> None:
    write(project, scenario("Now and then", "odd", "retries: 1\ntrials: 2"))
    assert main(["run", "--jobs", "1"]) == 0
    record = RunFolder(find_run()).read_run()
    assert [entry.passed for entry in record.reliability if entry.k == 1] == [0]


def test_failed_runs_only_what_did_not_pass(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project, scenario("Good", "right"), scenario("Bad", "wrong"))
    assert main(["run", "--out", "first"]) == 1
    assert main(["run", "--failed", "first", "--out", "second"]) == 1
    assert standings(Path("second")) == {"Bad": "failed"}
    write(project, scenario("Good", "right"), scenario("Bad", "right"))
    assert main(["run", "--failed", "second"]) == 0
    assert main(["run", "--failed", "cases"]) == 2, "a folder is what to run; the latest run has no failure"
    assert "every outcome" in capsys.readouterr().err


def test_personas_multiply_cases(project: Path) -> None:
    (project / "personas").mkdir()
    (project / "personas" / "ann.yaml").write_text("traits: [calm]\n")
    write(
        project, scenario("Hours", "right", "personas: [ann, {name: Bob}]\ncases: [{case: one}, {case: two}]")
    )
    loaded = load_scenarios(["cases"])
    assert [each.case for each in loaded] == ["ann, one", "ann, two", "Bob, one", "Bob, two"]
    assert [getattr(each.scenario.persona, "name", None) for each in loaded] == [None, None, "Bob", "Bob"]
    write(project, scenario("Hours", "right", "personas: [an, {nmae: Bob}]"))
    with pytest.raises(FileProblems) as caught:
        load_scenarios(["cases"])
    assert 'did you mean "ann"' in str(caught.value) and 'did you mean "name"' in str(caught.value)
    assert {problem.line for problem in caught.value.problems} == {5}
    write(project, scenario("Hours", "right", "personas: ann"))
    with pytest.raises(FileProblems, match="list of personas"):
        load_scenarios(["cases"])
    write(project, scenario("Hours", "right", "personas: [ann]\npersona: ann"))
    with pytest.raises(FileProblems, match="both say"):
        load_scenarios(["cases"])


def test_environment_of_files_and_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOP", "REGION", "TOKEN", "GIVEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIVEN", "by CI")
    (project / ".env").write_text(
        "# ours\nSHOP='north # 1'\nexport REGION=eu # here\nGIVEN=by file\nTOKEN=a#b\n"
    )
    (project / "pyproject.toml").write_text(
        '[tool.simulate]\nenv_file = ".env"\nenv = { SHOP = "south", WHO = "env:TOKEN" }\n'
    )
    monkeypatch.setenv("WHO", "")
    monkeypatch.delenv("WHO")
    set_environment(Project.find())
    found = {name: os.environ[name] for name in ("SHOP", "REGION", "TOKEN", "GIVEN", "WHO")}
    assert found == {"SHOP": "north # 1", "REGION": "eu", "TOKEN": "a#b", "GIVEN": "by CI", "WHO": "a#b"}
    (project / "broken.env").write_text("GOOD=1\nsecret words\n")
    with pytest.raises(FileProblems) as caught:
        read_env_file(project / "broken.env")
    assert caught.value.problems[0].line == 2 and "secret words" not in str(caught.value)
    (project / "pyproject.toml").write_text('[tool.simulate]\nenv = { SHOP_TOKEN = "abc" }\n')
    with pytest.raises(FileProblems, match="env:NAME"):
        Project.find()


def test_a_replay_needs_no_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-real-one")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "")
    write(project, scenario("Key", "key").replace("nine", "real"))
    assert main(["run", "--record", "tapes"]) == 0
    monkeypatch.delenv("OPENAI_API_KEY")
    write(project, scenario("Key", "key").replace("nine", PLACEHOLDER))
    main(["run", "--replay", "tapes", "--out", "again"])
    assert "OPENAI_API_KEY" not in os.environ, "only while it lasts"
    (outcome,) = RunFolder(Path("again")).outcomes()
    assert next(each.status for each in outcome.verdicts if each.check == "said") == "passed"
    monkeypatch.setenv("OPENAI_API_KEY", "")


def test_runs_are_listed_compared_and_pruned(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project, scenario("Breaks", "right"), scenario("Mends", "wrong"), scenario("Goes", "right"))
    main(["run", "--out", ".simulate/runs/one"])
    write(project, scenario("Breaks", "wrong"), scenario("Mends", "right"), scenario("Comes", "right"))
    main(["run", "--out", ".simulate/runs/two"])
    capsys.readouterr()
    assert main(["runs", "compare", "one", "two", "--json", "c.json"]) == 1
    changes = {case["name"]: case["change"] for case in json.loads(Path("c.json").read_text())["cases"]}
    assert changes == {"Breaks": "broke", "Mends": "mended", "Goes": "gone", "Comes": "new"}
    assert "said: the agent says" in capsys.readouterr().out, "failures are told by their cause"
    assert Path(".simulate/runs/two/comparison.html").is_file()
    assert main(["runs", "compare", "one", "one"]) == 2
    assert main(["runs", "show", "two"]) == 0
    assert main(["runs", "list"]) == 0
    assert re.findall(r"^(one|two) ", capsys.readouterr().out, re.M) == ["one", "two"]
    assert main(["runs", "trend", "--measure", "turn"]) == 2
    for name, seconds in (("one", 1.5), ("two", 2.25)):
        file = Path(f".simulate/runs/{name}/outcomes.jsonl")
        told = [json.loads(line) for line in file.read_text().splitlines()]
        lines = [json.dumps({**each, "measures": {"reply_p50_seconds": seconds}}) for each in told]
        file.write_text("\n".join(lines) + "\n")
    capsys.readouterr()
    assert main(["runs", "trend", "--json", "t.json"]) == 0
    assert [row["reply_p50_seconds"] for row in json.loads(Path("t.json").read_text())] == [1.5, 2.25]
    assert "2.25 (+0.75)" in capsys.readouterr().out
    assert main(["runs", "trend", "--scenario", "Comes", "--json", "t.json"]) == 0
    assert [row["run"] for row in json.loads(Path("t.json").read_text())] == ["two"]
    assert main(["runs", "prune"]) == 2, "nothing says which"
    assert main(["runs", "prune", "--keep", "1", "--dry-run"]) == 0 and Path(".simulate/runs/one").exists()
    assert main(["runs", "prune", "--keep", "1"]) == 0
    assert [path.name for path in Path(".simulate/runs").iterdir()] == ["two"]
    assert (
        main(["runs", "prune", "--keep", "0", "--older-than", "1h"]) == 0
        and Path(".simulate/runs/two").exists()
    )


def test_the_report_holds_the_scenario_its_pins_and_its_command(project: Path) -> None:
    write(
        project,
        scenario("Pinned", "right", "tools: {lookup: {status: '{{s}}'}}\ncases: [{case: x, s: lost}]"),
    )
    main(["run", "--out", "run", "--seed", "3", "--agent", "python:mine.py:wrong"])
    page = Path("run/report.html").read_text()
    data = json.loads(re.search(r'id="outcome-0">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert data["pins"] == {"lookup": {"returns": {"status": "lost"}}}
    assert "status: '{{s}}'" in data["scenario_text"], "as it was written"
    assert data["again"] == "simulate run cases/all.yaml -k 'pinned[x]' --agent python:mine.py:wrong --seed 3"
    words = data["again"].split(" ", 1)[1].replace("'", "").split(" ")
    assert main([*words, "--out", "again"]) == 1 and standings(Path("again")) == {"Pinned": "failed"}


def test_class_names_are_the_same_wherever_the_project_lies(project: Path) -> None:
    write(project, scenario("Good", "right"))
    main(["run", str(project / "cases" / "all.yaml"), "--out", "run"])
    (outcome,) = RunFolder(Path("run")).outcomes()
    outcome.source = str(project / "cases" / "all.yaml:1")
    assert b'classname="cases.all"' in junit([outcome])


def test_ascii_for_a_console_that_shows_nothing_else(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "✓ ✗ ○ → é".encode("ascii", IN_ASCII) == b"ok x - -> \\xe9"
    write(project, scenario("Bad", "wrong"), scenario("Good", "right"))
    done = subprocess.run(
        [sys.executable, "-m", "simulate", "run", "--ascii"], capture_output=True, check=False, timeout=100
    )
    assert b"x failed (agent)" in done.stdout and b"ok" in done.stdout, done
    assert max(done.stdout + done.stderr) < 128


def test_a_traceback_keeps_the_authors_frames_and_counts_those_of_libraries() -> None:
    def mine() -> None:
        json.loads("{no json")

    with pytest.raises(ValueError) as caught:
        mine()
    told = own_traceback(caught.value)
    assert "in mine" in told and "frames of json" in told and told.count("File ") == 3


def test_a_change_is_seen_and_what_a_run_writes_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a")
    before = watch.snapshot(tmp_path)
    (tmp_path / ".simulate").mkdir()
    (tmp_path / ".simulate" / "run.json").write_text("{}")
    assert watch.snapshot(tmp_path) == before
    (tmp_path / "a.yaml").write_text("name: other")
    assert watch.snapshot(tmp_path) != before


def test_watch_runs_again_after_a_change(project: Path) -> None:
    write(project, scenario("Hours", "wrong"))
    command = [sys.executable, "-m", "simulate", "run", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert "exit code 1" in _until("exit code", process.stderr)
            write(project, scenario("Hours", "right"))
            assert "all.yaml" in _until("changed", process.stderr)
            assert "exit code 0" in _until("exit code", process.stderr)
        finally:
            process.terminate()


def _until(words: str, stream: io.TextIOBase | object) -> str:
    return next(line for line in stream if words in line)  # type: ignore[attr-defined]


def test_an_outcome_of_an_older_release_is_read() -> None:
    old = {
        "scenario": "s", "agent": "a", "status": "passed",
        "conversation": {"id": "0" * 32, "medium": "text"},
    }  # fmt: skip
    outcome = outcome_from_json(orjson.dumps(old))
    assert outcome.standing == "passed" and outcome.clean
