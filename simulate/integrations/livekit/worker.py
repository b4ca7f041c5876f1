"""A LiveKit worker in a process of its own, started from the file that its authors wrote."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simulate.child_process import ChildProcess
from simulate.conversation.agents.process import command_line
from simulate.errors import AgentFault, InputError
from simulate.model.shapes import object_of
from simulate.no_code import check_allowed

OVER_SECONDS = 3.0
"""What a job gets to end in, once it has left the room by itself."""
_REGISTERED = re.compile(r"registered worker")
_TRACEBACK = re.compile(
    r"Traceback \(most recent call last\)|\"(?:exc_info|stack)\"|unhandled exception", re.I
)

_EXITED = re.compile(r"process exited with non-zero exit code (-?\d+)")


def _record(line: str) -> dict[str, Any]:
    """One line of LiveKit's own log; empty for anything else that was printed."""
    try:
        found: Any = json.loads(line)
    except ValueError:
        return {}
    return object_of(found)


class LiveKitWorker(ChildProcess):
    """Runs a worker until it is stopped; ready once it has registered with the server.

    Without a ``command`` of the user's it runs as LiveKit's own tools run one for a simulation: no limit by
    load, which one call on a small machine reaches, and no health server at a fixed port
    (`simulate.integrations.livekit.runner`). ``name`` replaces
    the name under which it registers, so that a room of ours reaches it and nobody else's."""

    ready_seconds = 60.0  # it imports models and starts idle processes first: 5 to 17 s were measured
    late = "the worker has not registered"
    early = "before it registered"

    def __init__(
        self, file: Path | None, name: str, *, log: Path, command: str | None = None, cwd: Path | None = None
    ) -> None:
        check_allowed(f"livekit:{file or name}")
        if file is not None and not file.is_file():
            raise InputError(
                f"there is no agent at {file}", hint="livekit:path/to/agent.py, or livekit:agent-name"
            )
        runner = [sys.executable, "-m", "simulate.integrations.livekit.runner"]
        line = [*runner, "start", str(file), "--simulation"]
        super().__init__(command_line(command, f"livekit:{name}") if command else line, log=log, cwd=cwd)
        self.name = name

    async def start(self, environment: Mapping[str, str]) -> None:
        """Start it and wait until it has registered; AgentFault with what it printed if it does not."""
        path = os.pathsep.join(filter(None, [str(self.cwd or Path.cwd()), os.environ.get("PYTHONPATH")]))
        named = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "LIVEKIT_AGENT_NAME_OVERRIDE": self.name}
        await super().start({**environment, **named})

    async def ready(self) -> bool:
        return _REGISTERED.search(self.printed()) is not None

    @property
    def ended(self) -> str | None:
        """How the process ended; None while it runs."""
        ended = super().ended
        return None if ended is None else f"the worker {ended}"

    def complaint(self, since: int) -> str | None:
        """The last lines that tell of an exception since then; None where it printed none."""
        lines = [line for line in self.printed(since).splitlines() if line.strip()]
        marked = [number for number, line in enumerate(lines) if _TRACEBACK.search(line)]
        if not marked:
            return None
        # LiveKit logs an exception as one line of JSON, Python itself as many whose last ones say most
        return "\n".join(line[:2_000] for line in lines[marked[-1] :][:60][-12:])

    def end_of(self, room: str, since: int) -> str | None:
        """How the process that had a room's job broke; None where it runs, or ended as it was asked to.

        LiveKit itself tells nobody of a job that raised before it came in, and of a process that was killed
        only when its connection times out, after 20 s. The worker's log has both at once."""
        for record in self._records(room, since):
            if record.get("reason") == "job crashed":
                return "its entrypoint raised"
            if (found := _EXITED.search(str(record.get("message")))) is not None:
                return f"its process ended with code {found[1]}"
        return None

    async def over(self, room: str, since: int) -> None:
        """Wait until a job that has left its room is over: what it complained of is printed by then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OVER_SECONDS):
                while not self._is_over(room, since):  # noqa: ASYNC110 - only its log tells
                    await asyncio.sleep(0.1)

    def _is_over(self, room: str, since: int) -> bool:
        return any(record.get("message") == "process exiting" for record in self._records(room, since))

    def _records(self, room: str, since: int) -> Iterator[dict[str, Any]]:
        """What LiveKit logged of a room's job."""
        for line in self.printed(since).splitlines():
            if room in line and (record := _record(line)).get("room") == room:
                yield record

    def broken(self, what: str, since: int | None = None) -> AgentFault:
        """A fault of the agent's, with what it printed."""
        found = self.complaint(self._started_at if since is None else since)
        tail = found or self.printed(since, 1_500).strip()
        return AgentFault(what, hint=f"what it printed is in {self.log}", proof=tail or None)
