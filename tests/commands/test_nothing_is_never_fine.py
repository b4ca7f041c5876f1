"""A command that is given nothing to look at, to run or to answer never ends with exit code 0."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulate.interfaces.cli.main import main

RUN = {"id": "r", "started": "2026-01-01T00:00:00", "ended": "2026-01-01T00:00:01", "agent": "a", "seed": 0,
       "command": ["simulate", "run"], "versions": {}, "counts": {}}  # fmt: skip
SCENARIO = "name: s\nagent: python:agents:ok\nopens_with: hi\n"
FILES = {
    "empty/.gitkeep": "",
    "blank.jsonl": "",
    "list.json": "[]",
    "nospans.json": '{"resourceSpans": []}',
    "blank.yaml": "",
    "comment.yaml": "# nothing\n---\n",
    "norows.yaml": f"{SCENARIO}cases: rows.csv\n",
    "nocases.yaml": f"{SCENARIO}cases: []\n",
    "rows.csv": "n\n",
    "s.yaml": SCENARIO,
    "vcr.yaml": "interactions: []\nversion: 1\n",
    "run/run.json": json.dumps(RUN),
    "run/outcomes.jsonl": "",
    "gate.yaml": "pass_rate: 90%\n",
    "norule.yaml": "scores: {}\n",
}
TRACES = ("empty", "blank.jsonl", "list.json", "nospans.json")
COMMANDS = [
    *(f"{verb} {file}" for verb in ("run", "check") for file in
      ("empty", "blank.yaml", "comment.yaml", "norows.yaml", "nocases.yaml")),
    *(f"{verb} {file}" for file in TRACES for verb in
      ("trace show", "trace cost", "trace quality", "trace redact", "trace redact --out out", "trace find",
       "trace sample --out out", "trace convert --to otlp-json --out out", "score", "dataset add --to d",
       "replay --agent python:agents:ok", "playback", "new x --from-trace")),
    *(f"diff {file} {file}" for file in TRACES),
    *(f"replay {file} --stale" for file in ("empty", "vcr.yaml", "nospans.json")),
    *(f"replay {file} --verify s.yaml" for file in ("empty", "vcr.yaml", "nospans.json")),
    "replay vcr.yaml --agent python:agents:ok", "playback vcr.yaml", "run s.yaml --replay empty",
    "run s.yaml --trials 0", "run s.yaml -k other", "run s.yaml --gate norule.yaml",
    "run s.yaml --gate blank.yaml", "run --resume run s.yaml -k other",
    "gate run --gate gate.yaml", "gate run --gate norule.yaml", "gate empty --gate gate.yaml",
    "score run", "score run --gate gate.yaml", "judge calibrate blank.yaml", "judge calibrate list.json",
    "dataset list empty", "dataset run empty --agent python:agents:ok", "dataset accept empty --by Bo",
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "agents.py").write_text("def ok(message): return 'ok'\n")
    (tmp_path / "empty/.gitkeep").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_never_fine(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(command.split())
    except SystemExit as error:
        raise AssertionError(f"the command itself is wrong: {capsys.readouterr().err}") from error
    told = capsys.readouterr().err
    assert code in (2, 3) and told, told
    assert "fault of simulate" not in told
    assert not Path("out").exists(), "half written"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process there at once")
def test_a_playback_that_nobody_asked_is_not_fine(folder: Path) -> None:
    request = {"method": "POST", "uri": "http://x/v1/chat/completions", "body": "{}", "headers": {}}
    response = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "{}"}}
    exchange = {"request": request, "response": response}
    (folder / "vcr.yaml").write_text(json.dumps({"interactions": [exchange], "version": 1}))
    command = [sys.executable, "-m", "simulate", "playback", "vcr.yaml"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert "OPENAI_BASE_URL" in process.stdout.readline()
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 3 and "nobody asked" in told
