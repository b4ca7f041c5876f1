"""``simulate score`` as a program: what it prints, writes, sends, refuses, and its exit codes."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_INFO, SEVERITY_NUMBER_WARN

from fixtures.agents.model_server import ModelServer
from simulate.interfaces.cli.main import main
from simulate.trace import read
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.reading import TraceReading

RECORDED = "fixtures/traces/langgraph_agent.otlp.jsonl"
TRACE = "trace.jsonl"
"""The first trace of what was recorded, in the folder of the test."""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No model, and a folder of its own with one trace in it."""
    write_otlp_jsonl(tmp_path / TRACE, read(RECORDED)[0].spans)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    file = tmp_path / "right.yaml"
    file.write_text("tools:\n  - name: get_order\n", "utf-8")
    return file


class Listener:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                is_json = "json" in self.headers["Content-Type"]
                outer.got.append((self.path, json.loads(data) if is_json else data))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener()
    yield one
    one.server.shutdown()
    one.server.server_close()
    one.thread.join()


def test_all_that_can_be_scored_is_scored(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", TRACE]) == 0
    out = capsys.readouterr().out
    assert "✓ PII" in out
    assert "○ not run:" in out
    assert "no model is configured to judge" in out


def test_a_breach_is_exit_code_1_and_says_where(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("tools: [issue_refund]\n", "utf-8")
    assert main(["score", TRACE, "--evaluators", "ToolSelectionAccuracy", "--reference", str(wrong)]) == 1
    out = capsys.readouterr().out
    (trace,) = read(TRACE)
    assert "✗ ToolSelectionAccuracy" in out and "needs 1" in out
    assert any(f"span {span.span_id}" in out for span in trace.spans)


def test_a_threshold_may_be_lowered(reference: Path, tmp_path: Path) -> None:
    reference.write_text("tools: [get_order, issue_refund]\n", "utf-8")
    asked = ["score", TRACE, "--evaluators", "ToolSelectionAccuracy", "--reference", str(reference)]
    assert main(asked) == 1
    assert main([*asked, "--threshold", "ToolSelectionAccuracy=0.6"]) == 0


def test_what_was_asked_for_and_not_run_is_no_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", TRACE, "--evaluators", "PII,Faithfulness"]) == 3
    assert "Faithfulness             not run" in capsys.readouterr().out


def test_json_and_a_scored_copy(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "scored.jsonl"
    before = Path(TRACE).read_bytes()
    names = "PII,ToolSelectionAccuracy"
    asked = ["score", TRACE, "--evaluators", names, "--reference", str(reference), "--out", str(copy)]
    assert main([*asked, "--json", "-"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [one["evaluator"] for one in results] == names.split(",")
    assert all(one["passed"] and one["direction"] == "higher is better" and one["span_id"] for one in results)
    (trace,) = read(copy)
    found = {score.name for one in TraceReading(trace).views.values() for score in one.scores}
    assert found == set(names.split(","))
    assert Path(TRACE).read_bytes() == before


def test_scores_reach_a_backend_and_breaches_a_webhook(
    listener: Listener, tmp_path: Path, capsys: Any
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("tools: [issue_refund]\n", "utf-8")
    asked = ["score", TRACE, "--evaluators", "PII,TrajectoryScore", "--reference", str(wrong)]
    assert main([*asked, "--export", f"phoenix={listener.url}", "--webhook", f"{listener.url}/hook"]) == 1
    paths = [path for path, _ in listener.got]
    assert paths == ["/v1/span_annotations?sync=true", "/hook"]
    assert len(listener.got[0][1]["data"]) == 2
    told = listener.got[1][1]
    assert (told["evaluator"], told["value"], told["threshold"]) == ("TrajectoryScore", 0.0, 1.0)
    assert "2 scores sent to phoenix" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--evaluators", "Groundednes"], 'did you mean "Groundedness"'),
        (["--evaluators", "ProtectFlash"], "two public meanings"),
        (["--evaluators", "PII,PII"], "named twice"),
        (["--threshold", "PII=1.5"], "a threshold of 1.5"),
        (["--threshold", "PII"], "not a threshold"),
        (["--threshold", "PIII=1"], 'did you mean "PII"'),
        (["--evaluators", "PII", "--threshold", "Groundedness=1"], "was not asked for"),
        (["--export", "phoenix=ftp://x"], "needs an address"),
        (["--export", "langfuse=http://127.0.0.1"], "LANGFUSE_PUBLIC_KEY is not set"),
        (["--webhook", "env:NO_SUCH_HOOK"], "NO_SUCH_HOOK is not set"),
        (["--reference", "no-such-file.yaml"], "cannot read it"),
        (["--out", TRACE], "must not replace the trace itself"),
    ],
)
def test_bad_usage_is_refused(
    more: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LANGFUSE_PUBLIC_KEY", raising=False)
    assert main(["score", TRACE, *more]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert not captured.out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tools: [a]\nforbidden: [a]\n", "right.yaml:1"),
        ("tool: [a]\n", 'unknown key "tool"'),
        ("trace: ab\ntools: [a]\n---\ntrace: ab\ntools: [b]\n", "a second reference for ab"),
        ("- a\n", "a reference is a mapping"),
        ("state: {x: {matches: '['}}\norder: sideways\n", "order"),
    ],
)
def test_a_reference_that_is_wrong_is_refused_at_its_line(
    text: str, told: str, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference.write_text(text, "utf-8")
    assert main(["score", TRACE, "--reference", str(reference)]) == 2
    assert told in capsys.readouterr().err


def test_references_are_for_their_traces(reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trace,) = read(TRACE)
    text = f"trace: {trace.trace_id[:8]}\ntools: [get_order]\n---\ntrace: 'ffff'\ntools: [other]\n"
    reference.write_text(text, "utf-8")
    assert main(["score", TRACE, "--evaluators", "TrajectoryScore", "--reference", str(reference)]) == 0
    assert "the reference names trace ffff, which is not there" in capsys.readouterr().err


def test_a_run_is_scored_outcome_by_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = tmp_path / "refund.yaml"
    scenario.write_text(
        "name: Refund\nagent: python:fixtures.agents.support:agent\nscript:\n"
        "  - says: My order 4417 never came.\n  - says: I want a refund.\n"
        "tools:\n  lookup_order: {status: lost, total: 42.50}\n  issue_refund: {ok: true}\n",
        "utf-8",
    )
    assert main(["run", str(scenario), "--trials", "2", "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    right = tmp_path / "right.yaml"
    right.write_text("tools: [lookup_order, issue_refund]\n", "utf-8")
    asked = ["score", str(tmp_path / "run"), "--evaluators", "TrajectoryScore,PII", "--reference", str(right)]
    assert main([*asked, "--json", "-"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert {one["source"] for one in results} == {"Refund-1", "Refund-2"}
    assert [one["value"] for one in results] == [1.0] * 4


def test_a_gate_decides_about_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = tmp_path / "hello.yaml"
    says = "script:\n  - says: My order 4417 never came.\n"
    text = f"name: Hello\nagent: python:fixtures.agents.support:agent\n{says}"
    scenario.write_text(text, "utf-8")
    assert main(["run", str(scenario), "--trials", "8", "--out", str(tmp_path / "run")]) == 0
    (tmp_path / "gate.yaml").write_text("scores: {TrajectoryScore: 0.5}\n", "utf-8")
    right, wrong = tmp_path / "right.yaml", tmp_path / "wrong.yaml"
    right.write_text("tools: [lookup_order]\n", "utf-8")
    wrong.write_text("tools: [issue_refund]\n", "utf-8")
    asked = [
        "score",
        str(tmp_path / "run"),
        "--evaluators",
        "TrajectoryScore",
        "--gate",
        str(tmp_path / "gate.yaml"),
    ]
    assert main([*asked, "--reference", str(right)]) == 0
    assert main([*asked, "--reference", str(wrong)]) == 1
    assert "TrajectoryScore" in capsys.readouterr().out
    assert main(["score", TRACE, "--gate", str(tmp_path / "gate.yaml")]) == 2


def agreeable(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """A judge's model that finds every answer relevant. Scripted."""
    found = re.findall(r"^([A-Z]): ([\w ]+?) \(", messages[0]["content"], re.M)
    letter = next(letter for letter, label in found if label in ("relevant", "yea"))
    return {"content": json.dumps({"evidence": [], "reason": "so", "answer": letter})}


@contextlib.contextmanager
def model() -> Iterator[ModelServer]:
    """The model server in a thread, for a command that has a loop of its own."""
    server, loop = ModelServer(brains={"judge": agreeable}), asyncio.new_event_loop()
    running = server.running()
    loop.run_until_complete(running.__aenter__())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(running.__aexit__(None, None, None))
        loop.close()


def test_the_judge_of_the_environment_judges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with model() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_MODEL", "judge")
        asked = ["score", TRACE, "--evaluators", "AnswerRelevancy", "--judge-cache", "cache"]
        assert main([*asked, "--judge-trace", "judge.jsonl", "--json", "-"]) == 0
        (result,) = json.loads(capsys.readouterr().out)
        assert (result["judge"], result["prompt"]) == ("judge", "answer_relevancy.v1")
        paid = len(server.requests)
        assert result["calls"] == paid > 0
        (own,) = read(tmp_path / "judge.jsonl")
        assert len(own) == paid
        assert own.trace_id != result["trace_id"], "nobody pays for the judge in the agent's trace"
        assert main(asked) == 0
        assert len(server.requests) == paid, "kept judgements cost nothing"
        assert main([*asked[:4], "--judge-calls", "1"]) == 3
        assert "budget" in capsys.readouterr().out
        (tmp_path / "own").mkdir()
        labels = '[labels.yea]\nmeans = "so"\nvalue = 1\n[labels.nay]\nmeans = "no"\nvalue = 0\n'
        question = f'question = "Is it so?"\n{labels}'
        (tmp_path / "own" / "answer_relevancy.v1.toml").write_text(question, "utf-8")
        assert main([*asked, "--prompts", "own"]) == 0
        assert "Is it so?" in server.requests[-1]["messages"][0]["content"]
        server.fail("500", times=50)
        assert main([*asked[:4]]) == 3
        assert "fault" in capsys.readouterr().out


def test_the_list_of_evaluators(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--list"]) == 0
    assert capsys.readouterr().out.count("least ") == 22


def test_watching_a_folder_alerts_once_for_each_state(listener: Listener, tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    folder.mkdir()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("tools: [issue_refund]\n", "utf-8")
    command = [
        sys.executable,
        "-m",
        "simulate",
        "score",
        "--watch",
        str(folder),
        "--interval",
        "0.1",
    ]
    command += ["--evaluators", "TrajectoryScore", "--reference", str(wrong), "--webhook", "env:HOOK"]
    with subprocess.Popen(
        command, env={**os.environ, "HOOK": listener.url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            (folder / "no-trace.json").write_text("{", "utf-8")
            (folder / "a.jsonl").write_bytes(Path(TRACE).read_bytes())
            _until(lambda: len(listener.got) == 1)
            (folder / "b.jsonl").write_bytes(Path(TRACE).read_bytes())
            _until(lambda: len(listener.got) == 2)
        finally:
            process.terminate()
            out, err = process.communicate()
    assert [body["source"].rpartition("/")[2] for _, body in listener.got] == ["a.jsonl", "b.jsonl"]
    assert b"no-trace.json" in err
    assert out.count(b"TrajectoryScore") == 2


def test_watching_sends_a_log_event_that_warns_of_a_breach(listener: Listener, tmp_path: Path) -> None:
    """Over real OTLP: the same event as for a score that holds, with another severity."""
    folder = tmp_path / "traces"
    folder.mkdir()
    (tmp_path / "wrong.yaml").write_text("tools: [issue_refund]\n", "utf-8")
    command = [
        sys.executable,
        "-m",
        "simulate",
        "score",
        "--watch",
        str(folder),
        "--interval",
        "0.1",
    ]
    command += [
        "--evaluators",
        "TrajectoryScore,PII",
        "--reference",
        "wrong.yaml",
        "--export",
        f"otlp={listener.url}",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            (folder / "a.jsonl").write_bytes(Path(TRACE).read_bytes())
            _until(lambda: "/v1/logs" in [path for path, _ in listener.got])
        finally:
            process.terminate()
            process.communicate()
    logs = ExportLogsServiceRequest.FromString(dict(listener.got)["/v1/logs"])
    records = logs.resource_logs[0].scope_logs[0].log_records
    assert {record.event_name for record in records} == {"gen_ai.evaluation.result"}
    (trace,) = read(TRACE)
    assert {record.trace_id.hex() for record in records} == {trace.trace_id}
    found = {}
    for record in records:
        told = {each.key: each.value for each in record.attributes}
        found[told["gen_ai.evaluation.name"].string_value] = record.severity_number
    assert found == {"TrajectoryScore": SEVERITY_NUMBER_WARN, "PII": SEVERITY_NUMBER_INFO}


def _until(done: Any) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def test_watching_refuses_what_is_no_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["score", "--watch", str(tmp_path / "none")]) == 2
    assert main(["score"]) == 2
    assert "not a folder" in capsys.readouterr().err
