"""An agent's own process, started for a run and stopped after it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shlex
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from simulate.errors import AgentFault, EnvironmentFault, Fault, InputError

READY_SECONDS = 30.0
STOP_SECONDS = 5.0
ENDED_SECONDS = 0.3
"""A connection breaks a moment before its process is known to have ended."""
TAIL_BYTES = 950
"""Of what it printed, into an outcome: its end, where the reason stands, and no more than a screen shows."""
TRIES = 100


def free_port(preferred: int = 0, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody listens at now: the preferred one, if it is free.

    Others are below those that systems hand out by themselves (Linux: from 32768), so that nobody is given it
    before a process that we start with it listens there."""
    chance = random.SystemRandom()
    for port in (preferred, *(chance.randrange(20_000, 32_768) for _ in range(TRIES))):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port:
                return port
    raise EnvironmentFault("no port of 127.0.0.1 is free")


class AgentProcess:
    """Runs ``command`` until it is stopped; ready once something listens at ``address``.

    ``{port}`` in both becomes a free port. ``python`` is the Python that runs us. What it prints goes to
    ``log``."""

    def __init__(self, command: str, address: str, *, log: Path, cwd: Path | None = None) -> None:
        port = str(free_port()) if "{port}" in address + command else ""
        self.address = address.replace("{port}", port)
        self.command = shlex.split(command.replace("{port}", port))
        if not self.command:
            raise InputError(f"{address}: its command is empty")
        if self.command[0] in ("python", "python3"):
            self.command[0] = sys.executable
        self.log = log
        self.cwd = cwd
        self._process: asyncio.subprocess.Process | None = None
        self._started_at = 0
        """Bytes of the log that are of runs before."""

    async def start(self, environment: Mapping[str, str]) -> None:
        """Start it and wait until it listens; AgentFault with what it printed if it does not."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._started_at = self.printed_bytes()
        with self.log.open("ab") as output:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.cwd,
                    env={**os.environ, **environment},
                    start_new_session=True,
                )
            except OSError as error:
                raise InputError(f"cannot start {shlex.join(self.command)}: {error.strerror}") from error
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await self._listens():
                    if self._process.returncode is not None:
                        raise self._broken(f"ended with code {self._process.returncode} before it listened")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await self.stop()
            raise self._broken(f"does not listen at {self.address} after {READY_SECONDS:g} s") from None

    async def stop(self) -> None:
        """Ask it to end, with time to flush its spans; then end it and all that it started."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
                    return

    async def _listens(self) -> bool:
        parts = urlsplit(self.address)
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
        try:
            _, writer = await asyncio.open_connection(parts.hostname, port)
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    def printed_bytes(self) -> int:
        """How much it has printed until now, with what runs before did."""
        return self.log.stat().st_size if self.log.exists() else 0

    async def told(self, fault: Fault, since: int) -> Fault:
        """A fault in a conversation with it, with what it printed after ``since`` bytes; the agent's fault
        where the process ended."""
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), ENDED_SECONDS)
            if self._process.returncode is not None:
                return self._broken(f"ended with code {self._process.returncode}: {fault.message}", since)
        fault.proof = fault.proof or self._printed(since)
        fault.hint = fault.hint or f"what it printed is in {self.log}"
        return fault

    def _printed(self, since: int) -> str | None:
        begins = max(since, self.printed_bytes() - TAIL_BYTES)
        with self.log.open("rb") as file:
            file.seek(begins)
            tail = file.read(TAIL_BYTES)
        if begins > since:
            tail = tail.partition(b"\n")[2] or tail
        return tail.decode(errors="replace").strip() or None

    def _broken(self, what: str, since: int | None = None) -> AgentFault:
        return AgentFault(
            f"{shlex.join(self.command)} {what}",
            hint=f"what it printed is in {self.log}",
            proof=self._printed(self._started_at if since is None else since),
        )
