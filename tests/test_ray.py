"""Suites on a real Ray: they come out as without it, and a worker that dies takes one trial with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulate.child_process import free_port

pytest.importorskip("ray", reason="needs the extra `ray`")

AGENTS = """
import os, signal, time
from pathlib import Path
from simulate import tool

@tool
def look(order: str) -> str:
    with open("looked", "a") as file:
        file.write(order)
    return "on its way"
async def good(message: str) -> str:
    print("debugging")
    return f"Your order is {look(order='7')}"
async def broken(message: str) -> str:
    raise RuntimeError("out of order")
def dies(message: str) -> str:
    if os.environ.get("DIES") and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "Your order is on its way"
def where(message: str) -> str:
    found = sorted(path.name for path in Path.cwd().parent.iterdir() if path.name != "__pycache__")
    return f"way: {Path(__file__).parent} {found}"
def slow(message: str) -> str:
    time.sleep(0.3)
    return "It is on its way"
"""
SCENARIO = """
name: {agent}
agent: python:agents.py:{agent}
script: [{{says: hello}}]
expect: [{{said: {{contains: way}}}}]
trials: {trials}
"""
RAY = Path(sys.executable).parent / "ray"
LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.simulate]\n")
    (tmp_path / "agents.py").write_text(AGENTS)
    (tmp_path / "scenarios").mkdir()
    return tmp_path


def write(project: Path, agent: str, trials: int = 1) -> None:
    text = SCENARIO.format(agent=agent, trials=trials)
    (project / "scenarios" / f"{agent}.yaml").write_text(text)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | more


def simulate(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulate", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**more),
    )


def outcomes(run: Path) -> dict[tuple[str, int], dict[str, Any]]:
    found = [json.loads(line) for line in (run / "outcomes.jsonl").read_bytes().splitlines()]
    return {(each["scenario"], each["trial"]): each for each in found}


def essence(outcome: dict[str, Any]) -> Any:
    """What does not depend on the moment, the machine's speed and the folder."""
    said = [(each["speaker"], each["text"], each["turn"]) for each in outcome["conversation"]["utterances"]]
    verdicts = [(each["check"], each["status"], each["side"], each["fact"]) for each in outcome["verdicts"]]
    kept = ("status", "side", "reason", "agent", "persona", "seed", "source", "tags", "notes")
    return said, verdicts, {name: outcome[name] for name in kept}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray that runs already: its address."""
    address, client = (f"127.0.0.1:{free_port()}" for _ in range(2))
    ports = [f"--port={address[10:]}", f"--ray-client-server-port={client[10:]}"]
    options = ["--block", "--node-ip-address=127.0.0.1", "--num-cpus=1", "--include-dashboard=false"]
    # a short path, for the sockets in it
    with tempfile.TemporaryDirectory("", "ray-", "/tmp", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [RAY, "start", "--head", *ports, *options, f"--temp-dir={folder}"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(**LOOPBACK),
            )
        deadline = time.monotonic() + 60
        while "runtime started" not in log.read_text() and process.poll() is None:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        try:
            assert process.poll() is None, log.read_text()
            yield address
        finally:
            process.terminate()
            process.wait(30)


def test_it_comes_out_as_without_ray(project: Path) -> None:
    write(project, "good", trials=3)
    write(project, "broken")
    write(project, "dies", trials=3)
    plain = simulate(project, "run", "--out", "plain", "--seed", "7")
    assert plain.returncode == 1, plain.stderr
    (project / "looked").unlink()
    options = ["--out", "fanned", "--seed", "7", "--jobs", "2", "--record", "tapes", "--json", "-"]
    fanned = simulate(project, "run", "--ray", *options, DIES="1")
    assert fanned.returncode == 1, fanned.stderr
    before, after = outcomes(project / "plain"), outcomes(project / "fanned")
    killed = after.pop(("dies", 1))
    assert (killed["status"], killed["side"]) == ("error", "environment")
    assert "WorkerCrashedError" in killed["reason"]
    del before["dies", 1]
    assert {key: essence(each) for key, each in after.items()} == {
        key: essence(each) for key, each in before.items()
    }
    for key, each in after.items():
        files = {path.name for path in Path(project, each["folder"]).iterdir()}
        assert files == {path.name for path in Path(project, before[key]["folder"]).iterdir()}
        trace = project / each["folder"] / "trace.otlp.jsonl"
        assert each["trace_id"] in trace.read_text()
    assert len(json.loads(fanned.stdout)["outcomes"]) == 7, "what agents print is not among the results"
    assert "debugging" in fanned.stderr
    # what workers recorded, a run without Ray replays
    looked = (project / "looked").read_text()
    assert looked == "777"
    replayed = simulate(project, "run", "-k", "good", "--replay", "tapes")
    assert replayed.returncode == 0, replayed.stdout
    assert (project / "looked").read_text() == looked


SECRET = """
[tool.simulate.agents.secret]
address = "http://127.0.0.1:{port}/v1"
command = "python -m http.server --bind 127.0.0.1 {port}"
api_key = "env:ONLY_HERE"
"""


def test_a_cluster_gets_a_copy_of_the_project(project: Path, cluster: str) -> None:
    write(project, "where")
    (project / "pyproject.toml").write_text(SECRET)
    secret = SCENARIO.format(agent="secret", trials=2).replace("python:agents.py:secret", "secret")
    (project / "scenarios" / "secret.yaml").write_text(secret)
    for folder in (".venv", ".git", "data"):
        (project / folder).mkdir()
        (project / folder / "file").touch()
    joined = simulate(
        project / "scenarios",
        "run",
        "where.yaml",
        "secret.yaml",
        "--out",
        "../out",
        f"--ray={cluster}",
        ONLY_HERE="sesame",
        **LOOPBACK,
    )
    assert joined.returncode == 3, joined.stderr
    found = outcomes(project / "out")
    outcome = found["where", 1]
    assert outcome["status"] == "passed", "what a worker lacks costs only those that need it"
    answer = outcome["conversation"]["utterances"][-1]["text"]
    assert str(project) not in answer
    assert answer.endswith("['agents.py', 'data', 'pyproject.toml', 'scenarios']")
    assert outcome["source"].startswith("where.yaml:")
    for trial in (1, 2):
        lacking = found["secret", trial]
        assert (lacking["status"], lacking["side"]) == ("error", "environment")
        assert "the worker cannot run it" in lacking["reason"]
        assert "ONLY_HERE" in lacking["reason"]
    assert "sesame" not in (project / "out" / "outcomes.jsonl").read_text()


def test_ctrl_c_keeps_what_had_finished_and_the_run_goes_on(project: Path, cluster: str) -> None:
    write(project, "slow", trials=8)
    run = project / "out"
    more = {"RAY_ADDRESS": cluster, **LOOPBACK}
    process = subprocess.Popen(
        [sys.executable, "-m", "simulate", "run", "--ray", "--jobs", "1", "--out", "out"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(**more),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    lines, deadline = run / "outcomes.jsonl", time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if lines.exists() and lines.read_bytes().count(b"\n") >= 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    kept = outcomes(run)
    assert 2 <= len(kept) < 8
    assert {each["status"] for each in kept.values()} == {"passed"}
    resumed = simulate(project, "run", "--resume", "out", **more)
    assert resumed.returncode == 0, resumed.stderr
    assert len(outcomes(run)) == 8


TWICE = """
[tool.simulate.agents.fixed]
address = "http://127.0.0.1:9/v1"
command = "python -m nothing --port 9"
"""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--ray", "scenarios"], "this is not an address"),
        (["--ray", "127.0.0.1:1"], "nobody answers there"),
        (["--ray", "ray://127.0.0.1:10001"], "client outside of the cluster"),
        (["--ray", "--otlp-port", "4318"], "every worker has its own"),
        (["--ray", "--agent", "http://127.0.0.1:9/v1"], "cannot be started twice"),
        (["--ray", "--agent", "fixed"], "cannot be started twice"),
        (["--ray=auto", "--record", "tapes"], "cassettes are kept on this machine"),
        (["/dev/null/none.yaml", "--ray"], "none.yaml"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    project: Path, arguments: list[str], told: str
) -> None:
    write(project, "good")
    (project / "pyproject.toml").write_text("[tool.simulate]\n" + TWICE)
    done = simulate(project, "run", *arguments, "--out", "out")
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert not (project / "out").exists()


def test_without_the_extra(project: Path) -> None:
    write(project, "good")
    code = "import sys; sys.modules['ray'] = None; from simulate.interfaces.cli.main import entry; entry()"
    command = [sys.executable, "-c", code, "run", "--ray", "--out", "out"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert "pip install 'simulate-agents[ray]'" in done.stderr
    assert not (project / "out").exists()
