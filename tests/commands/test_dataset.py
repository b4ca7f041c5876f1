"""``simulate dataset`` as a program: add, list, show, run, versions, accept, and what each refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from simulate.interfaces.cli.main import main
from simulate.scoring.datasets import Dataset, Wish, add
from simulate.trace import read
from simulate.trace.files.writing import write_otlp_jsonl

ROOT = Path(__file__).parents[2]
PROJECT = """
[tool.simulate.agents]
support = "python:fixtures.agents.support:agent"
careless = "python:fixtures.agents.support:careless_agent"
"""
REFUND = ["--expect", "{called: issue_refund, with: {amount: 42.5}}", "--pin", "issue_refund={ok: true}"]


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trace that the careless agent left in production: another process, no simulator in it."""
    file = tmp_path_factory.mktemp("production") / "production.otlp"
    command = [sys.executable, "-m", "fixtures.agents.production", "careless", str(file)]
    subprocess.run(command, check=True, cwd=ROOT)
    return file


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    Path("pyproject.toml").write_text(PROJECT)
    return tmp_path


@pytest.fixture
def golden(production: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A dataset with the refund that was promised and never issued."""
    words = ["dataset", "add", str(production), "--to", "golden", "--name", "Refund", "--by", "Ann", *REFUND]
    assert main(words) == 0
    capsys.readouterr()
    return "golden"


def test_add_redacts_says_what_it_did_and_adds_once(
    production: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["dataset", "add", str(production), "--to", "golden", "--tools", "lookup_order,issue_refund"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert told.out.startswith("added hi-my-order-4417")
    assert "issue_refund is expected and the trace does not tell what it answers" in told.err
    assert "redacted: 3 × email" in told.err and "golden is version" in told.err
    assert "dana.whitfield" not in "".join(file.read_text() for file in Path("golden").rglob("*.*"))
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("there already: hi-my-order-4417")
    assert len(Dataset.open("golden").versions()) == 1


def test_list_show_and_versions(golden: str, capsys: pytest.CaptureFixture[str]) -> None:
    (name,) = Dataset.open(golden).ids()
    assert main(["dataset", "list", golden]) == 0
    told = capsys.readouterr()
    assert told.out == f"{name}  verified by Ann\n" and "1 case, version" in told.err
    assert main(["dataset", "show", "refund", "--dataset", golden]) == 0
    shown = capsys.readouterr().out
    assert "- called: issue_refund" in shown and "by: Ann" in shown and "file: production.otlp" in shown
    assert main(["dataset", "versions", golden]) == 0
    assert capsys.readouterr().out.endswith(f"added {name}\n")


def test_a_run_is_red_until_the_agent_is_mended(golden: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("gate.yaml").write_text("pass_rate: 1\n")
    gate = ["--gate", "gate.yaml", "--gate-junit", "gate.xml", "--gate-json", "gate.json"]
    run = [
        "dataset",
        "run",
        golden,
        *gate,
        "--gate-markdown",
        "gate.md",
        "--junit",
        "run.xml",
        "--json",
        "run.json",
    ]
    assert main([*run, "--agent", "careless", "--out", "red"]) == 1
    told = capsys.readouterr()
    assert "❌ Gate: fail" in told.out and "issue_refund was never called" in told.out
    assert json.loads(Path("gate.json").read_text())["verdict"] == "fail"
    assert ET.parse("gate.xml").find("testcase/failure") is not None
    assert ET.parse("run.xml").getroot().find(".//failure") is not None
    assert Path("gate.md").read_text().startswith("## ❌ Gate: fail")
    assert main([*run, "--agent", "support", "--out", "green", "--trials", "4", "--baseline", "red"]) == 0
    assert json.loads(Path("gate.json").read_text())["conversations"] == 4
    assert json.loads(Path("run.json").read_text())["outcomes"][0]["status"] == "passed"
    assert main(["gate", "red"]) == 1, "a run that is there is held against gate.yaml"
    assert main(["gate", "green"]) == 0


def test_what_was_changed_by_hand_does_not_run(golden: str, capsys: pytest.CaptureFixture[str]) -> None:
    (case,) = Dataset.open(golden).cases()
    case.scenario.write_text(case.scenario.read_text().replace("amount: 42.5", "amount: 41.5"))
    assert main(["dataset", "run", golden, "--agent", "support"]) == 2
    assert f"{case.id} was changed" in capsys.readouterr().err
    assert main(["dataset", "list", golden]) == 0
    assert "changed by hand" in capsys.readouterr().out
    assert main(["dataset", "accept", golden, "--by", "Ben", "--case", "refund"]) == 0
    assert main(["dataset", "run", golden, "--agent", "support"]) == 1
    assert main(["dataset", "list", golden]) == 0
    assert "verified by Ben" in capsys.readouterr().out


def test_candidates_are_told_and_can_be_left_out(
    production: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset", "add", str(production), "--to", "golden", *REFUND]) == 0
    assert main(["dataset", "run", "golden", "--agent", "support", "--verified"]) == 2
    assert "there is no verified case" in capsys.readouterr().err
    tagged = ["--tag", "user=u-31", "--tag", "release.id=7", "--out", "tagged"]
    assert main(["dataset", "run", "golden", "--agent", "support", *tagged]) == 0
    (trace,) = Path("tagged").rglob("*.otlp.jsonl")
    assert "u-31" in trace.read_text() and "release.id" in trace.read_text()
    assert "1 of 1 case is a candidate" in capsys.readouterr().err


AGENT = """
import os
from openai import AsyncOpenAI

async def agent(message: str) -> str:
    async with AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0) as client:
        asked = [{"role": "user", "content": message}]
        answer = await client.chat.completions.create(model="gpt-4o-mini", messages=asked)
    return answer.choices[0].message.content FIX
"""


SERVICE = """
import argparse
from aiohttp import web
from openai import AsyncOpenAI

async def complete(request):
    body = await request.json()
    async with AsyncOpenAI(api_key="k", max_retries=0) as client:
        answer = await client.chat.completions.create(model="gpt-4o-mini", messages=body["messages"])
    message = {"role": "assistant", "content": answer.choices[0].message.content FIX}
    return web.json_response({"id": "1", "object": "chat.completion", "created": 1, "model": "agent",
                              "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
app = web.Application()
app.router.add_post("/v1/chat/completions", complete)
app.router.add_get("/v1/models", lambda _: web.json_response({"object": "list", "data": []}))
web.run_app(app, host="127.0.0.1", port=parser.parse_args().port, print=None)
"""


def test_an_agent_in_a_process_of_its_own_is_replayed_too(
    policy: str,
) -> None:
    """It asks for its model where OPENAI_BASE_URL says, as in production."""
    service = (
        f'address = "http://127.0.0.1:{{port}}/v1"\nstream = false\ncommand = "{sys.executable} service.py'
    )
    Path("pyproject.toml").write_text(f'[tool.simulate.agents.shop]\n{service} --port {{port}}"\n')
    Path("service.py").write_text(SERVICE.replace("FIX", ".replace('30', '3')"))
    assert main(["dataset", "run", policy, "--replay", "--agent", "shop", "--json", "out.json"]) == 1
    (outcome,) = json.loads(Path("out.json").read_text())["outcomes"]
    found = {verdict["check"]: verdict["status"] for verdict in outcome["verdicts"]}
    assert found == {"replay": "passed", "said": "failed"}, "its path is the same, its words are not"


@pytest.fixture
def policy(capsys: pytest.CaptureFixture[str]) -> str:
    """A dataset with one question, answered well in production by a real SDK."""
    trace = next(
        one
        for one in read(ROOT / "fixtures/traces/otel_openai_v2.otlp.jsonl")
        if one.trace_id.startswith("ede8ab")
    )
    write_otlp_jsonl("policy.jsonl", trace.spans)
    expect = ["--expect", "said: {contains: within 30 days}"]
    assert main(["dataset", "add", "policy.jsonl", "--to", "golden", "--by", "Ann", *expect]) == 0
    capsys.readouterr()
    return "golden"


def test_a_replay_tries_the_agents_code_alone(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No model is there: its answer comes from the trace, and the expectation tells right code from wrong."""
    code = {}
    for name, fix in (
        ("broken", ".replace('30', '3')"),
        ("mended", ""),
        ("chatty", " if await again() else ''"),
    ):
        text = AGENT.replace("FIX", fix)
        if name == "chatty":
            text += (
                "\nasync def again():\n    async with AsyncOpenAI(api_key='k', max_retries=0) as client:\n"
            )
            text += "        return await client.models.list()\n"
        Path(f"{name}_agent.py").write_text(text)
        words = [
            "dataset",
            "run",
            "golden",
            "--replay",
            "--agent",
            f"python:{name}_agent:agent",
            "--out",
            name,
        ]
        code[name] = main([*words, "--trials", "2"])
    told = capsys.readouterr().out
    assert code == {"broken": 1, "mended": 0, "chatty": 1}
    assert "within 3 days" in told
    assert "never recorded" in told


def test_a_run_of_a_dataset_is_gone_on_with(golden: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        sys.executable,
        "-m",
        "simulate",
        "dataset",
        "run",
        golden,
        "--agent",
        "support",
        "--out",
        "r",
    ]
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    outcomes = Path("r/outcomes.jsonl").read_bytes()
    assert main(["run", "--resume", "r"]) == 2
    assert "begun with a dataset" in capsys.readouterr().err
    assert main(["dataset", "run", golden, "--agent", "support", "--resume", "r"]) == 0
    assert Path("r/outcomes.jsonl").read_bytes() == outcomes


def test_a_dataset_can_be_scored(golden: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its traces, with what each case says is right."""
    assert main(["score", golden, "--evaluators", "ToolSelectionAccuracy,PII", "--json", "-"]) == 1
    found = {one["evaluator"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["ToolSelectionAccuracy"]["passed"] is False, "the refund was not issued in that trace"
    assert found["PII"]["source"].startswith("refund-")
    Path("gate.yaml").write_text("pass_rate: 1\n")
    assert main(["score", golden, "--gate", "gate.yaml"]) == 2
    assert "a gate decides about a run" in capsys.readouterr().err
    edited = next(Path(golden, "cases").iterdir())
    edited.write_text(edited.read_text().replace("amount: 42.5", "amount: 41.5"))
    assert main(["score", golden]) == 2
    assert "was changed" in capsys.readouterr().err


def test_a_dataset_in_python(production: Path) -> None:
    dataset = Dataset("datasets/golden")
    (added,) = add(dataset, read(production), Wish(tools=["lookup_order", "issue_refund"], by="Dana"))
    assert added.is_new and str(added.case).startswith("hi-my-order-4417")
    dataset.check()
    assert [case.scenario.parent.name for case in dataset.cases()] == ["cases"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["add", "no-such-file.json"], "no-such-file.json"),
        (["add", "TRACE", "--trace", "ffff"], "trace ffff is not among its traces"),
        (["add", "TRACE", "--expect", "issue_refund"], "is not a mapping"),
        (["add", "TRACE", "--expect", "{called: issue_refund"], "--expect"),
        (["add", "TRACE", "--expect", "{caled: issue_refund}"], 'did you mean "called"'),
        (["add", "TRACE", "--pin", "issue_refund"], "has no ="),
        (["add", "TRACE", "--pattern", "C-[0-9]"], "has no ="),
        (["add", "TRACE", "--pattern", "customer=["], "customer"),
        (["add", "TRACE", "--tools", "a", "--expect", "not_called: a"], "to be called and not to be called"),
        (["add", "TRACE", "--keep-scores"], "carries no score to keep"),
        (["add", "TRACE", "--to", "pyproject.toml"], "cannot be a dataset"),
        (["list", "nowhere"], "no dataset here"),
        (["show", "no-such-case", "--dataset", "golden"], "there is no case 'no-such-case'"),
        (["run", "nowhere"], "no dataset here"),
        (["run", "golden"], "agent"),
        (["run", "golden", "--agent", "suport"], 'did you mean "support"'),
        (["run", "golden", "--agent", "support", "--case", "x-y"], "there is no case 'x-y'"),
        (["run", "golden", "--agent", "support", "--trials", "0"], "at least 1"),
        (["run", "golden", "--agent", "support", "--gate", "none.yaml"], "cannot be read"),
        (["run", "golden", "--agent", "support", "--baseline", "latest"], "there is none"),
        (["run", "golden", "--agent", "support", "--gate-json", "x"], "belongs to a gate"),
        (["accept", "nowhere", "--by", "Ann"], "no dataset here"),
        (["accept", "golden", "--by", "Ann", "--case", "x-y"], "there is no case 'x-y'"),
    ],
)
def test_bad_usage_is_refused(
    words: list[str], told: str, golden: str, production: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in Path(golden).rglob("*") if path.is_file()}
    given: list[Any] = [str(production) if word == "TRACE" else word for word in words]
    assert main(["dataset", *given]) == 2
    captured = capsys.readouterr()
    assert told in captured.err and not captured.out
    assert {path: path.read_bytes() for path in Path(golden).rglob("*") if path.is_file()} == before
    assert not Path("datasets").exists() and not Path(".simulate").exists()
