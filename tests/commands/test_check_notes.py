"""What `simulate check` tells beside what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulate.interfaces.cli.main import main

PERSONA = "name: Ann\nspeaks: {pace: slow, tone: curt, typos: low}\n"


def check(folder: Path, monkeypatch: pytest.MonkeyPatch, **scenarios: str) -> int:
    (folder / "personas").mkdir(exist_ok=True)
    (folder / "personas" / "ann.yaml").write_text(PERSONA)
    for name, text in scenarios.items():
        (folder / f"{name}.yaml").write_text(f"name: {name}\npersona: ann\n{text}")
    monkeypatch.chdir(folder)
    return main(["check", *(f"{name}.yaml" for name in scenarios)])


SCRIPTED = "script: [{says: hello}]\n"
IMPROVISED = "goal: Get a refund.\n"


def test_fields_of_a_persona_that_nothing_reads_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path, monkeypatch, typed=SCRIPTED) == 0
    note = capsys.readouterr().err
    assert "typed.yaml:1" in note
    assert "speaks.pace" in note
    assert "speaks.tone" in note
    assert "typos" not in note, "slips are made in scripted lines, too"


@pytest.mark.parametrize(
    ("scenarios", "unread"),
    [
        ({"spoken": "medium: voice\n" + SCRIPTED}, ["speaks.tone", "speaks.typos"]),
        ({"typed": IMPROVISED}, []),
        ({"spoken": "medium: voice\n" + IMPROVISED}, ["speaks.typos"]),
        ({"typed": SCRIPTED, "freely": IMPROVISED}, []),
    ],
)
def test_a_field_that_one_scenario_reads_has_its_use(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scenarios: dict[str, str],
    unread: list[str],
) -> None:
    assert check(tmp_path, monkeypatch, **scenarios) == 0
    note = capsys.readouterr().err
    assert [name for name in ("speaks.pace", "speaks.tone", "speaks.typos") if name in note] == unread


@pytest.mark.parametrize("address", ["ftp://x", "pipecat:bots:bot", "pyton:agents:agent"])
def test_an_address_that_no_engine_serves_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    """Unknown, or of an agent that speaks where the scenario is text."""
    assert check(tmp_path, monkeypatch, typed=f'agent: "{address}"\n' + SCRIPTED) == 2
    told = capsys.readouterr().err
    assert "typed.yaml:3" in told
    assert address in told
    assert "medium: voice" in told if address.startswith("pipecat") else "livekit:agent-name" in told


def test_so_is_one_of_the_projects_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.simulate.agents]\nshop = "ftp://x"\n')
    assert check(tmp_path, monkeypatch, typed=f"agent: shop\n{SCRIPTED}") == 2
    assert "agents.shop" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address",
    [
        "http:/x", "http://host:99999/v1", "http://host:abc/v1", "http://two words/v1", "http://[::1/v1",
        "ws://", "a2a:http://[/", "python:agent", "python::", "python:a:b:c", "python:a b:c", "pipecat:bot",
        "livekit:", "exec:an 'open quote",
    ],
)  # fmt: skip
def test_an_address_that_can_reach_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    medium = "medium: voice\n" if address.startswith(("ws", "pipecat", "livekit")) else ""
    assert check(tmp_path, monkeypatch, bad=f"agent: {json.dumps(address)}\n{medium}{SCRIPTED}") == 2
    told = capsys.readouterr().err
    assert "bad.yaml:3" in told and "an address is" in told


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        ("python:not_there.py:agent", "there is no file not_there.py"),
        ("python:no_such_package.inner:agent", "there is no module no_such_package.inner"),
        ("shop", "there is no file shop/agent.py"),
        ("caller", "speaks"),
    ],
)
def test_an_agent_that_is_not_there_or_of_another_medium_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], agent: str, told: str
) -> None:
    agents = 'shop = "python:shop/agent.py:agent"\ncaller = "pipecat:json:dumps"\n'
    (tmp_path / "pyproject.toml").write_text(f"[tool.simulate.agents]\n{agents}")
    assert check(tmp_path, monkeypatch, typed=f"agent: {agent}\n{SCRIPTED}") == 2
    assert told in capsys.readouterr().err
    assert main(["check", "typed.yaml", "--no-import"]) == 2 * (agent == "caller")


@pytest.mark.parametrize("url", ["http:/x", "http://[::1", "http://host:99999", "ftp://host", "localhost:80"])
def test_a_url_that_no_client_could_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.simulate.models.judge]\nmodel = "m"\nbase_url = "{url}"\n'
    )
    assert check(tmp_path, monkeypatch, typed=SCRIPTED) == 2
    assert "models.judge.base_url" in capsys.readouterr().err
    assert main(["traces", "find", "--server", url]) == 2
    assert "is not the address of a server" in capsys.readouterr().err


def test_a_run_is_refused_where_nobody_could_reach_the_callers_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://[::1/v1")
    (tmp_path / "a.yaml").write_text("name: a\nagent: python:json:dumps\n" + IMPROVISED)
    assert main(["run", "a.yaml"]) == 2
    assert "OPENAI_BASE_URL" in capsys.readouterr().err
    (tmp_path / "a.yaml").write_text("name: a\nagent: python:json:dumps\n" + SCRIPTED)
    assert main(["check", "a.yaml"]) == 0, "nobody needs that model"
