"""The examples of docs/scenarios.md and docs/agents.md that are files, run as they stand there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from simulate.interfaces.cli.main import main
from simulate.model.history import Earlier
from simulate.model.loading.project import ProjectTable
from simulate.model.persona import Persona
from simulate.model.scenario import Limits, Line, Scenario, When
from simulate.model.tool_pin import ToolPin
from simulate.run_folder import RunFolder

DOCS = Path(__file__).resolve().parents[1] / "docs"
AGENT = """
def agent(message: str) -> str:
    if "manager" in message:
        return "This is the manager."
    return f"I am sorry, {message.split()[0]}: no refund." if "efund" in message else "Yes?"
"""


def blocks(page: str, language: str) -> dict[str, str]:
    text = (DOCS / page).read_text("utf-8")
    return dict(re.findall(rf"```{language}\n(?:#|//) ([\w./]+)\n(.*?)```", text, re.S))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "agent.py").write_text(AGENT)
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def test_histories_attachments_branches_callers_and_known_failures(project: Path) -> None:
    scenarios = ("insists", "own_caller", "known", "second_thoughts", "broken_kettle")
    named = (*(f"scenarios/{name}.yaml" for name in scenarios), "my_caller.py", "remembers.py", "sees.py")
    (project / "scenarios/kettle.png").write_bytes(b"\x89PNG")
    for name, text in (blocks("scenarios.md", "yaml") | blocks("scenarios.md", "python")).items():
        if name in named:
            (project / name).write_text(text, "utf-8")
    assert main(["run", "--out", "run"]) == 0
    standings = {outcome.scenario: outcome.standing for outcome in RunFolder(project / "run").outcomes()}
    assert sorted(standings.values()) == ["passed", "passed", "passed", "passed", "xfailed"]


def test_who_calls_reaches_the_agent_of_the_page(project: Path) -> None:
    for language, name in (("yaml", "scenarios/plans.yaml"), ("python", "plans.py")):
        (project / name).write_text(blocks("scenarios.md", language)[name], "utf-8")
    assert main(["run", "--out", "run"]) == 0
    assert main(["run", "--out", "again", "--tag", "user=u-9"]) == 1


@pytest.mark.parametrize(
    ("language", "program"),
    [
        ("python", "python shop_server.py"),
        pytest.param(
            "js",
            "node shop_server.cjs",
            marks=pytest.mark.skipif(
                shutil.which("node") is None, reason="needs Node: apt-get install nodejs"
            ),
        ),
    ],
)
def test_pins_reach_the_server_of_the_page(project: Path, language: str, program: str) -> None:
    server = program.split()[1]
    (project / server).write_text(blocks("agents.md", language)[server], "utf-8")
    (project / "scenarios/shop.yaml").write_text(blocks("agents.md", "yaml")["scenarios/shop.yaml"])
    text = (DOCS / "agents.md").read_text("utf-8")
    (table,) = re.findall(r"```toml\n(\[tool\.simulate\.agents\.shop\]\n.*?)```", text, re.S)
    (project / "pyproject.toml").write_text(table.replace("python shop_server.py", program))
    assert main(["run", "--trials", "3", "--out", "run"]) == 0


def test_every_key_of_a_scenario_and_of_the_project_is_documented() -> None:
    text = "".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    keys = {
        field.alias or name
        for model in (Scenario, Earlier, Line, When, Limits, ToolPin, Persona, ProjectTable)
        for name, field in model.model_fields.items()
    }
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b\s*[:=`]", text)] == []
