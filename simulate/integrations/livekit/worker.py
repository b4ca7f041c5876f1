"""A LiveKit worker in a process of its own, started from the file that its authors wrote."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from simulate.child_process import LAUNCHER, ChildProcess
from simulate.conversation.agents.process import command_line
from simulate.conversation.voice.pressure import is_busy
from simulate.errors import AgentFault, EnvironmentFault, Fault, InputError
from simulate.integrations.livekit import worker_log
from simulate.no_code import check_allowed

OVER_SECONDS = 3.0
"""What a job gets to end in, once it has left the room by itself."""
_REGISTERED = re.compile(r"registered worker")


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
        known = environment.get("PYTHONPATH") or os.environ.get("PYTHONPATH")
        # what guards and records a process comes first, and the project's folder after it
        path = os.pathsep.join(filter(None, [known, str(self.cwd or Path.cwd())]))
        named = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "LIVEKIT_AGENT_NAME_OVERRIDE": self.name}
        # a room's sound is too much for the kernel to ask us about each packet
        environment = {name: value for name, value in environment.items() if name != LAUNCHER}
        await super().start({**environment, **named})

    async def ready(self) -> bool:
        return _REGISTERED.search(self.printed()) is not None

    @property
    def ended(self) -> str | None:
        """How the process ended; None while it runs."""
        ended = super().ended
        return None if ended is None else f"the worker {ended}"

    def complaint(self, since: int, room: str | None = None) -> str | None:
        """The last error of a room's call since then; None where the agent made none."""
        return worker_log.complaint(self.printed(since), room)

    def end_of(self, room: str, since: int) -> str | None:
        """How the process that had a room's job broke; None where it runs, or ended as it was asked to.

        LiveKit itself tells nobody of a job that raised before it came in, and of a process that was killed
        only when its connection times out, after 20 s. The worker's log has both at once."""
        return worker_log.end_of_job(self.printed(since), room)

    async def over(self, room: str, since: int) -> None:
        """Wait until a job that has left its room is over: what it complained of is printed by then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OVER_SECONDS):
                while not self._is_over(room, since):  # noqa: ASYNC110 - only its log tells
                    await asyncio.sleep(0.1)

    def _is_over(self, room: str, since: int) -> bool:
        told = worker_log.records(self.printed(since), room)
        return any(record.get("message") == "process exiting" for record in told)

    def broken(self, what: str, since: int | None = None) -> Fault:
        """A fault of the agent's, with what it printed; of the environment's where its process had no time to
        start on a machine that is busy."""
        place = self._started_at if since is None else since
        printed = self.printed(place)
        if worker_log.started_too_slowly(printed) and is_busy():
            return EnvironmentFault(
                f"{what}: this machine is too busy for its processes to start in time",
                hint="fewer calls at once (--jobs 1), or AgentServer(initialize_process_timeout=…)",
            )
        proof = self.complaint(place) or printed[-1_500:].strip()
        return AgentFault(what, hint=f"what it printed is in {self.log}", proof=proof or None)
