"""Progress on a real terminal (a pseudo-terminal) and in a pipe."""

from __future__ import annotations

import io
import os
import sys
import tracemalloc
from types import SimpleNamespace

import pytest

from simulate.interfaces.render.progress import SLOWEST, LineProgress, LiveProgress, make_progress


def test_a_line_per_outcome_where_nobody_watches(make: SimpleNamespace) -> None:
    stream = io.StringIO()
    progress = make_progress(2, stream)
    assert isinstance(progress, LineProgress)
    for number, status in ((1, "passed"), (2, "failed")):
        progress.started(f"{number}")
        progress.finished(make.outcome(number, status=status)[0])
    progress.close()
    first, second = stream.getvalue().splitlines()
    assert first.startswith("[1/2] ✓ passed  Change of address")
    assert second.startswith("[2/2] ✗ failed (agent)  Where is my order")


def test_a_log_in_ascii_and_a_hostile_name(make: SimpleNamespace) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    LineProgress(stream).finished(make.hostile()[0])
    assert b"\x1b" not in raw.getvalue() and raw.getvalue().count(b"\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_table_of_a_thousand_running_stays_small(
    make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pty

    monkeypatch.setenv("TERM", "xterm")
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal:
        progress = make_progress(1000, terminal)
        assert isinstance(progress, LiveProgress)
        for number in range(1000):
            progress.started(f"conversation {number}\x1b[2J")
        text = progress.table().plain
        assert len(text.splitlines()) == SLOWEST + 2
        assert "0 of 1,000" in text and "1,000 running" in text
        assert "conversation 0\\x1b[2J" in text and "… and 995 younger" in text
        progress.close()
        progress.close()
    os.close(reader)


def test_counting_keeps_nothing_of_what_finished(make: SimpleNamespace) -> None:
    from rich.console import Console

    progress = LiveProgress(Console(file=io.StringIO(), force_terminal=True), None)
    outcome = make.outcome(1, status="passed")[0]
    outcome.folder = "runs/x/name-1"
    try:
        progress.started("name-1")
        progress.finished(outcome)
        tracemalloc.start()
        before = tracemalloc.take_snapshot()
        for _ in range(2000):
            progress.started("name-1")
            progress.finished(outcome)
        after = tracemalloc.take_snapshot().compare_to(before, "filename")
        grown = sum(entry.size_diff for entry in after if "progress" in str(entry.traceback))
        assert grown < 20_000
        assert "0 running" in progress.table().plain and "2,001 passed" in progress.table().plain
    finally:
        tracemalloc.stop()
        progress.close()
