"""With ``--no-code`` nothing that a file or an address names is imported or started, by whatever command."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from simulate.errors import InputError
from simulate.interfaces.cli.main import main
from simulate.model.agent_address import KINDS
from simulate.no_code import VARIABLE, forbidding
from simulate.scoring.evaluators.scoring import choose

ROOT = Path(__file__).parents[1]
TRACE = str(ROOT / "fixtures/traces/openinference_openai.otlp.jsonl")
# whatever is imported or started leaves a file
EVIL = """
from pathlib import Path
Path(__file__).with_name("RAN").touch()
from simulate.evaluators import Evaluator
def agent(message): return "ok"
def check(evidence): return True
class World: pass
class Score(Evaluator): pass
"""
URL = "agent: http://127.0.0.1:9/v1"
pytest_plugins = ["pytester"]
NAMED = {
    "agent": "agent: python:evil:agent",
    "agent's file": "agent: python:evil.py:agent",
    "program": f"agent: 'exec:{sys.executable} evil.py'",
    "mcp": f"agent: 'mcp:{sys.executable} evil.py'",
    "bot": "agent: pipecat:evil:agent\nmedium: voice",
    "worker": "agent: livekit:evil.py\nmedium: voice",
    "check": f"{URL}\nexpect: [{{python: 'evil:check'}}]",
    "world": f"{URL}\nworld: python:evil:World",
    "evaluator": f"{URL}\nexpect: [{{scores: {{'evil:Score': 0.5}}}}]",
    "command": "agent: started",
    "name": "agent: named",
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("evil", None)
    (tmp_path / "evil.py").write_text(EVIL)
    command = f"{sys.executable} evil.py {{port}}"
    (tmp_path / "pyproject.toml").write_text(
        f"[tool.simulate.agents]\nnamed = 'python:evil:agent'\n[tool.simulate.agents.started]\n"
        f"address = 'http://127.0.0.1:{{port}}/v1'\ncommand = '{command}'\n"
    )
    return tmp_path


def refused(words: str, capfd: pytest.CaptureFixture[str], code: int = 2) -> str:
    assert main(shlex.split(words)) == code
    told = capfd.readouterr()
    assert not Path("RAN").exists()
    assert "--no-code" in told.err or code == 0, told.err
    return told.err


@pytest.mark.parametrize("named", NAMED)
def test_a_scenario_that_names_code_is_refused(named: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(f"name: s\nopens_with: hi\n{NAMED[named]}\n")
    refused("run s.yaml --no-code", capfd)
    refused("run s.yaml --no-code --ray", capfd)


def test_a_caller_of_ones_own_is_code(capfd: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(f"name: s\n{URL}\ncaller: python:evil:World\n")
    assert main(["check", "s.yaml", "--no-code"]) == 2
    for told in (capfd.readouterr().err, refused("run s.yaml --no-code", capfd)):
        assert "caller: python:evil:World runs code" in told


@pytest.mark.parametrize("named", [each for each in NAMED if each not in ("command", "name")])
def test_check_names_the_lines(named: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(f"name: s\nopens_with: hi\n{NAMED[named]}\n")
    assert main(["check", "s.yaml", "--no-import"]) == 0
    assert main(["check", "s.yaml", "--no-code"]) == 2
    assert re.search(r"s\.yaml:1.* runs code", capfd.readouterr().err)
    assert not Path("RAN").exists()


ADDRESSES = ["python:evil:agent", f"exec:{sys.executable} evil.py", "started", "named", "pipecat:evil:agent"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_verb_that_takes_an_agent(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    medium = "voice" if address.startswith("pipecat") else "text"
    Path("s.yaml").write_text(f"name: s\nopens_with: hi\nmedium: {medium}\n")
    agent = shlex.quote(address)
    refused(f"run s.yaml --agent {agent} --no-code", capfd)
    if medium == "text":
        assert main(["dataset", "add", TRACE, "--to", "golden", "--by", "Bo", "--partial"]) == 0
        refused(f"dataset run golden --agent {agent} --no-code", capfd)
        refused(f"replay {TRACE} --partial --agent {agent} --no-code", capfd)


def test_evaluators(capfd: pytest.CaptureFixture[str]) -> None:
    refused(f"score {TRACE} --evaluators evil:Score --no-code", capfd)
    with forbidding(True), pytest.raises(InputError, match="runs code"):
        choose(["evil:Score"])
    assert [each.name for each in choose(["evil:Score"])] == ["Score"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what Pipecat imports
def test_speech_of_ones_own(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pipecat", reason="pip install 'simulate-agents[voice]'")
    with Path("pyproject.toml").open("a") as file:
        file.write("[tool.simulate.speech]\nstt = 'evil:agent'\n")
    Path("s.yaml").write_text("name: s\nopens_with: hi\nmedium: voice\nagent: ws://127.0.0.1:9\n")
    refused("run s.yaml --no-code", capfd)


def test_a_variable_does_it_for_every_command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("s.yaml").write_text("name: s\nopens_with: hi\nagent: python:evil:agent\n")
    monkeypatch.setenv(VARIABLE, "1")
    refused("run s.yaml", capfd)
    monkeypatch.setenv(VARIABLE, "0")
    assert main(["run", "s.yaml", "--out", "r"]) == 0
    assert Path("RAN").exists()


def test_what_is_data_and_what_is_reached_by_url_still_runs(capfd: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(f"name: s\nopens_with: hi\n{URL}\nexpect: [{{said: {{contains: ok}}}}]\n")
    assert main(["check", "s.yaml", "--no-code"]) == 0
    assert main(["run", "s.yaml", "--no-code", "--out", "r"]) == 3  # nobody listens there
    assert main(["score", TRACE, "--evaluators", "TrajectoryScore", "--no-code"]) in (0, 1, 3)


def test_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(evil=EVIL)
    pytester.path.joinpath("s.yaml").write_text("name: s\nopens_with: hi\nagent: python:evil:agent\n")
    done = pytester.runpytest_subprocess("s.yaml", "--simulate-no-code", "-p", "no:cacheprovider")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*runs code, which --no-code refuses*"])
    assert not pytester.path.joinpath("RAN").exists()
    pytester.runpytest_subprocess("s.yaml", "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_every_kind_of_address_is_decided() -> None:
    from simulate.model.agent_address import names_code

    examples: dict[str, Any] = {
        "python": "python:m:f", "exec": "exec:p", "mcp": "mcp:p", "livekit": "livekit:a.py",
        "pipecat": "pipecat:m:f",
    }  # fmt: skip
    for scheme in KINDS:
        assert names_code(examples.get(scheme, f"{scheme}://h/x")) == (scheme in examples), scheme
    assert not names_code("mcp:http://h/mcp") and not names_code("livekit:worker")
