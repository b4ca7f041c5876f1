"""No verb, and no library that it brings, speaks to anybody but this machine, native sockets included."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simulate.no_telemetry import SWITCHES

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r'(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"')
STRACE = shutil.which("strace")
WATCHES = STRACE is not None and subprocess.run([STRACE, "-qq", "-o", os.devnull, "true"]).returncode == 0
needs_strace = pytest.mark.skipif(
    not WATCHES, reason="apt install strace, in a container with --cap-add SYS_PTRACE, would let it run"
)


def called(words: list[str], where: Path, **environment: str) -> set[str]:
    """The addresses beyond this machine that a program, or one that it started, sent anything to."""
    log = where / "strace.log"
    command = [str(STRACE), "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(log)]
    stopped = ["timeout", "--preserve-status", "-s", "INT", "8"] if SERVES in words else []
    done = subprocess.run(
        [*command, *stopped, sys.executable, *words],
        cwd=where,
        env={**{name: value for name, value in os.environ.items() if name not in SWITCHES}, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode in (0, 1, 3), done.stdout + done.stderr
    found = {
        address for line in log.read_text(errors="replace").splitlines() for address in ADDRESS.findall(line)
    }
    return {
        each
        for each in found
        if not each.startswith(("127.", "::ffff:127.")) and each not in ("::1", "0.0.0.0", "::")
    }


@needs_strace
def test_a_call_is_seen(tmp_path: Path) -> None:
    program = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))"
    assert called(["-c", f"try:\n {program}\nexcept OSError: pass"], tmp_path) == {"192.0.2.1"}


AGENTS = "def ok(message): return 'ok'\n"
TRACE = str(ROOT / "fixtures/traces/openinference_openai.otlp.jsonl")
LABEL = '{"said": "it is open", "agent": "We are open.", "label": "yes"}\n'
VERBS = {
    "run": "s.yaml --record tape --out r",
    "check": "s.yaml",
    "new": "Another",
    "schema": "",
    "trace": f"redact {TRACE}",
    "serve": f"import {TRACE} --store sqlite:///s.db",
    "traces": "find --server http://127.0.0.1:9",
    "diff": f"{TRACE} {TRACE} --trace 15d5",
    "replay": "tape --agent python:agents:ok",
    "playback": str(ROOT / "scenarios/cassettes/cancel-a-booking"),
    "gate": "r --gate gate.yaml",
    "score": f"{TRACE} --evaluators TrajectoryScore,PII",
    "judge": "calibrate labels.jsonl --judge-calls 1",
    "callers": "check",
    "dataset": f"add {TRACE}",
    "runs": "list",
    "open": "r",
    "livekit": "status",
    "doctor": "",
}
"""What is asked of each verb. One that serves is interrupted."""
SERVES = "playback"


@needs_strace
def test_no_verb_calls_anybody(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "simulate", "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert set(re.findall(r"^    (\w+) ", told.stdout, re.M)) - {"VERB"} == set(VERBS), (
        "a verb that nobody watches"
    )
    (tmp_path / "agents.py").write_text(AGENTS)
    (tmp_path / "s.yaml").write_text(
        "name: s\nagent: python:agents:ok\nopens_with: hi\nexpect: [{said: {contains: ok}}]\n"
    )
    (tmp_path / "gate.yaml").write_text("pass_rate: 50%\n")
    (tmp_path / "labels.jsonl").write_text(LABEL)
    home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home/.cache")}
    home |= {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "BROWSER": "true"}
    for verb, words in VERBS.items():
        assert not called(["-m", "simulate", verb, *words.split()], tmp_path, **home), verb


@needs_strace
def test_a_run_on_ray_calls_nobody(tmp_path: Path) -> None:
    """Ray asks the networks of clouds in which of them it runs, whatever its statistics' switch says."""
    pytest.importorskip("ray", reason="pip install 'simulate-agents[ray]'")
    (tmp_path / "agents.py").write_text(AGENTS)
    (tmp_path / "s.yaml").write_text("name: s\nagent: python:agents:ok\nopens_with: hi\n")
    assert not called(["-m", "simulate", "run", "s.yaml", "--ray"], tmp_path)


@needs_strace
def test_speech_models_report_to_nobody(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'simulate-agents[voice]'")
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    loads = "import onnxruntime; onnxruntime.InferenceSession; import time; time.sleep(2)"
    assert not called(["-c", f"import simulate.resources; {loads}"], tmp_path, **home)
    assert not [each for each in tmp_path.rglob("*") if "onnx" in each.name.lower() and each.is_file()]


def test_what_is_set_already_stays(tmp_path: Path) -> None:
    program = (
        "import os; from simulate.no_telemetry import switch_off; switch_off(); "
        "print(os.environ['DO_NOT_TRACK'], os.environ['AGNO_TELEMETRY'])"
    )
    environment = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "AGNO_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout.split() == ["1", "true"]


def test_whoever_starts_pytest_or_runs_a_scenario_has_them_set() -> None:
    for door in ("simulate.interfaces.cli.main", "simulate.interfaces.pytest.plugin", "simulate.run"):
        program = f"import {door}, os; print(os.environ.get('ORT_DISABLE_TELEMETRY'))"
        environment = {name: value for name, value in os.environ.items() if name not in SWITCHES}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, cwd=ROOT
        )
        assert done.stdout.split() == ["1"], (door, done.stderr)
