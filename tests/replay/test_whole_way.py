"""From a page at night to a regression test: the trace of ``fixtures/production`` in other processes.

The agents are the project's HTTP example, in Python and in Node. They are unmodified but for the failure, one
line of their code, and their ``OPENAI_BASE_URL``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fixtures.agents.brains import call
from fixtures.agents.model_server import ModelServer
from fixtures.production.record import FAILING, MENDED, TRACE, deploy
from simulate.replay import Cassette

ROOT = Path(__file__).parents[2]
CUT_OFF = "Your table for 5 on saturday at 20:00 is booked under Marlowe, referen"
WHOLE = CUT_OFF + "ce ZA-204."
Simulate = Callable[..., subprocess.CompletedProcess[str]]


MODELS = """
[tool.simulate.models]
caller = {{model = "caller", base_url = "{url}"}}
judge = {{model = "judge", base_url = "{url}"}}
"""


def caller(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """A guest who improvises: gives a name, and ends the call once there is a table."""
    if "Your table" in str(messages[-1]["content"]):
        return call("end_call", {"reason": "the table is booked", "goal_reached": True})
    return {"content": "Under Marlowe."}


def judge(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Finds that what is said now does not mean what was said then, but where it stands there as it is."""
    text = "\n".join(message["content"] for message in messages)
    asked = re.search(r'of its lines\?\n"(.*)"$', text, re.M)
    fits = "yes" if asked is not None and text.count(asked[1]) > 1 else "no"
    options = re.findall(r"^([A-Z]): ([\w ]+?) \(", messages[0]["content"], re.M)
    letter = next(letter for letter, label in options if label == fits)
    said = re.findall(r'"text": "([^"]+)"', messages[-1]["content"])
    return {"content": json.dumps({"evidence": said[:1], "reason": "cut off", "answer": letter})}


@pytest.fixture
def simulate(tmp_path: Path) -> Simulate:
    """The command line in the agent's own project, with no key and no model anywhere."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    env |= {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "COLUMNS": "200"}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "simulate", *words]
        return subprocess.run(line, cwd=tmp_path, env=env | more, capture_output=True, text=True, timeout=100)

    return run


def test_a_production_trace_becomes_a_regression_test(tmp_path: Path, simulate: Simulate) -> None:
    deploy(tmp_path, FAILING)
    # it fails again, the same way: the agent's own code runs, its model and its guest answer as recorded
    again = simulate("replay", str(TRACE), "--agent", "table", "--save", "again.jsonl")
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"agent: {CUT_OFF}\n" in again.stdout
    assert "replay: identical; 6 of 6 recordings played; live calls: 0" in again.stdout
    assert "not as recorded" not in again.stdout
    same = simulate("diff", str(TRACE), "again.jsonl")
    assert same.returncode == 0, same.stdout

    # kept as a scenario; the person says what should have happened
    made = simulate("new", "cut off", "--from-trace", str(TRACE))
    assert made.returncode == 0, made.stdout + made.stderr
    scenario = tmp_path / "scenarios" / "cut_off.yaml"
    text = scenario.read_text("utf-8")
    assert f"contains: {CUT_OFF}\n" in text
    scenario.write_text(text.replace(CUT_OFF, "ZA-204"))
    test = ("run", "scenarios/cut_off.yaml", "--agent", "table", "--replay", "scenarios/cassettes")
    failed = simulate(*test, "--out", "before")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert f"its last words were: {CUT_OFF}" in failed.stdout and "replay" in failed.stdout

    # one line of the agent is mended: the test passes, and the diff of the traces shows just that
    deploy(tmp_path, MENDED)
    passed = simulate(*test, "--out", "after")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    (trace,) = tmp_path.glob("after/*/trace.otlp.jsonl")
    changed = simulate("diff", str(TRACE), str(trace))
    # how long it took is the machine's affair
    aside = ("one run against", "latency")
    told = [line for line in changed.stdout.splitlines() if line and not line.startswith(aside)]
    assert changed.returncode == 1 and len(told) == 1, changed.stdout
    assert "turn 2 answers something else" in told[0] and "ZA-204" in told[0]


async def test_a_persona_takes_over_where_the_agent_leaves_the_recorded_path(
    tmp_path: Path, simulate: Simulate
) -> None:
    """Caller and judge ask models of their own meanwhile: that is nothing that the agent did."""
    deploy(tmp_path, 20)  # "And under which name": so short it never was
    replay = partial(simulate, "replay", str(TRACE), "--agent", "table", "--policy", "simulate")
    async with ModelServer({"caller": caller, "judge": judge}).running() as server:
        with (tmp_path / "pyproject.toml").open("a") as file:
            file.write(MODELS.format(url=server.url))
        replay = partial(replay, OPENAI_BASE_URL=server.url)
        done = await asyncio.to_thread(replay)
        asked = [request["model"] for request in server.requests]
        server.fail("500", times=100)
        broken = await asyncio.to_thread(replay)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "caller: Under Marlowe." in done.stdout
    assert "left the recorded path in turn 1" in done.stdout and "the persona took over" in done.stdout
    assert "live calls: 3" in done.stdout and "the history changed" in done.stdout
    assert asked.count("booking") == 3 and {"caller", "judge"} < set(asked), asked
    (kept,) = (tmp_path / ".simulate" / "live").iterdir()
    assert f"what went live is kept in {kept.relative_to(tmp_path)}" in done.stdout
    assert [one.body["model"] for one in Cassette.load(kept).http] == ["booking"] * 3, "not caller or judge"
    assert "judge's own" not in done.stdout and "caller's own" not in done.stdout
    assert broken.returncode == 3, broken.stdout + broken.stderr
    assert "the conversation broke off: 1 of 4 recordings played until then" in broken.stdout
    assert "mend it" not in broken.stdout, "nobody knows that the agent is to blame"


def test_an_agent_that_breaks_in_a_replay_is_told_before_what_follows_from_it(
    tmp_path: Path, simulate: Simulate
) -> None:
    deploy(tmp_path, MENDED)
    agent = tmp_path / "fixtures" / "agents" / "table.py"
    breaks = 'raise ValueError("no tables today")'
    agent.write_text(agent.read_text().replace("body = await request.json()", breaks))
    done = simulate("replay", str(TRACE), "--agent", "table")
    assert done.returncode == 1
    broke, what, followed = (
        done.stdout.index(words)
        for words in ("answered 500", breaks.removeprefix("raise "), "replay: unplayed")
    )
    assert broke < followed and what < done.stdout.index("ValueError: no tables today") < followed, (
        done.stdout
    )


def test_an_agent_in_node_replays_the_same_trace(
    tmp_path: Path, simulate: Simulate, node_modules: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(node_modules)
    for longest, said in ((FAILING, CUT_OFF), (MENDED, WHOLE)):
        deploy(tmp_path, longest)
        done = simulate("replay", str(TRACE), "--agent", "node")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"agent: {said}\n" in done.stdout
        assert "replay: identical; 6 of 6 recordings played; live calls: 0" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a word")
def test_a_replay_that_is_told_to_end_takes_its_agent_with_it(tmp_path: Path) -> None:
    deploy(tmp_path, MENDED)
    agent = tmp_path / "fixtures" / "agents" / "table.py"
    hangs = 'open("asked", "w").write(str(os.getpid())); await asyncio.sleep(600)'
    agent.write_text(agent.read_text().replace("body = await request.json()", hangs))
    line = [sys.executable, "-m", "simulate", "replay", str(TRACE), "--agent", "table"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    with subprocess.Popen(line, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as replay:
        asked = tmp_path / "asked"
        while replay.poll() is None and not (asked.exists() and asked.read_text()):
            time.sleep(0.05)
        replay.terminate()
        _, told = replay.communicate(timeout=60)
    assert replay.returncode == 130, told
    assert "stopped" in told
    with pytest.raises(ProcessLookupError):
        os.kill(int(asked.read_text()), 0)
