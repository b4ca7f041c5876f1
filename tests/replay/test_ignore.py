"""What ``ignore`` leaves out of requests, also of those that were recorded with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from simulate.errors import InputError
from simulate.interfaces.cli.main import main
from simulate.replay import Rules, record, replaying
from simulate.replay.matching.rules import default_rules

QUESTION = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def ask(base: str, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(f"{base}/v1/chat/completions", json={**QUESTION, **more})


@pytest.mark.parametrize("recorded_with", [(), ("$.metadata.request_id",)])
async def test_a_path_is_ignored_whether_or_not_it_was_recorded(
    recorded_with: tuple[str, ...], server: Any, tmp_path: Path
) -> None:
    async with record(tmp_path / "c", rules=Rules(ignore=recorded_with)):
        await ask(server.base, metadata={"request_id": "1"})
    async with replaying(tmp_path / "c", rules=Rules(ignore=("$.metadata.request_id",))) as player:
        await ask(server.base, metadata={"request_id": "2"})
    assert player.report().verdict == "identical"
    assert not player.report().notes


async def test_what_was_recorded_as_ignored_stays_so(server: Any, tmp_path: Path) -> None:
    async with record(tmp_path / "c", rules=Rules(ignore=("$..request_id",))):
        await ask(server.base, metadata={"request_id": "1"})
    async with replaying(tmp_path / "c", rules=Rules()) as player:
        await ask(server.base, metadata={"request_id": "2"})
    assert player.report().verdict == "identical"


async def test_a_path_that_no_request_has_is_told(server: Any, tmp_path: Path) -> None:
    async with record(tmp_path / "c"):
        await ask(server.base, metadata={"request_id": "1"})
    async with replaying(tmp_path / "c", rules=Rules(ignore=("$.metadat.request_id",))) as player:
        await ask(server.base, metadata={"request_id": "2"})
    assert player.report().verdict == "drifted"
    assert any("$.metadat.request_id" in note for note in player.report().notes)


async def test_secrets_go_by_name_in_queries_requests_and_responses(server: Any, tmp_path: Path) -> None:
    rules = default_rules()
    async with record(tmp_path / "c", rules=rules), httpx.AsyncClient() as client:
        await client.post(
            f"{server.base}/echo?access_token=zzQUERY&page=2", json={"client": {"credentials": ["zzBODY"]}}
        )
    stored = "".join(path.read_text() for path in (tmp_path / "c").rglob("*") if path.is_file())
    assert "zz" not in stored
    assert "page=2" in stored
    async with replaying(tmp_path / "c", rules=rules) as player, httpx.AsyncClient() as client:
        await client.post(
            f"{server.base}/echo?access_token=zzQUERY&page=2", json={"client": {"credentials": ["zzBODY"]}}
        )
    assert player.report().verdict == "identical"


@pytest.mark.parametrize("path", ["metadata.request_id", "$.", "$.a[?(@.b)]"])
def test_what_is_not_a_path_is_refused(path: str) -> None:
    with pytest.raises(InputError):
        Rules(ignore=(path,))


AGENT = """
import os, httpx

def reply(message: str) -> str:
    asked = {"model": "m", "messages": [{"role": "user", "content": message}]}
    asked["metadata"] = {name: os.urandom(8).hex() for name in ("of_project", "of_scenario")}
    httpx.post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json=asked)
    return "done"
"""


def test_a_project_and_a_scenario_say_what_is_ignored(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("OPENAI_BASE_URL", server.base + "/v1")
    (tmp_path / "ignoring_agent.py").write_text(AGENT)
    (tmp_path / "pyproject.toml").write_text("[tool.simulate.replay]\nignore = ['$.metadata.of_project']\n")
    scenario = tmp_path / "s.yaml"
    lines = "name: s\nagent: python:ignoring_agent:reply\nscript: [{says: hi}]\n"
    scenario.write_text(lines)
    assert main(["run", "s.yaml", "--record", "c", "--out", "a"]) == 0
    assert main(["run", "s.yaml", "--replay", "c", "--out", "b"]) == 1
    told = capsys.readouterr().out
    assert "$.metadata.of_scenario" in told and "of_project" not in told
    scenario.write_text(lines + "replay: {ignore: [$.metadata.of_scenario]}\n")
    assert main(["run", "s.yaml", "--replay", "c", "--out", "d"]) == 0
    scenario.write_text(lines + "replay: {ignore: [metadata]}\n")
    assert main(["run", "s.yaml", "--replay", "c", "--out", "e"]) == 2
    assert "is not a JSON path; write $.metadata" in capsys.readouterr().err
