"""What a worker's log tells of a call: exceptions that nobody caught, and jobs that ended badly.

LiveKit logs one line of JSON an event. A warning may hold a stack, as that of a blocked event loop does, and
a tool that raised is logged with its traceback although the agent goes on: neither broke the agent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from simulate.model.shapes import object_of

_ERRORS = ("ERROR", "CRITICAL")
_TOOL = "exception occurred while executing tool"
"""What LiveKit says of a tool that raised: its call has the error, and the model is told of it."""
_UNRECOVERABLE = "unrecoverable error"
_UNCAUGHT = re.compile(r"Traceback \(most recent call last\)|unhandled exception", re.I)
_EXITED = re.compile(r"process exited with non-zero exit code (-?\d+)")
_LINES, _LONGEST = 12, 2_000


def record(line: str) -> dict[str, Any]:
    """One line of LiveKit's own log; empty for anything else that was printed."""
    try:
        found: Any = json.loads(line)
    except ValueError:
        return {}
    return object_of(found)


def complaint(printed: str, room: str | None = None) -> str | None:
    """The last error of this room's call, or of none in particular; None where there is none."""
    lines = [line for line in printed.splitlines() if line.strip()]
    marked = [number for number, line in enumerate(lines) if _is_error(line, room)]
    if not marked:
        return None
    first = lines[marked[-1]]
    if record(first):
        return first[:_LONGEST]
    # Python itself prints an exception in many lines, whose last ones say most
    return "\n".join(line[:_LONGEST] for line in lines[marked[-1] :][:60][-_LINES:])


def _is_error(line: str, room: str | None) -> bool:
    told = record(line)
    if not told:
        return _UNCAUGHT.search(line) is not None
    message = str(told.get("message"))
    if told.get("level") not in _ERRORS or message.startswith(_TOOL):
        return False
    if room is not None and told.get("room", room) != room:
        return False
    return bool(told.get("exc_info")) or _UNRECOVERABLE in message or _UNCAUGHT.search(message) is not None


def end_of_job(printed: str, room: str) -> str | None:
    """How the process that had a room's job broke; None where it runs, or ended as it was asked to."""
    for told in records(printed, room):
        if told.get("reason") == "job crashed":
            return "its entrypoint raised"
        if (found := _EXITED.search(str(told.get("message")))) is not None:
            return f"its process ended with code {found[1]}"
    return None


def started_too_slowly(printed: str) -> bool:
    """Whether a process for a job was given up because it did not start in time."""
    return any(
        told.get("message") == "error initializing process" and "TimeoutError" in str(told.get("exc_info"))
        for told in map(record, printed.splitlines())
    )


def records(printed: str, room: str) -> Iterator[dict[str, Any]]:
    """What LiveKit logged of a room's job."""
    for line in printed.splitlines():
        if room in line and (told := record(line)).get("room") == room:
            yield told
