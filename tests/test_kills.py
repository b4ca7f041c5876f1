"""A sample of `benchmarks.kills`, and a kill just before what a verb has written counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simulate.interfaces.cli.main import main
from simulate.scoring.datasets.store import Dataset

ROOT = Path(__file__).parents[1]
TRACE = str(ROOT / "fixtures/traces/openinference_openai.otlp.jsonl")
VERBS = ("dataset add", "replay", "playback")


def test_signals_at_any_moment_lose_nothing() -> None:
    command = [sys.executable, "-m", "benchmarks.kills", "--n", "3", "--seed", "5", "--verbs", *VERBS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "3 signals, 0 wrong" in done.stdout


def test_cases_that_a_kill_left_before_they_counted_are_added_by_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["dataset", "add", TRACE, "--trace", "15d5", "--to", str(tmp_path / "d")]
    dataset = Dataset(tmp_path / "d")
    with monkeypatch.context() as killed:

        def dies(*_: object) -> None:
            raise RuntimeError

        def stays(*_: object) -> None: ...

        killed.setattr(Dataset, "record", dies)
        killed.setattr(Dataset, "drop", stays)
        main(words)
    assert list(dataset.edited().values()) == ["added"]
    assert main(words) == 0
    dataset.check()
    assert len(dataset.ids()) == len(dataset.versions()) == 1
    # what a person has added stays, and is told
    case = dataset.cases()[0].scenario
    (case.parent / "mine.yaml").write_text(case.read_text())
    assert main(words) == 2
    assert "mine was added" in capsys.readouterr().err
