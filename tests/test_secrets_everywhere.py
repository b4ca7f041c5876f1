"""What ``simulate trace redact`` hides, no page, terminal, diff, JSON or report shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.secret_placements import look_alikes, measure
from simulate.interfaces.cli.main import main
from simulate.interfaces.render.html import write_html, write_trace_html
from simulate.model.outcome import Outcome
from simulate.model.secret_names import is_secret, is_secret_name, is_secret_parameter
from simulate.model.transcript import Conversation, Utterance
from simulate.trace.diff import compare
from simulate.trace.redaction.redact import Redactor
from simulate.trace.span import Span, Trace

SECRETS = {
    "access_token": "zzTOKENzz",
    "refreshToken": "zzREFRESHzz",
    "client_secret": "zzCLIENTSECRETzz",
    "db.password": "zzPASSzz",
    "private_key": "zzPRIVzz",
    "credentials": "zzCREDzz",
    "http.request.header.set-cookie": "zzCOOKIEzz",
    "sessionKey": "zzSESSIONzz",
}
PLACEHOLDER = re.compile(r"<secret:[0-9a-f]{4,32}>")


def trace_file(path: Path, trace_id: str, attributes: dict[str, str], tool: str | None = None) -> Path:
    """A file with one span, of a call of the tool ``tool`` where one is named."""
    given = dict(attributes)
    if tool is not None:
        given = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool,
            "gen_ai.tool.call.arguments": json.dumps(attributes),
        }
    span = {
        "traceId": trace_id,
        "spanId": "2" * 16,
        "name": "GET https://user:zzURLzz@db.example/x",
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000001000000000",
        "attributes": [{"key": key, "value": {"stringValue": text}} for key, text in given.items()],
    }
    scope: dict[str, Any] = {"scope": {"name": "x"}, "spans": [span]}
    path.write_text(json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [scope]}]}))
    return path


@pytest.mark.parametrize(
    "name",
    [
        *SECRETS,
        "X-Api-Key",
        "ｐａｓｓｗｏｒｄ",
        "pass\u200bword",
        "contraseña",
        "пароль",
        "密码",
        "dbpassword",
        "OPENAI_API_KEY",
        "userPassword1",
        "accessTokens",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("input_tokens", "token_count", "max_tokens", "tokens", "token_type", "next_page_token"),
        *("gen_ai.usage.input_tokens", "session.id", "key", "primary_key", "idempotency-key", "api_key_id"),
        *("cookie_policy", "author", "cache_key", "boarding_pass", "compass", "password_length"),
    ],
)
def test_names_of_what_is_no_secret(name: str) -> None:
    assert not is_secret_name(name)


def test_what_a_value_says() -> None:
    assert is_secret("token", "f3bQ81nvAz0pLk2")
    assert not is_secret("token", "the"), "a word that a model wrote"
    assert is_secret("password", 48151623), "typed digits"
    assert not is_secret("access_token", 12), "a count"
    assert is_secret_parameter("key")
    assert not is_secret_name("key")


def test_all_that_lies_under_a_name_of_secrets() -> None:
    given = {"credentials": {"user": "mara", "pin": ["zz1"]}, "authorization": {"status": "approved"}}
    for told in (Redactor().value(given), json.loads(Redactor().text(json.dumps(given)))):
        assert PLACEHOLDER.fullmatch(told["credentials"]["user"])
        assert PLACEHOLDER.fullmatch(told["credentials"]["pin"][0])
        assert told["authorization"] == {"status": "approved"}


def test_what_nobody_sees_in_a_secret_does_not_save_it() -> None:
    for key in ("ghp_16C7e42F292c\u200d6912E7710c838347Ae178B4a", "ＡＫＩＡIOSFODNN7EXAMPL1"):
        assert PLACEHOLDER.fullmatch(Redactor("k").text(f"{key}"))
    told = Redactor("k").text("\ufeffso｜p\u00adassword＝zz\u200b1zz end")
    assert PLACEHOLDER.sub("S", told) == "\ufeffso｜p\u00adassword＝S end"


def test_pairs_in_lists_and_under_other_words() -> None:
    for text in (
        '[["X-Api-Key", "9f86d081884c7d65"]]',
        '{"field": "password", "new_value": "zz1"}',
        '{"pin": 4821}',
    ):
        told = Redactor("k").text(text)
        assert told == json.dumps(Redactor("k").value(json.loads(text)))
        assert PLACEHOLDER.search(told)
    assert Redactor("k").text('["password", "email"]') == '["password", "email"]'


def test_a_name_governs_its_own_value_only() -> None:
    assert Redactor("k").text('[{"password": "x1"}, "plain"]').endswith('"plain"]')


@pytest.mark.parametrize("tool", [None, "login"])
def test_trace_show(tool: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = trace_file(tmp_path / "a.json", "ab" * 16, SECRETS, tool)
    page = tmp_path / "page.html"
    for options in (["--content"], ["--json"], ["--html", str(page)]):
        assert main(["trace", "show", str(file), *options]) == 0
    told = capsys.readouterr().out + page.read_text()
    assert "zz" not in told.replace("fizz", "")
    assert len(set(PLACEHOLDER.findall(told))) >= len(SECRETS)


def test_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = {key: text.replace("zz", "zzNEW", 1) for key, text in SECRETS.items()}
    before = trace_file(tmp_path / "a.json", "ab" * 16, SECRETS, "login")
    after = trace_file(tmp_path / "b.json", "cd" * 16, changed, "login")
    page, data = tmp_path / "page.html", tmp_path / "diff.json"
    assert main(["diff", str(before), str(after), "--html", str(page), "--json", str(data)]) == 1
    assert "zz" not in capsys.readouterr().out + page.read_text() + data.read_text()
    (change,) = json.loads(data.read_text())["changes"]
    details = {each["path"]: each for each in change["details"]}
    assert set(details) == set(SECRETS), "what differs still differs"
    assert all(PLACEHOLDER.fullmatch(each["expected"]) for each in details.values())


def test_a_secret_that_did_not_change_is_no_change(tmp_path: Path) -> None:
    def trace(name: str, order: str) -> Trace:
        arguments = json.dumps({"password": "zzPASSzz", "order": order})
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"}
        return Trace(
            name, [Span(name, "1", "x", None, 0, 1, attributes | {"gen_ai.tool.call.arguments": arguments})]
        )

    (change,) = compare(trace("a", "1"), trace("b", "2")).changes
    assert [detail.path for detail in change.details] == ["order"]
    assert "zz" not in str(change.expected)


def test_pages_of_runs(tmp_path: Path) -> None:
    said = Utterance("caller", "my key is sk-proj-Ab3dEf6hIj9kLm2nOp5q", 1, 0, 1)
    trace = Trace("ab" * 16, [Span("ab" * 16, "1", "x", None, 0, 1, dict(SECRETS))])
    talk = Conversation("ab" * 16, utterances=[said])
    outcome = Outcome("s", "a", "passed", talk, trace_id=trace.trace_id)
    outcome.trace = trace
    for page in (
        write_html(tmp_path / "run.html", None, [outcome]),
        write_trace_html(tmp_path / "trace.html", [trace]),
    ):
        told = page.read_text()
        assert not re.search(r"zz[A-Z]", told)
        assert "sk-proj" not in told
        assert PLACEHOLDER.search(told.replace("\\u003c", "<").replace("\\u003e", ">"))


def test_the_rules_find_what_stands_where_people_leave_it() -> None:
    found, asked, missed, hidden = measure()
    assert sum(asked.values()) >= 300
    assert len(look_alikes()) >= 100
    assert sum(found.values()) >= 0.98 * sum(asked.values()), missed
    assert len(hidden) <= 0.02 * len(look_alikes()), hidden


ROOT = Path(__file__).parents[1]
PASSWORD = "zzPASSw0rdzz"


def _named_by_secrets(secret: str) -> str:
    """Scenarios with a secret wherever a name is made of what they say."""
    return (
        f"name: Login with password={secret}\nopens_with: hi\ntags: ['token={secret}']\n"
        f"persona: {{name: Bo, knows: {{portal: 'my password is {secret}'}}}}\n"
        f"cases: [{{n: 'api_key={secret}'}}, {{password: {secret}}}, "
        f"{{case: '{'x' * 62} password={secret}'}}]\n"
        "expect: [{said: {contains: ok}}]\n"
    )


def _holds_none(folder: Path, names: set[str], but: str = "s.yaml") -> None:
    """No file but the scenario's own, and no name of a file or folder, has the secret in any case."""
    found = [each for each in folder.rglob("*") if each.name != but]
    assert names <= {each.name for each in found}
    secret = PASSWORD.lower()
    half = secret[:8]  # what is cut off must not be cut in a secret
    assert not [each for each in found if half in str(each.relative_to(folder)).lower()]
    files = [each for each in found if each.is_file()]
    assert not [each.name for each in files if secret.encode() in each.read_bytes().lower()]


def test_nothing_that_a_run_writes_or_prints_holds_a_secret_of_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"http://127.0.0.1:9/v1?token={PASSWORD}"
    (tmp_path / "s.yaml").write_text(_named_by_secrets(PASSWORD))
    arguments = ["run", "s.yaml", "--agent", address, "--out", "r", "--junit", "j.xml", "--json", "o.json"]
    monkeypatch.setattr("sys.argv", ["simulate", *arguments])
    assert main(arguments) in (1, 3)
    told = capsys.readouterr()
    assert PASSWORD not in told.out + told.err
    _holds_none(tmp_path, {"run.json", "j.xml", "o.json", "report.html", "outcomes.jsonl"})
    assert main(["run", "--resume", "r"]) == 2
    assert "give its --agent again" in capsys.readouterr().err


def test_neither_recordings_nor_pytest_make_names_of_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agents.py").write_text("def ok(message):\n    return 'ok'\n")
    (tmp_path / "s.yaml").write_text(_named_by_secrets(PASSWORD) + "agent: python:agents.py:ok\n")
    assert main(["run", "s.yaml", "--record", "tapes", "--out", "r"]) == 0
    assert main(["run", "s.yaml", "--replay", "tapes", "--out", "again"]) == 0
    command = [sys.executable, "-m", "pytest", "s.yaml", "-v", "-p", "no:cacheprovider", "--junit-xml=p.xml"]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    assert PASSWORD.lower() not in told.stdout.lower()
    _holds_none(tmp_path, {"manifest.json", "p.xml", "outcome.json"})
    (name,) = {json.loads(each.read_text())["scenario"] for each in tmp_path.glob("tapes/*/manifest.json")}
    assert name.startswith("Login with password=<secret:")


def test_no_scenario_is_begun_under_a_name_with_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", f"Login with password={PASSWORD}", "--dir", str(tmp_path)]) == 2
    assert PASSWORD not in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_refusal_repeats_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    for address in (f"ftp://app:{PASSWORD}@host/x", f"http://app:{PASSWORD}@host/x"):
        assert main(["run", str(ROOT / "scenarios/opening_hours.yaml"), "--agent", address]) == 2
        told = capsys.readouterr().err
        assert PASSWORD not in told
        assert "fault of simulate" not in told


KEY = "sk-proj-Ab3dEf6hIj9kLm2nOp5q"
PRINTS = f"""
import sys
print("imported with {KEY}")
def agent(message):
    print("asked", end=" ")
    print("with api_key={PASSWORD} and {KEY}")
    sys.stdout.write("no line end {KEY}")
    return "ok"
if __name__ == "__main__":
    print("started with {KEY}\\n" * 3000, flush=True)
    print("token={PASSWORD}", flush=True)
    from http.server import BaseHTTPRequestHandler, HTTPServer
    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            body = b'{{"choices":[{{"message":{{"content":"ok"}},"finish_reason":"stop"}}]}}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


def test_what_agents_print_is_passed_on_and_kept_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prints.py").write_text(PRINTS)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.simulate.agents.served]\naddress = 'http://127.0.0.1:{port}/v1'\n"
        "command = 'python prints.py {port}'\n"
    )
    for name, agent in (("inside", "python:prints.py:agent"), ("outside", "served")):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nagent: {agent}\nopens_with: hi\n")
    assert main(["run", "inside.yaml", "outside.yaml", "--out", "r"]) == 0
    told = capsys.readouterr()
    (log,) = (tmp_path / "r/logs").glob("*.log")
    kept = log.read_text()
    for text in (told.out + told.err, kept):
        assert KEY not in text and PASSWORD not in text
    assert kept.count("started with <secret:") == 3000 and "token=<secret:" in kept
    assert re.search(r"asked with api_key=<secret:\w+> and <secret:\w+>\n", told.err)
    assert told.err.count("no line end <secret:") == 1
    assert "imported with <secret:" in told.err
