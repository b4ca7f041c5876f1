"""An agent's own process, started for a run and stopped after it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from simulate.errors import AgentFault, EnvironmentFault, InputError

READY_SECONDS = 30.0
STOP_SECONDS = 5.0
TAIL_BYTES = 2_000


def free_port(preferred: int = 0) -> int:
    """A port of 127.0.0.1 that nobody listens at now: the preferred one, if it is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
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

    async def start(self, environment: Mapping[str, str]) -> None:
        """Start it and wait until it listens; AgentFault with what it printed if it does not."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
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

    def _broken(self, what: str) -> AgentFault:
        printed = self.log.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
        return AgentFault(
            f"{shlex.join(self.command)} {what}",
            hint=f"what it printed is in {self.log}",
            proof=printed or None,
        )
