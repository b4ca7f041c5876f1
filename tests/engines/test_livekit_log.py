"""What a worker's log tells of a call, in lines as LiveKit writes them."""

from __future__ import annotations

import json

import pytest

from simulate.integrations.livekit.worker_log import complaint, end_of_job, started_too_slowly

ROOM = "a" * 32


def line(message: str, level: str = "ERROR", **more: str) -> str:
    return json.dumps({"message": message, "level": level, "name": "livekit.agents", **more})


HARMLESS = {
    "a blocked event loop": line("event loop blocked for 415ms", "WARNING", stack="File lk.py", room=ROOM),
    "a tool that raised": line("exception occurred while executing tool", exc_info="KeyError", room=ROOM),
    "an error without an exception": line("no table left", room=ROOM),
    "another call's": line("unhandled exception while running the job task", exc_info="x", room="b" * 32),
    "what users print": "everything is fine",
}
BROKEN = {
    "its entrypoint raised": line("unhandled exception while running the job task", exc_info="x", room=ROOM),
    "a task of its own raised": line("Task exception was never retrieved", exc_info="RuntimeError: boom"),
    "its speech gave up": line("AgentSession is closing due to unrecoverable error: 401", room=ROOM),
    "python printed it": "Traceback (most recent call last):\n  File x\nValueError: no table",
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_breaks_no_call(kind: str) -> None:
    assert complaint(HARMLESS[kind], ROOM) is None


@pytest.mark.parametrize("kind", BROKEN)
def test_what_broke_the_agent_is_shown(kind: str) -> None:
    printed = "\n".join([*HARMLESS.values(), BROKEN[kind], line("process exiting", "INFO", room=ROOM)])
    assert (complaint(printed, ROOM) or "").startswith(BROKEN[kind][:40])


def test_how_a_job_ended() -> None:
    assert end_of_job(line("process exited with non-zero exit code -9", room=ROOM), ROOM) is not None
    assert end_of_job(line("process exited with non-zero exit code -9", room="b" * 32), ROOM) is None
    assert end_of_job(line("shutting down", "INFO", room=ROOM, reason="job crashed"), ROOM) is not None


def test_a_process_that_had_no_time_to_start() -> None:
    assert started_too_slowly(line("error initializing process", exc_info="... TimeoutError"))
    assert not started_too_slowly(line("error initializing process", exc_info="ImportError: no module"))
