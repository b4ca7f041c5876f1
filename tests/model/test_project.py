"""``[tool.simulate]``: strict, and no place for a secret."""

from pathlib import Path

import pytest

from simulate.errors import FileProblems, InputError
from simulate.model.loading.project import Project, resolve_secret

GOOD = """\
[tool.simulate]
scenarios = ["scenarios", "more/one.yaml"]
[tool.simulate.agents]
support = "python:fixtures.agents.support:agent"
[tool.simulate.agents.staging]
address = "http://127.0.0.1:8000/v1"
model = "support-2"
headers = { Authorization = "env:STAGING_KEY" }
[tool.simulate.agents.voice]
address = "livekit:support"
url = "env:LIVEKIT_URL"
api_key = "env:K"
api_secret = "env:S"
[tool.simulate.agents.table]
address = "http://127.0.0.1:{port}/v1"
command = "python -m table --port {port}"
[tool.simulate.models]
caller = { base_url = "env:OPENAI_BASE_URL", api_key = "env:OPENAI_API_KEY", model = "gpt-5-mini" }
judge = { model = "m", temperature = 0, headers = { Authorization = "Bearer env:J", X-Team = "qa" } }
[tool.simulate.speech]
stt = "moonshine"
tts = "hibari"
"""


def project(folder: Path, text: str) -> Project:
    (folder / "pyproject.toml").write_text(text, "utf-8")
    (folder / "deep" / "er").mkdir(parents=True, exist_ok=True)
    return Project.find(folder / "deep" / "er")


def _request(table: str, address: str = "http://h/chat") -> str:
    return f"[tool.simulate.agents.a]\naddress = '{address}'\n[tool.simulate.agents.a.request]\n{table}\n"


def test_all_of_it(tmp_path: Path) -> None:
    found = project(tmp_path, GOOD)
    assert found.root == tmp_path
    assert found.scenarios == [tmp_path / "scenarios", tmp_path / "more" / "one.yaml"]
    assert found.agents["support"].address == "python:fixtures.agents.support:agent"
    assert found.agents["staging"].headers == {"Authorization": "env:STAGING_KEY"}
    assert found.agents["table"].command == "python -m table --port {port}"
    assert found.models.caller is not None and found.models.caller.model == "gpt-5-mini"
    assert found.models.judge is not None and found.models.judge.temperature == 0
    assert found.speech.tts == "hibari"


def test_a_project_without_a_word_about_us(tmp_path: Path) -> None:
    found = project(tmp_path, "[project]\nname = 'x'\n")
    assert (found.agents, found.models.caller, found.scenarios) == ({}, None, [tmp_path / "scenarios"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scenario = []", '[tool.simulate] scenario: unknown key "scenario"; did you mean "scenarios"?'),
        ("[tool.simulate.agents]\na = { adress = 'x:y' }", 'did you mean "address"?'),
        ("[tool.simulate.agents]\na = { model = 'x' }", '"address" is missing'),
        (
            "[tool.simulate.agents]\na = { address = 'x:y', headers = { Authorization = 'Bearer sk-1' } }",
            "env:NAME",
        ),
        ("[tool.simulate.agents]\na = { address = 'x:y', headers = { X-Api-Key = 'sk-1' } }", "env:NAME"),
        ("[tool.simulate.agents]\na = { address = 'http://u:p@h/v1' }", "a URL with a password"),
        (
            "[tool.simulate.models]\ncaller = { model = 'm', api_key = 'sk-1' }",
            "a secret is never written here",
        ),
        ("[tool.simulate.models]\ncalller = { model = 'm' }", 'did you mean "caller"?'),
        ("[tool.simulate.models]\njudge = { model = 4 }", "a text is wanted, not 4"),
        ("[tool.simulate.speech]\nsst = 'x'", 'did you mean "stt"?'),
        ("scenarios = 3", "a list is wanted, not 3"),
        ("[tool.simulate.agents]\na = 'a2a:orders'", "lacks its url"),
        ("[tool.simulate.agents]\na = 'exec:'", "lacks its command"),
        ("[tool.simulate.agents]\na = 'exec:say \"hi'", "not a command line"),
        ("[tool.simulate.agents]\na = 'responses:http://u:p@h/v1'", "a URL with a password"),
        ("[tool.simulate.agents]\na = 'twilio:ws://u:p@h/media'", "a URL with a password"),
        ("[tool.simulate.agents]\na = { address = 'python:a:b', mcp_servers = { A = '' } }", "nor a command"),
        ("[tool.simulate.agents]\na = { address = 'python:a:b', mcp_servers = { A = 'http:/x' } }", "nor a"),
        (
            "[tool.simulate.agents]\na = { address = 'python:a:b', mcp_servers = { A = 'http://' } }",
            "no host",
        ),
        (
            "[tool.simulate.agents]\na = { address = 'python:a:b', mcp_servers = { A = 'say \"hi' } }",
            "command line",
        ),
        ("[tool.simulate.agents]\na = 'exec:agent {{mesage}}'", 'did you mean "message"?'),
        (_request("body = { q = '{{mesage}}' }"), 'no placeholder {{mesage}}; did you mean "message"?'),
        (_request("bdy = 'x'"), 'unknown key "bdy"; did you mean "body"?'),
        (_request("body = { q = 'x' }"), "leaves out what the caller says"),
        (_request("body = '{{message}}'\nanswer = 'reply'"), "'reply' is not a JSON path; write $.reply"),
        (_request("body = '{{message}}'\nsession = 'cookie'"), "a session comes from cookie:NAME"),
        (_request("body = '{{message}}'\ndone = '$.end'"), '"answer" is missing'),
        (_request("body = '{{message}}'", "python:a:b"), "`request` is for http, https, ws"),
        ("x = [", "not TOML"),
    ],
)
def test_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(FileProblems) as caught:
        project(tmp_path, f"[tool.simulate]\n{text}")
    assert told in str(caught.value)
    assert str(tmp_path / "pyproject.toml") in str(caught.value)
    assert "sk-1" not in str(caught.value)


def test_a_secret_is_looked_up_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sesame")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("ABSENT", raising=False)
    assert resolve_secret("env:MY_KEY") == "sesame"
    assert resolve_secret("Bearer env:MY_KEY") == "Bearer sesame"
    assert resolve_secret("plain") == "plain"
    for name in ("EMPTY", "ABSENT"):
        with pytest.raises(InputError, match=f"{name} is not set"):
            resolve_secret(f"env:{name}")


def test_an_agent_by_name_or_address(tmp_path: Path) -> None:
    found = project(tmp_path, GOOD)
    assert found.agent("staging").model == "support-2"
    assert found.agent("http://127.0.0.1:1/v1").address == "http://127.0.0.1:1/v1"
    with pytest.raises(InputError, match='no agent "suport"; did you mean "support"'):
        found.agent("suport")
