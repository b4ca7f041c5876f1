"""Programs of somebody else's: started, watched, and gone with all that they started."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from simulate import child_process
from simulate.child_process import ChildProcess
from simulate.errors import AgentFault, InputError

STARTS_ANOTHER = """
import signal, subprocess, sys
leader = sys.argv[2]
other = subprocess.Popen([sys.executable, "-c", '''
import os, signal, sys, time
def flush(*_):
    time.sleep(0.3)
    open("flushed", "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, flush if sys.argv[1] == "flushes" else signal.SIG_IGN)
open("other", "w").write(str(os.getpid()))
time.sleep(600)
''', sys.argv[1]])
if leader == "waits":
    other.wait()
while True:
    try:
        open("other").read() and sys.exit(3)
    except FileNotFoundError:
        pass
"""


class Program(ChildProcess):
    """Ready once its own child has begun."""

    ready_seconds = 20.0
    stop_signals = tuple((number, 2.0) for number, _ in ChildProcess.stop_signals)

    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__([sys.executable, "-c", STARTS_ANOTHER, *words], log=folder / "log", cwd=folder)
        self.other = folder / "other"

    async def ready(self) -> bool:
        return self.other.is_file() and bool(self.other.read_text())

    def broken(self, what: str, since: int | None = None) -> AgentFault:
        return AgentFault(what, proof=self.printed(since))


def running(process: int) -> bool:
    """Whether it runs; one that is dead and that nobody has asked about does not."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


async def test_what_it_started_has_time_to_flush_and_is_gone_with_it(tmp_path: Path) -> None:
    program = Program(tmp_path, "flushes", "waits")
    await program.start({})
    other = int(program.other.read_text())
    assert running(other)
    await program.stop()
    assert not running(other)
    assert (tmp_path / "flushed").exists()


@pytest.mark.parametrize("leader", ["waits", "ends"])
async def test_what_does_not_listen_is_killed_also_where_its_parent_is_gone(
    tmp_path: Path, leader: str
) -> None:
    program = Program(tmp_path, "ignores", leader)
    await program.start({})
    other = int(program.other.read_text())
    if leader == "ends":
        while program.ended is None:
            await asyncio.sleep(0.02)
        assert program.ended == "ended with code 3"
    await program.stop()
    assert not running(other)


async def test_one_that_is_never_ready_or_does_not_exist(tmp_path: Path) -> None:
    never = Program(tmp_path, "no such word")
    with pytest.raises(AgentFault, match="ended with code 1 before it was ready") as caught:
        await never.start({})
    assert "IndexError" in str(caught.value.proof)
    never.command = [str(tmp_path / "no-such-program")]
    with pytest.raises(InputError, match="cannot start"):
        await never.start({})


PRINTS = """
import sys, time
for number in range(20_000):
    print("line", number, flush=number % 1000 == 0)
print("the end", flush=True)
time.sleep(600)
"""


async def test_a_log_keeps_its_end_and_places_in_it_still_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_process, "LOG_LIMIT", 100_000)
    monkeypatch.setattr(child_process, "LOG_KEPT", 10_000)

    class Prints(Program):
        async def ready(self) -> bool:
            return self.log.read_bytes().endswith(b"the end\n")

    program = Prints(tmp_path)
    program.command[2] = PRINTS
    # in pieces of a few bytes, what it prints while the log is shortened would come before the note
    await program.start({"PYTHONUNBUFFERED": ""})
    place = program.place
    with program.log.open("a") as log:
        log.write("after\n")
    assert program.printed(place) == "after\n"
    await program.stop()
    kept = program.log.read_text()
    assert len(kept) <= 110_000 and kept.startswith("(") and "not kept" in kept
    assert kept.endswith("line 19999\nthe end\nafter\n")
    assert program.printed(most=50).endswith("the end\nafter\n")
