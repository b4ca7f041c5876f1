"""What was acknowledged is there after kill -9, whole and once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulate.errors import SimulateError
from simulate.server.assembler import put_away_all
from simulate.server.client import Client
from simulate.server.store import Store
from simulate.server.store.find import Wanted, find, trace_of
from simulate.server.store.search import parse_search
from simulate.trace.span import Span

KILLS = int(os.environ.get("SIMULATE_KILLS", "1"))
"""benchmarks/server.py has 200."""


def start(store: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "simulate", "serve", "--port", "0", "--quiet", "0.05"]
    process = subprocess.Popen(
        [*command, "--store", f"sqlite:///{store}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split()[0]


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, make: Callable[..., list[Span]]) -> None:
    file = tmp_path / "traces.db"
    acknowledged: list[int] = []
    numbers = iter(range(1, 1_000_000))
    for _ in range(KILLS):
        process, address = start(file)
        with process:
            enough = threading.Event()
            sending = threading.Thread(target=send, args=(address, numbers, acknowledged, enough, make))
            sending.start()
            assert enough.wait(30)
            process.send_signal(signal.SIGKILL)  # while requests are on their way
            sending.join(30)
    store = Store(f"sqlite:///{file}")
    put_away_all(store)
    rows = {
        int(row.trace_id, 16): row
        for row in find(store, Wanted("default", parse_search(""), limit=1000)).rows
    }
    assert set(acknowledged) <= set(rows), "acknowledged and lost"
    assert all(len(trace_of(store, row)) == 3 for row in rows.values()), "half a trace"
    assert len(acknowledged) >= 20 * KILLS
    store.close()


def send(
    address: str,
    numbers: Iterator[int],
    acknowledged: list[int],
    enough: threading.Event,
    make: Callable[..., list[Span]],
) -> None:
    client = Client(address)
    for count, number in enumerate(numbers):
        try:
            client.send(make(number))
        except (SimulateError, OSError):
            return
        acknowledged.append(number)
        if count == 20:
            enough.set()
    pytest.fail("the server was not killed")
