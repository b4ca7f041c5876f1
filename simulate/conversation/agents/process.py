"""An agent's own process, started for a run and stopped after it."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from simulate.child_process import ChildProcess, free_port, launched, listens
from simulate.errors import AgentFault, Fault, InputError
from simulate.model.agent_address import target_of
from simulate.no_code import check_allowed

ENDED_SECONDS = 0.3
"""A connection breaks a moment before its process is known to have ended."""
TAIL_BYTES = 950
"""Of what it printed, into an outcome: its end, where the reason stands, and no more than a screen shows."""


def command_line(command: str, address: str) -> list[str]:
    """The words of an agent's ``command``; ``python`` is the Python that runs us. Raises InputError for an
    empty one."""
    check_allowed(f"{address}: {command}" if command not in address else address)
    words = shlex.split(command)
    if not words:
        raise InputError(f"{address}: its command is empty")
    if words[0] in ("python", "python3"):
        words[0] = sys.executable
    return words


class AgentProcess(ChildProcess):
    """Runs ``command`` until it is stopped; ready once something listens at ``address``.

    ``{port}`` in both becomes a free port."""

    early = "before it listened"

    def __init__(self, command: str, address: str, *, log: Path, cwd: Path | None = None) -> None:
        port = str(free_port()) if "{port}" in address + command else ""
        self.address = address.replace("{port}", port)
        super().__init__(command_line(command.replace("{port}", port), address), log=log, cwd=cwd)
        self.late = f"does not listen at {self.address}"

    async def ready(self) -> bool:
        parts = urlsplit(target_of(self.address))
        return await listens(parts.hostname, parts.port or (443 if parts.scheme in ("https", "wss") else 80))

    def line(self, environment: Mapping[str, str]) -> list[str]:
        return launched(self.command, environment, self.cwd)

    def broken(self, what: str, since: int | None = None) -> AgentFault:
        """The agent's fault, with the end of what it printed."""
        return AgentFault(
            f"{shlex.join(self.command)} {what}",
            hint=f"what it printed is in {self.log}",
            proof=self.printed(since, TAIL_BYTES).strip() or None,
        )

    async def explain(self, fault: Fault, since: int) -> Fault:
        """A fault in a conversation with it, with what it printed after ``since`` bytes; the agent's fault
        where the process ended."""
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), ENDED_SECONDS)
        if self.ended is not None:
            return self.broken(f"{self.ended}: {fault.message}", since)
        fault.proof = fault.proof or self.printed(since, TAIL_BYTES).strip() or None
        fault.hint = fault.hint or f"what it printed is in {self.log}"
        return fault
