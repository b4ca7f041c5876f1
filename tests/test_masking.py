"""What an agent lets slip of its keys is in nothing that is written, shown or handed on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from opentelemetry import trace

from simulate.masking import hide_secrets
from simulate.model.outcome import Outcome
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.model.verdict import Verdict
from simulate.run import run
from simulate.trace.span import Event, Span, Trace

KEY = "sk-proj-Ab3dEf6hIj9kLm2nOp5q"
CONFIGURATION = {
    "endpoint": "https://user:hunter2@db.example/x",
    "headers": {"Authorization": "Basic dXNlcjpwYXNz"},
}

SECRETS = (KEY, "hunter2", "dXNlcjpwYXNz", "whatever it is")
ROOT = Path(__file__).parents[1]


async def careless(message: str) -> str:
    """Puts its configuration into a span, says a key, and raises with it in the end."""
    with trace.get_tracer("agent").start_as_current_span("chat") as span:
        span.set_attribute("http.request.header.authorization", "whatever it is")
        span.set_attribute("configuration", json.dumps(CONFIGURATION))
        span.set_attribute("gen_ai.usage.input_tokens", 12)
    if "end" in message:
        raise RuntimeError(f"Incorrect API key provided: {KEY}")
    return f"Order 4417 is at mara@example.com, asked with {KEY}."


TALK = Scenario.model_validate(
    {
        "name": "keys",
        "script": [{"says": "Where is my order?"}, {"says": "Is this the end?"}],
        "expect": [{"said": {"contains": KEY}}],
    }
)


async def test_no_key_is_in_an_outcome() -> None:
    outcome = await run(TALK, careless)
    assert (outcome.status, outcome.side) == ("failed", "agent")
    assert "Incorrect API key provided: <secret:" in str(outcome.reason)
    assert any("<secret:" in piece for piece in outcome.verdicts[0].evidence), "in the traceback, too"
    said = outcome.conversation.by("agent")[0].text
    assert said.startswith("Order 4417 is at mara@example.com, asked with <secret:"), (
        "nothing else is replaced"
    )
    (span, *_) = (each for each in outcome.trace.spans if each.name == "chat")
    assert span.attributes["http.request.header.authorization"].startswith("<secret:")
    assert span.attributes["gen_ai.usage.input_tokens"] == 12
    configuration = json.loads(span.attributes["configuration"])
    assert configuration["endpoint"].startswith("https://user:<secret:")
    assert configuration["headers"]["Authorization"].startswith("<secret:")


def test_no_key_is_in_a_file_or_on_the_screen_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text(TALK.model_dump_json(exclude_defaults=True))  # JSON is YAML, too
    agent = f"python:{Path(__file__)}:careless"
    files = ["--out", "run", "--junit", "junit.xml", "--json", "run.json", "--html", "report.html"]
    done = subprocess.run(
        [sys.executable, "-m", "simulate", "run", "keys.yaml", "--agent", agent, *files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=100,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    shown = {path: path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()}
    names = {path.name for path in shown}
    assert {"outcome.json", "trace.otlp.jsonl", "report.html", "junit.xml", "run.json"} <= names
    shown = {path: text for path, text in shown.items() if path.name != "keys.yaml"}
    shown |= {Path("screen"): done.stdout + done.stderr}
    for path, text in shown.items():
        for secret in SECRETS:
            assert secret not in text, path


def test_what_holds_no_secret_is_left_as_it_is() -> None:
    spans = [Span("ab" * 16, "cd" * 8, "chat", attributes={"n": 1, "texts": ["a", {"b": None}]})]
    verdict = Verdict(
        "said", "it says hello", "failed", "token 12 of 40", evidence=["max_tokens: 4096"], actual=[1]
    )
    conversation = Conversation("ab" * 16, utterances=[Utterance("agent", "{no json", 1, 0.0, 1.0)])
    use = ToolUse("lookup", {"order_id": "sk-learn-pipeline", "token_count": 3}, result={"ok": True})
    outcome = Outcome("x", "a", "failed", conversation, verdicts=[verdict], tool_uses=[use], notes=["a note"])
    outcome.trace = given = Trace("ab" * 16, spans)
    hide_secrets(outcome)
    assert outcome.trace is given and outcome.conversation is conversation
    assert verdict.fact == "token 12 of 40" and verdict.evidence == ["max_tokens: 4096"]
    assert use.arguments == {"order_id": "sk-learn-pipeline", "token_count": 3} and use.result == {"ok": True}


def test_one_secret_has_one_placeholder_wherever_it_stands() -> None:
    use = ToolUse("pay", {"api_key": "plain words", "nested": [{"password": "1234"}]}, error=f"no {KEY}")
    outcome = Outcome("x", "a", "failed", Conversation("ab" * 16), tool_uses=[use], notes=[f"saw {KEY}"])
    event = Event("exception", 1, {"exception.message": f"bad key {KEY}", "body": KEY.encode()})
    outcome.trace = Trace("ab" * 16, [Span("ab" * 16, "cd" * 8, "chat", events=[event])])
    hide_secrets(outcome)
    placeholder = outcome.notes[0].removeprefix("saw ")
    assert outcome.trace.spans[0].events[0].attributes["body"] == placeholder.encode()
    assert placeholder.startswith("<secret:")
    assert outcome.tool_uses[0].error == f"no {placeholder}"
    assert outcome.trace.spans[0].events[0].attributes["exception.message"] == f"bad key {placeholder}"
    assert outcome.tool_uses[0].arguments["api_key"].startswith("<secret:")
    assert outcome.tool_uses[0].arguments["nested"][0]["password"].startswith("<secret:")


def test_bytes_hold_text_too() -> None:
    outcome = Outcome("x", "a", "failed", Conversation("ab" * 16))
    outcome.trace = Trace("ab" * 16, [Span("ab" * 16, "cd" * 8, "chat", attributes={"body": KEY.encode()})])
    hide_secrets(outcome)
    assert KEY.encode() not in outcome.trace.spans[0].attributes["body"]
