"""Suites as people run them: the command line, its exit codes, kills, resuming."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.model.outcome_json import outcome_from_json

AGENT = """
import os, time
async def good(message: str) -> str:
    return f"You said {message}"
async def broken(message: str) -> str:
    raise RuntimeError("out of order")
class Slow:
    def reply(self, message: str) -> str:
        time.sleep(float(os.environ.get("SLOW", "0.2")))
        return f"You said {message}"
"""
SCENARIO = """
name: {name}
agent: python:agents.py:{agent}
script: [{{says: hello}}]
expect: [{{said: {{contains: {expected}}}}}]
trials: {trials}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.simulate]\n")
    (tmp_path / "agents.py").write_text(AGENT)
    (tmp_path / "scenarios").mkdir()
    return tmp_path


def write(project: Path, name: str, agent: str = "good", expected: str = "hello", trials: int = 1) -> None:
    text = SCENARIO.format(name=name, agent=agent, expected=expected, trials=trials)
    (project / "scenarios" / f"{name}.yaml").write_text(text)


def simulate(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulate", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def outcomes(run: Path) -> list[str]:
    lines = (run / "outcomes.jsonl").read_bytes().splitlines()
    return [outcome_from_json(line).status for line in lines]


@pytest.mark.parametrize(
    ("agents", "code"),
    [
        ([("good", "hello")], 0),
        ([("good", "hello"), ("good", "goodbye")], 1),
        ([("broken", "hello")], 1),
    ],
)
def test_exit_codes(project: Path, agents: list[tuple[str, str]], code: int) -> None:
    for number, (agent, expected) in enumerate(agents):
        write(project, f"s{number}", agent, expected)
    done = simulate(project, "run", "--out", "out", "--junit", "j.xml", "--json", "-")
    assert done.returncode == code, done.stderr
    assert len(json.loads(done.stdout)["outcomes"]) == len(agents)
    assert (project / "j.xml").read_text().startswith("<?xml")
    assert (project / "out" / "report.html").stat().st_size > 1000


def test_no_verdict_is_exit_code_3(project: Path) -> None:
    write(project, "judged")
    path = project / "scenarios" / "judged.yaml"
    path.write_text(path.read_text().replace("{contains: hello}", "That it greets"))
    done = simulate(project, "run", OPENAI_API_KEY="", OPENAI_BASE_URL="")
    assert done.returncode == 3
    assert "no model is configured to judge" in done.stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\nagnt: y\n", "agent"),
        ("name: x\nscript: [{says: hi}]\nagent: python:agents.py:god\n", "there is good|did you mean"),
        ("name: x\nscript: [{says: hi}]\nagent: python:nowhere:agent\n", "there is no module nowhere"),
        ("name: x\nscript: [{says: hi}]\nagent: telnet:host\n", "python:module:callable"),
        ("name: x\nscript: [{says: hi}]\nagent: ftp\n", "tool.simulate.agents|no agent"),
        ("name: x\nscript: [{says: hi}]\n", "names no agent"),
        ("name: x\ngoal: y\nagent: python:agents.py:good\n", "model has to play|needs a model"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(project: Path, text: str, told: str) -> None:
    import re

    write(project, "fine")
    (project / "scenarios" / "bad.yaml").write_text(text)
    done = simulate(project, "run", "--out", "out", OPENAI_API_KEY="", OPENAI_BASE_URL="")
    assert done.returncode == 2
    assert re.search(told, done.stderr), done.stderr
    assert not (project / "out").exists()
    assert "Traceback (most recent call last)" not in done.stderr


def test_a_run_folder_is_never_written_twice(project: Path) -> None:
    write(project, "s")
    assert simulate(project, "run", "--out", "out").returncode == 0
    again = simulate(project, "run", "--out", "out")
    assert again.returncode == 2
    assert "--resume" in again.stderr


def test_an_unwritable_folder(project: Path) -> None:
    write(project, "s")
    (project / "out").mkdir(mode=0o500)
    # root may write into any folder of a disk, and nobody into the kernel's own
    folder = "/proc/out" if os.geteuid() == 0 else "out/run"
    done = simulate(project, "run", "--out", folder)
    assert done.returncode == 2
    assert "cannot write into the run folder" in done.stderr


def test_a_file_in_the_place_of_the_folder(project: Path) -> None:
    write(project, "s")
    (project / "out").write_text("")
    done = simulate(project, "run", "--out", "out")
    assert done.returncode == 2
    assert "cannot write into the run folder" in done.stderr


def _running(project: Path, run: Path, at_least: int, slow: float = 0.2) -> subprocess.Popen[bytes]:
    write(project, "slow", "Slow", trials=12)
    process = subprocess.Popen(
        [sys.executable, "-m", "simulate", "run", "--out", str(run), "--jobs", "2"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "SLOW": str(slow)},
        # a shell gives its background jobs a deaf ear for SIGINT, which the child would inherit
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    lines, deadline = run / "outcomes.jsonl", time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if lines.exists() and lines.read_bytes().count(b"\n") >= at_least:
            return process
        time.sleep(0.02)
    raise AssertionError(f"too slow or ended: {process.stderr.read().decode() if process.stderr else ''}")


def test_a_killed_run_goes_on_where_it_was(project: Path) -> None:
    run = project / "out"
    process = _running(project, run, 3)
    process.kill()
    process.communicate()
    finished = len(outcomes(run))
    assert 3 <= finished < 12
    with (run / "outcomes.jsonl").open("ab") as lines:
        lines.write(b'{"scenario": "half wri')
    done = simulate(project, "run", "--resume", str(run), SLOW="0")
    assert done.returncode == 0, done.stderr
    assert outcomes(run) == ["passed"] * 12
    assert json.loads((run / "run.json").read_bytes())["counts"] == {"passed": 12}
    assert not list(run.glob(".tmp-*"))


def test_ctrl_c_keeps_what_had_finished(project: Path) -> None:
    run = project / "out"
    process = _running(project, run, 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"what had finished is kept" in errors
    assert f"{len(outcomes(run))} of 12 conversations".encode() in errors
    assert f"--resume {run}".encode() in errors
    assert b"Traceback" not in errors
    assert set(outcomes(run)) == {"passed"}
    assert json.loads((run / "run.json").read_bytes())["counts"]["passed"] == len(outcomes(run))
    assert (run / "report.html").exists()


def test_two_runs_cannot_share_a_folder(project: Path) -> None:
    run = project / "out"
    process = _running(project, run, 1, slow=3)
    try:
        second = simulate(project, "run", "--resume", str(run))
        assert second.returncode == 2
        assert "is writing into" in second.stderr
    finally:
        process.kill()
        process.communicate()


def test_flaky_scenarios_are_named_with_an_interval(project: Path) -> None:
    (project / "agents.py").write_text(
        "import itertools\ncount = itertools.count()\n"
        "async def good(message: str) -> str:\n    return 'hello' if next(count) % 2 else 'no'\n"
    )
    write(project, "flaky", trials=8)
    done = simulate(project, "run", "--out", "out")
    assert done.returncode == 1
    record = json.loads((project / "out" / "run.json").read_bytes())
    assert record["flaky"] == ["flaky"]
    first = record["reliability"][0]
    assert (first["passed"], first["trials"], first["value"]) == (4, 8, 0.5)
    assert 0.2 < first["low"] < 0.5 < first["high"] < 0.8


MISBEHAVING = """
import asyncio, sys, threading, time
from simulate import tool

def exits(message: str) -> str:
    sys.exit(0)
def interrupts(message: str) -> str:
    raise KeyboardInterrupt
async def cancels(message: str) -> str:
    raise asyncio.CancelledError
def half_a_character(message: str) -> str:
    return "hello \\ud83d"
async def halves(message: str):
    yield "hello \\ud83d"
    yield "\\ude42"
@tool
def look(order: str) -> str:
    return "found"
def catches(message: str) -> str:
    try:
        return look(order="2")
    except Exception:
        return "hello, something went wrong"
def prints(message: str) -> str:
    print("debugging")
    return "hello"
def lingers(message: str) -> str:
    threading.Thread(target=time.sleep, args=(300,), daemon=False).start()
    return "hello"
"""


@pytest.mark.parametrize(
    ("agent", "status", "side", "told"),
    [
        ("exits", "failed", "agent", "the agent raised SystemExit"),
        ("interrupts", "failed", "agent", "KeyboardInterrupt"),
        ("cancels", "failed", "agent", "the agent raised CancelledError"),
        ("half_a_character", "failed", "agent", "half a character"),
        ("halves", "passed", None, None),
        ("catches", "error", "harness", "no case pinned for the tool 'look'"),
    ],
)
def test_an_agent_that_misbehaves_costs_its_own_outcome_only(
    project: Path, agent: str, status: str, side: str | None, told: str | None
) -> None:
    (project / "agents.py").write_text(MISBEHAVING + AGENT)
    write(project, "a_misbehaves", agent)
    write(project, "b_good")
    path = project / "scenarios" / "a_misbehaves.yaml"
    path.write_text(path.read_text() + "tools: {look: {cases: [{when: {order: '1'}, returns: lost}]}}\n")
    done = simulate(project, "run", "--jobs", "1", "--out", "out")
    first, second = map(outcome_from_json, (project / "out" / "outcomes.jsonl").read_bytes().splitlines())
    assert (first.status, first.side) == (status, side), done.stderr
    assert told is None or told in (first.reason or "")
    assert second.status == "passed", "the worker went on"
    assert done.returncode == {"passed": 0, "failed": 1, "error": 3}[status]


def test_what_an_agent_prints_is_not_among_the_results(project: Path) -> None:
    (project / "agents.py").write_text("print('at import')\n" + MISBEHAVING)
    write(project, "prints", "prints")
    done = simulate(project, "run", "--json", "-")
    assert json.loads(done.stdout)["outcomes"][0]["status"] == "passed"
    assert "at import" in done.stderr
    assert "debugging" in done.stderr


def test_an_agent_that_leaves_a_thread_behind_does_not_keep_the_command(project: Path) -> None:
    (project / "agents.py").write_text(MISBEHAVING)
    write(project, "lingers", "lingers", expected="nothing")
    done = simulate(project, "run")
    assert done.returncode == 1
    assert "left a thread running" in done.stderr


def test_an_agent_whose_process_does_not_start_fails_alone(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        "[tool.simulate.agents.dead]\naddress = 'http://127.0.0.1:{port}/v1'\n"
        'command = "python -c \'raise SystemExit(\\"no configuration\\")\'"\n'
    )
    write(project, "a_dead")
    path = project / "scenarios" / "a_dead.yaml"
    path.write_text(path.read_text().replace("python:agents.py:good", "dead"))
    write(project, "b_good")
    done = simulate(project, "run", "--out", "out")
    assert outcomes(project / "out") == ["failed", "passed"]
    assert done.returncode == 1
    assert "no configuration" in done.stdout, "what it printed"


def test_a_fault_of_ours_is_an_outcome_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simulate import run_sync
    from simulate.scoring.checks.speech import SaidCheck

    async def breaks(self: SaidCheck, evidence: object) -> None:
        raise ZeroDivisionError("as a bug would")

    monkeypatch.setattr(SaidCheck, "judge", breaks)
    monkeypatch.chdir(project)
    write(project, "s")
    outcome = run_sync("scenarios/s.yaml")
    assert (outcome.status, outcome.side) == ("error", "harness")
    assert "ZeroDivisionError: as a bug would" in outcome.explain()
    assert outcome.conversation.utterances, "the conversation is kept"


def test_a_function_of_ones_own_is_looked_for_before_anything_runs(project: Path) -> None:
    write(project, "s")
    path = project / "scenarios" / "s.yaml"
    path.write_text(path.read_text().replace("{said: {contains: hello}}", "{python: 'agents:nowhere'}"))
    done = simulate(project, "run", "--out", "out")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert not (project / "out").exists()


def test_resuming_is_the_same_run(project: Path) -> None:
    """Its seed, its selection and its number of trials are those that it was begun with."""
    write(project, "one", trials=2)
    write(project, "other")
    begun = simulate(project, "run", "--out", "out", "-k", "one", "--trials", "4", "--seed", "7")
    assert begun.returncode == 0, begun.stderr
    record = json.loads((project / "out" / "run.json").read_bytes())
    lines = (project / "out" / "outcomes.jsonl").read_bytes().splitlines(keepends=True)
    (project / "out" / "outcomes.jsonl").write_bytes(lines[0])
    resumed = simulate(project, "run", "--resume", "out")
    assert resumed.returncode == 0, resumed.stderr
    found = [json.loads(line) for line in (project / "out" / "outcomes.jsonl").read_bytes().splitlines()]
    assert {(each["scenario"], each["seed"]) for each in found} == {("one", 7)}
    assert sorted(each["trial"] for each in found) == [1, 2, 3, 4]
    after = json.loads((project / "out" / "run.json").read_bytes())
    assert (after["started"], after["command"]) == (record["started"], record["command"])


def test_two_scenarios_of_one_name_both_resume(project: Path) -> None:
    write(project, "one")
    write(project, "two")
    for name in ("one", "two"):
        path = project / "scenarios" / f"{name}.yaml"
        path.write_text(path.read_text().replace(f"name: {name}", "name: Same"))
    assert simulate(project, "run", "--out", "out").returncode == 0
    lines = (project / "out" / "outcomes.jsonl").read_bytes().splitlines(keepends=True)
    (project / "out" / "outcomes.jsonl").write_bytes(lines[0])
    assert simulate(project, "run", "--resume", "out").returncode == 0
    assert outcomes(project / "out") == ["passed", "passed"]


def test_all_that_is_wrong_is_told_at_once(project: Path) -> None:
    for name, agent in (
        ("a", "python:nowhere:agent"),
        ("b", "python:nowhere:agent"),
        ("c", "python:agents.py:nobody"),
    ):
        write(project, name)
        path = project / "scenarios" / f"{name}.yaml"
        path.write_text(path.read_text().replace("python:agents.py:good", agent))
    done = simulate(project, "run")
    assert done.returncode == 2
    assert done.stderr.count("there is no module nowhere\n") == 1
    assert "scenarios/c.yaml" in done.stderr
    assert "has no `nobody`" in done.stderr


def test_a_full_disk_keeps_what_had_finished(project: Path) -> None:
    """The limit on a file's size stands for a full disk: a write that is cut short, then one that fails."""
    import resource

    write(project, "s", trials=30)
    done = subprocess.run(
        [sys.executable, "-m", "simulate", "run", "--out", "out", "--jobs", "2"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: (
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
            resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000)),
            None,
        )[-1],
    )
    assert done.returncode == 3
    assert "cannot keep the outcome" in done.stderr
    assert "continue with --resume" in done.stderr
    assert "Traceback" not in done.stderr
    kept = outcomes(project / "out")
    assert 1 <= len(kept) < 30
    resumed = simulate(project, "run", "--resume", "out")
    assert resumed.returncode == 0, resumed.stderr
    assert outcomes(project / "out") == ["passed"] * 30


def test_a_reader_that_has_seen_enough(project: Path) -> None:
    write(project, "s", expected="goodbye")
    command = [sys.executable, "-m", "simulate", "run"]
    reading, writing = os.pipe()
    process = subprocess.Popen(command, cwd=project, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    os.close(reading)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1, "the verdict stands"
    assert b"Traceback" not in told
    assert b"BrokenPipe" not in told


def test_a_scenario_that_needs_an_absent_extra_does_not_run_and_the_others_do(project: Path) -> None:
    write(project, "good")
    write(project, "voice")
    path = project / "scenarios" / "voice.yaml"
    path.write_text(path.read_text().replace("python:agents.py:good", "livekit:nobody") + "medium: voice\n")
    without = (
        "import sys; sys.modules.update({'numpy': None, 'livekit': None})\n"
        "from simulate.interfaces.cli.main import entry; sys.argv[0] = 'simulate'; entry()"
    )
    command = [sys.executable, "-c", without, "run", "--out"]
    done = subprocess.run([*command, "out"], cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    found = {
        each["scenario"]: each["status"]
        for each in map(json.loads, (project / "out" / "outcomes.jsonl").read_bytes().splitlines())
    }
    assert found == {"good": "passed", "voice": "not_run"}
    assert "pip install 'simulate-agents[" in done.stdout
    alone = [*command, "alone", "scenarios/voice.yaml"]
    done = subprocess.run(alone, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, "nothing else could run"
    assert not (project / "alone").exists()


def test_two_scenarios_of_one_name_are_two_cases_and_refused_by_check(project: Path) -> None:
    write(project, "one")
    write(project, "two", agent="broken")
    for name in ("one", "two"):
        path = project / "scenarios" / f"{name}.yaml"
        path.write_text(path.read_text().replace(f"name: {name}", "name: Same"))
    checked = simulate(project, "check", "scenarios")
    assert checked.returncode == 2
    assert "scenarios/two.yaml:2" in checked.stderr
    assert "scenarios/one.yaml:2" in checked.stderr
    simulate(project, "run", "scenarios", "--out", "out")
    record = json.loads((project / "out" / "run.json").read_bytes())
    assert record["flaky"] == []
    found = [json.loads(line) for line in (project / "out" / "outcomes.jsonl").read_bytes().splitlines()]
    assert {(each["scenario"], each["status"]) for each in found} == {
        ("Same (scenarios/one.yaml)", "passed"),
        ("Same (scenarios/two.yaml)", "failed"),
    }


def _edit(path: Path, before: str, after: str) -> None:
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


@pytest.mark.parametrize("part", ["nothing", "scenario", "persona", "agent", "files", "options", "trials"])
def test_a_resumed_run_has_anew_what_has_changed(project: Path, part: str) -> None:
    write(project, "one", trials=3)
    write(project, "other")
    _edit(project / "scenarios" / "one.yaml", "script:", "persona: Mia\nscript:")
    (project / "personas").mkdir()
    persona = project / "personas" / "Mia.yaml"
    persona.write_text("name: Mia Li\n")
    _edit(project / "scenarios" / "other.yaml", "script:", "world: python:world.py:World\nscript:")
    (project / "world.py").write_text("class World:\n    def look(self):\n        return 'here'\n")
    assert simulate(project, "run", "--out", "out").returncode == 0
    began = [json.loads(line) for line in (project / "out" / "outcomes.jsonl").read_bytes().splitlines()]
    more: list[str] = []
    if part == "scenario":
        _edit(project / "scenarios" / "one.yaml", "contains: hello", "contains: goodbye")
    elif part == "persona":
        persona.write_text("name: Mia Wu\n")
    elif part == "agent":
        _edit(project / "agents.py", "You said {message}", "Did you say {message}?")
    elif part == "files":
        _edit(project / "world.py", "here", "there")
    elif part == "options":
        more = ["--seed", "5"]
    elif part == "trials":
        _edit(project / "scenarios" / "one.yaml", "trials: 3", "trials: 5")
    done = simulate(project, "run", "--resume", "out", *more)
    assert done.returncode == (1 if part == "scenario" else 0), done.stderr
    found = [json.loads(line) for line in (project / "out" / "outcomes.jsonl").read_bytes().splitlines()]
    kept = {each["trace_id"] for each in began} & {each["trace_id"] for each in found}
    anew = {"nothing": 0, "trials": 0, "scenario": 3, "persona": 3, "agent": 4, "files": 1, "options": 4}[
        part
    ]
    assert len(kept) == 4 - anew
    assert len(found) == (6 if part == "trials" else 4)
    record = json.loads((project / "out" / "run.json").read_bytes())
    assert record["planned"] == len(found)
    told = [note for note in record["notes"] if "anew" in note]
    assert len(told) == (anew > 0)
    assert all(part in note and f"{anew} of 4" in note and note in done.stderr for note in told)


async def test_a_trial_with_a_caller_who_left_its_part_is_had_again(project: Path) -> None:
    said = ["As an AI language model, I cannot own a parcel."] * 2 + ["My parcel 4417 never came."]

    def caller(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        if said:
            return {"content": said.pop(0)}
        ended = {"name": "end_call", "arguments": '{"reason": "done", "goal_reached": true}'}
        return {"content": "", "tool_calls": [{"id": "1", "type": "function", "function": ended}]}

    async with ModelServer({"caller": caller}).running() as server:
        model = f'caller = {{ base_url = "{server.url}", api_key = "env:KEY", model = "caller" }}'
        (project / "pyproject.toml").write_text(f"[tool.simulate]\n[tool.simulate.models]\n{model}\n")
        (project / "scenarios" / "parcel.yaml").write_text(
            "name: parcel\nagent: python:agents.py:good\ngoal: Find out where parcel 4417 is.\n"
            "persona: {knows: {parcel: '4417'}}\nexpect: [{said: {contains: '4417'}}]\nredo: 1\n"
        )
        done = await asyncio.to_thread(simulate, project, "run", "scenarios", "--out", "run", KEY="k")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (project / "run" / "outcomes.jsonl").read_bytes().splitlines()
    outcome = outcome_from_json(line)
    assert outcome.status == "passed"
    assert "had again (1 of 1)" in outcome.notes[0] and "As an AI" in outcome.notes[0]


def test_update_writes_snapshots_that_hold_from_then_on(project: Path) -> None:
    write(project, "parrot")
    file = project / "scenarios" / "parrot.yaml"
    file.write_text(
        file.read_text().replace("expect: [", "expect: [{snapshot: parrot.snapshot.yaml, of: transcript}, ")
    )
    assert simulate(project, "run", "scenarios").returncode == 3, "nothing to compare with"
    updated = simulate(project, "run", "scenarios", "--update")
    assert updated.returncode == 0, updated.stdout + updated.stderr
    (written,) = project.rglob("parrot.snapshot.yaml")
    assert "You said hello" in written.read_text()
    assert simulate(project, "run", "scenarios").returncode == 0
    (project / "agents.py").write_text(AGENT.replace("You said", "I heard"))
    assert simulate(project, "run", "scenarios").returncode == 1
